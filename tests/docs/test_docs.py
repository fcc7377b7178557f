"""The README and the docs are correct: queries, settings, commands, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import sqlalchemy as sa
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from endpoint_history.cli.app import app
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.settings import Settings
from endpoint_history.store.writer import store
from models.schema_page import page
from tests.support.factories import a_look, an_endpoint, at

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
QUERIES = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
SHOWN_MODEL = "aurora/sage-30b"
MENTIONED = re.findall(r"`endpoint-history ([^`]+)`", README)


def _section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _rows(title: str) -> list[list[str]]:
    """Return the rows of the only table of that section, without its header."""
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def _variables() -> dict[str, str]:
    return {row[0].strip("`"): row[1].strip("`") for row in _rows("Configuration")}


def _default(name: str) -> str:
    value = Settings.model_fields[name].default
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    return "none" if plain is None else str(plain)


def _documented_commands() -> dict[str, list[str]]:
    """Return each command of the table with the options in its row."""
    return {
        re.sub(r" \[.*", "", command): re.findall(r"`(--[a-z-]+)`", row[1])
        for row in _rows("Command line")
        for command in re.findall(r"`([^`]+)`", row[0])
    }


def _commands(group: typer.Typer, before: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        yield before + str(command.name or getattr(command.callback, "__name__", ""))
    for inner in group.registered_groups:
        assert inner.typer_instance
        if inner.typer_instance.info.invoke_without_command is True:
            yield f"{before}{inner.name}"
        yield from _commands(inner.typer_instance, f"{before}{inner.name} ")


def _help(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.output


def _links(path: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if "://" not in link]


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    """Return a connection to a database in which the price of the shown model rose."""
    upgrade(database_url)
    looks = [
        a_look(an_endpoint(prompt=price, model_id=SHOWN_MODEL), minute=minute, target=SHOWN_MODEL, model=SHOWN_MODEL)
        for minute, price in [(0, "0.000001"), (30, "0.000003")]
    ]
    with opened(database_url) as engine:
        with writing(engine) as connection:
            store(connection, [(look, read_observation(look)) for look in looks])
        roll_up(engine)
        with engine.connect() as connection:
            yield connection


def _answers(connection: sa.Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.exec_driver_sql(query).mappings()]


def test_the_schema_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "schema.md").read_text() == page()


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_of_the_readme_returns_rows(query: str, connection: sa.Connection) -> None:
    assert len(_answers(connection, query)) == 1


def test_the_first_query_returns_current_prices(connection: sa.Connection) -> None:
    assert _answers(connection, QUERIES[0]) == [
        {
            "provider": "North",
            "route": "north/fp8",
            "prompt_usd_per_mtok": pytest.approx(3),
            "completion_usd_per_mtok": pytest.approx(2),
            "discount": None,
            "has_conditional_prices": False,
        }
    ]


def test_the_second_query_returns_price_changes(connection: sa.Connection) -> None:
    [row] = _answers(connection, QUERIES[1])
    assert (Decimal(row["before"]), Decimal(row["after"])) == (Decimal("0.000001"), Decimal("0.000003"))
    assert str(row["observed_at"])[:10] == str(at(30))[:10]


def test_the_third_query_returns_changes_of_the_lowest_price(connection: sa.Connection) -> None:
    [row] = _answers(connection, QUERIES[2])
    prices = (row["before_blended_usd_per_mtok"], row["after_blended_usd_per_mtok"])
    assert (row["reason"], *prices) == ("repriced", pytest.approx(1.25), pytest.approx(2.75))


def test_the_fourth_query_returns_the_mean_uptime(connection: sa.Connection) -> None:
    assert _answers(connection, QUERIES[3]) == [
        {"provider": "North", "definition": "requests", "hours": 1, "mean_uptime_pct": 99.5, "worst_pct": 99.5}
    ]


def test_the_readme_lists_exactly_the_settings() -> None:
    assert set(_variables()) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_readme_shows_the_default_of_a_setting(name: str) -> None:
    assert _variables()[name.upper()] == _default(name)


def test_the_readme_lists_exactly_the_commands() -> None:
    assert set(_documented_commands()) == set(_commands(app))


@pytest.mark.parametrize("command", _documented_commands())
def test_a_documented_command_is_in_the_help(command: str) -> None:
    *group, name = command.split()
    assert re.search(rf"^\W*{name}\b", _help(*group), re.MULTILINE)


@pytest.mark.parametrize(("command", "options"), _documented_commands().items())
def test_a_documented_command_has_its_documented_options(command: str, options: list[str]) -> None:
    shown = _help(*command.split())
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("mention", MENTIONED)
def test_a_command_mentioned_in_the_text_exists(mention: str) -> None:
    words = [word for word in mention.split() if not word.startswith("-")]
    options = [word for word in mention.split() if word.startswith("-")]
    shown = _help(*words)
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)(?=`|  |\n)", README))))
def test_a_make_target_in_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_folders_in_the_readme_exist() -> None:
    shown = [row[0].strip("`/") for row in _rows("Where things are")]
    assert [folder for folder in shown if folder != "data" and not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_prefect_setting_on_a_page_exists(path: Path) -> None:
    named = set(re.findall(r"\bPREFECT_[A-Z_]+", path.read_text()))
    assert [name for name in named if not hasattr(prefect.settings, name)] == []


@pytest.mark.parametrize("name", ["operations.md", "security.md"])
def test_every_test_that_a_page_names_exists(name: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / name).read_text()))
    defined = {
        test
        for path in (ROOT / "tests").rglob("test_*.py")
        for test in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert named
    assert sorted(named - defined) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_to_a_file_works(path: Path) -> None:
    assert [link for link in _links(path) if not (path.parent / link.partition("#")[0]).exists()] == []


def test_every_page_and_picture_is_linked() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in _links(page)}
    assert {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "images").iterdir()} <= linked


def test_the_readme_links_to_the_docs_and_the_target_list() -> None:
    assert {"docs/data-notes.md", "docs/history.md", "docs/schema.md", "targets.example.toml"} <= set(
        _links(ROOT / "README.md")
    )
