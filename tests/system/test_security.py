"""What docs/security.md says stands against somebody's will, where no other test shows it."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade
from endpoint_history.reporting.collect_report import lines, markdown, payload
from models.observation import Target
from models.tables import endpoints, metadata
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.cli.test_app import Command, command
from tests.support.collecting import collect, history, settings
from tests.support.factories import a_body, an_endpoint

__all__ = ["command"]

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RUNS_DATA = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml"}
URL = "sqlite:///data/history.db"
KEY = "sk-or-v1-0123456789abcdef"
SQL = ["x' OR '1'='1", "x'; DROP TABLE models; --", 'x" OR "1"="1', "x%", "a/b' UNION SELECT 1 --", "\\'; --"]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_of_the_product_runs_what_it_reads(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    methods = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert imported & RUNS_DATA == set()
    assert called & {"eval", "exec", "compile", "__import__"} == set()
    assert methods & {"read_pickle", "to_pickle", "from_pickle", "allow_pickle"} == set()


OTHER_ADDRESSES = (
    *("../admin", "a/../b", "a/b/../../c", "a/..", "a//b", "/a/b", "a/b/", "a\\b/c"),
    *("a/b?x=1", "a/b#x", "a/b%2f..", "a/b c", "@h/b", "http://h/b", "a/b\r\nHost: h"),
)


@pytest.mark.parametrize("text", OTHER_ADDRESSES)
def test_a_target_leads_to_no_other_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an author/slug pair"):
        Target.parse(text)


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    upgrade(URL)
    simulator = Simulator(Market(models=2))
    with serving(simulator) as base_url:
        monkeypatch.setenv("OPENROUTER_BASE_URL", base_url)
        yield simulator


@pytest.mark.parametrize("value", SQL)
def test_sql_in_a_value_of_the_command_line_is_a_name_like_any_other(
    collected: Simulator, command: Command, value: str
) -> None:
    paths = collected.market.paths()
    command("collect", "--no-prefect", *paths, REQUESTS_PER_SECOND="0")
    before = history(URL)
    usage = ("--input-tokens", "10", "--output-tokens", "10")
    for words in (
        ("cheapest", "--model", value, *usage),
        ("cheapest", "--model", paths[0], "--provider", value, *usage),
        ("cheapest", "--model", paths[0], "--quantization", value, *usage),
        ("cheapest", "--model", paths[0], "--as-of", value, *usage),
        ("export", "out", "--only", value, "--format", "csv"),
        ("export", "out", "--since", value, "--format", "csv"),
        ("backfill", "archive", "--only", value),
        ("backfill", "archive", "--since", value),
        ("collect", "--no-prefect", value),
        ("db", "downgrade", value, "--yes"),
    ):
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), words
    assert history(URL) == before
    with opened(URL) as engine:
        assert set(metadata.tables) <= set(sa.inspect(engine).get_table_names())


def test_an_offer_in_csv_runs_in_no_spreadsheet(collected: Simulator, command: Command) -> None:
    path = collected.market.paths()[0]
    hostile = an_endpoint("@x", provider_name='=HYPERLINK("http://x")', model_id=path)
    collected.answers[path] = faults.answer(200, a_body(hostile, model=path))
    assert collect(settings(URL, os.environ["OPENROUTER_BASE_URL"]), [path]).exit_code == 0
    _, out, _ = command("cheapest", "--model", path, "--input-tokens", "1", "--output-tokens", "1", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["provider"], row["route"]) == ('\'=HYPERLINK("http://x")', "'@x")


HUGE = "x" * 400_000
HUGE_LIST = [f"{number:06} {'y' * 190}" for number in range(2000)]
HUGE_IN_A_MODEL: list[dict[str, Any]] = [
    {"name": HUGE},
    {"description": HUGE},
    {HUGE: 1},
    {"architecture": {"tokenizer": HUGE, "input_modalities": HUGE_LIST, HUGE: 1}},
]
HUGE_IN_AN_ENDPOINT: list[dict[str, Any]] = [
    {"name": HUGE},
    {"tag": HUGE},
    {"provider_name": HUGE},
    {"quantization": HUGE},
    {"status": HUGE},
    {"model_id": HUGE},
    {HUGE: HUGE},
    {"supported_parameters": [HUGE, *HUGE_LIST]},
    {"native_tools": {"search": HUGE}},
    {"native_tools": {HUGE: 1}},
    {"pricing": {"image": HUGE}},
    {"pricing": {"audio_per_song": HUGE}},
    {"pricing": {HUGE: "1"}},
    {"pricing": {"overrides": [{"min_prompt_tokens": 1, "note": HUGE, "prompt": "1"}]}},
]


def test_a_huge_text_anywhere_fills_no_table_and_spares_its_neighbour(database_url: str) -> None:
    bodies: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    bodies |= {f"acme/model-{n}": (fields, {}) for n, fields in enumerate(HUGE_IN_A_MODEL)}
    bodies |= {f"acme/endpoint-{n}": ({}, fields) for n, fields in enumerate(HUGE_IN_AN_ENDPOINT)}
    simulator = Simulator(Market(models=1))
    for path, (of_model, of_endpoint) in bodies.items():
        items = [an_endpoint("good", model_id=path)]
        items += [an_endpoint(**{"tag": "huge", "model_id": path, **of_endpoint})] if of_endpoint else []
        simulator.answers[path] = faults.answer(200, a_body(*items, model=path, **of_model))
    simulator.answers["acme/error"] = faults.answer(403, json.dumps({"error": {"code": 403, "message": HUGE}}).encode())
    with serving(simulator) as base_url:
        collected = collect(settings(database_url, base_url), [*bodies, "acme/error"])
    assert collected.summary.ok == len(bodies)
    assert max(map(len, [*lines(collected), *markdown(collected).splitlines()])) < 1000
    assert len(json.dumps(payload(collected))) < 100_000
    with opened(database_url) as engine, engine.connect() as connection:
        cells = [
            str(cell)
            for table in metadata.sorted_tables
            for row in connection.execute(sa.select(table))
            for cell in row
        ]
        good = connection.execute(sa.select(sa.func.count()).where(endpoints.c.route == "good")).scalar()
    assert max(map(len, cells)) <= 1000 * (200 + len("'', ")) + 2  # a list of a thousand texts
    assert good == len(bodies)
