"""Every look knows which source brought it, and two sources that disagree come out the same in any order."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from itertools import permutations
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.loading.rebuild import verify
from models.tables import observations, pricing_snapshots, runs
from models.views import evidence
from simulator import faults
from simulator.server import Simulator, serving
from simulator.wayback import serving_wayback
from tests.cli.test_app import Command, command
from tests.sources.test_wayback import PATH, an_archive_of, good, place
from tests.support.collecting import ARCHIVE, archive, collect, history, settings
from tests.support.factories import a_body, an_endpoint, at

__all__ = ["command"]

PRICES = {"live": "0.1", "files": "0.2", "git": "0.3", "wayback": "0.4"}
MINUTES = {"live": 0, "files": 10, "git": 20, "wayback": 30}
Row = tuple[str, str, str | None]


@pytest.fixture(autouse=True)
def _settings(database_url: str) -> None:
    upgrade(database_url)
    os.environ |= {"DATABASE_URL": database_url, "ARCHIVE_URL": ARCHIVE, "REQUESTS_PER_SECOND": "0"}


def body_of(source: str) -> bytes:
    return a_body(an_endpoint(prompt=PRICES[source], model_id=PATH), model=PATH)


def load(command: Command, url: str, source: str, minute: int) -> str:
    """Let a source bring its body of one instant; gives what the command told of it, and where the body lay."""
    sources: dict[str, Callable[[], str]] = {
        "live": lambda: _live(url, minute),
        "files": lambda: _files(command, at(minute)),
        "git": lambda: _git(command, at(minute)),
        "wayback": lambda: _wayback(command, at(minute)),
    }
    return sources[source]()


def _live(url: str, minute: int) -> str:
    simulator = Simulator(answers={PATH: faults.answer(200, body_of("live"))})
    with serving(simulator) as base_url:
        assert collect(settings(url, base_url), [PATH], minute).exit_code == 0
    return ""


def _files(command: Command, moment: datetime) -> str:
    Path(f"saved_{moment:%Y%m%dT%H%M%SZ}.json").write_bytes(body_of("files"))
    return taken(command, "files", f"saved_{moment:%Y%m%dT%H%M%SZ}.json")


def _git(command: Command, moment: datetime) -> str:
    Path("repo").mkdir()
    (Path("repo") / "body.json").write_bytes(body_of("git"))
    for words in ("init --quiet", "add .", f"commit --quiet -m x --date {moment.isoformat()}"):
        subprocess.run(["git", "-C", "repo", "-c", "user.name=A", "-c", "user.email=a@b", *words.split()], check=True)
    return taken(command, "git", "repo", "body.json")


def _wayback(command: Command, moment: datetime) -> str:
    with serving_wayback(an_archive_of((f"{moment:%Y%m%d%H%M%S}", good(body_of("wayback"))))) as base_url:
        return taken(command, "wayback", PATH, "--base-url", base_url)


def taken(command: Command, *words: str) -> str:
    code, out, _ = command("backfill", *words)
    assert (code, out.splitlines()[0]) == (0, "Read       1: 1 new, 0 known, 0 not wanted")
    return out


def looks(url: str, *where: sa.ColumnElement[bool]) -> list[Row]:
    """Kind and source of the run of each look, and where it lay, in the order of time."""
    query = sa.select(runs.c.kind, runs.c.source, observations.c.origin).select_from(observations.join(runs))
    with opened(url) as engine, engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.where(*where).order_by(observations.c.observed_at))]


def test_each_look_tells_its_run_its_source_and_where_it_lay(command: Command, database_url: str) -> None:
    for source, minute in MINUTES.items():
        load(command, database_url, source, minute)
    commit = subprocess.run(["git", "-C", "repo", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    told = looks(database_url)
    assert told[:3] == [
        ("collect", "live", None),
        ("backfill", "files", "saved_20260516T091000Z.json"),
        ("backfill", "git", f"repo@{commit.stdout[:12]}:body.json"),
    ]
    kind, source, origin = told[3]
    assert (kind, source) == ("backfill", "wayback")
    assert origin
    assert origin.startswith("http://127.0.0.1:")
    assert origin.endswith(place("20260516093000"))
    e = evidence.c
    with opened(database_url) as engine, engine.connect() as connection:
        rows = connection.execute(sa.select(e.model, e.target, e.source, e.origin).order_by(e.observed_at)).all()
    assert [tuple(row) for row in rows] == [(PATH, PATH, source, origin) for _, source, origin in told]


def test_our_archive_keeps_the_run_and_the_origin_of_each_look(command: Command, database_url: str) -> None:
    for source, minute in MINUTES.items():
        load(command, database_url, source, minute)
    upgrade("sqlite:///again.db")
    with opened("sqlite:///again.db") as engine:
        assert load_bundles(engine, archive(), archive().bundles()).damaged == {}
    assert history("sqlite:///again.db") == history(database_url)
    with opened(database_url) as engine:
        assert verify(engine, archive())[1] == []


@pytest.mark.parametrize("order", [*permutations(("live", "files", "git")), ("wayback", "live"), ("live", "wayback")])
def test_sources_that_disagree_come_out_the_same_in_any_order(
    command: Command, database_url: str, order: tuple[str, ...]
) -> None:
    for number, source in enumerate(order):
        told = load(command, database_url, source, 0)
        assert source == "live" or f"Conflicts  {min(number, 1)} looks" in told
    # The rule is that of the smaller digest, as all are whole.
    winner = min(order, key=lambda source: hashlib.sha256(body_of(source)).hexdigest())
    assert [source for _, source, _ in looks(database_url, observations.c.is_evidence)] == [winner]
    assert sorted(source for _, source, _ in looks(database_url)) == sorted(order)
    with opened(database_url) as engine, engine.connect() as connection:
        prices = list(connection.execute(sa.select(pricing_snapshots.c.prompt_usd)).scalars())
    assert [str(price) for price in prices] == [PRICES[winner]]


def test_a_look_of_ours_that_a_file_told_of_before_is_ours(
    command: Command, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRICES, "files", PRICES["live"])
    load(command, database_url, "files", 0)
    load(command, database_url, "live", 0)
    assert looks(database_url) == [("collect", "live", None)]
    with opened(database_url) as engine:
        assert verify(engine, archive())[1] == []
