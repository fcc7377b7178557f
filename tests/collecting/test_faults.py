"""Faults of the database and of the process, injected for real: what is told, and that nothing is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem

from endpoint_history.database.engine import differences, opened, upgrade, writing
from endpoint_history.errors import HistoryError
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import Read, Stored, store
from models.tables import observations
from models.views.creation import drop_views
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.reference.store import history_of, without_provenance
from tests.support import postgres
from tests.support.collecting import archived, collect, count, history, is_told_by_its_archive, settings, stored
from tests.support.factories import at
from tests.support.prefect_server import until

MARKET = Market(models=6)
PATHS = MARKET.paths()
# Runs the command line's upgrade, and kills its own process before the statement of that number.
KILLED_UPGRADE = """
import os, signal, sys
import sqlalchemy as sa
from endpoint_history.database.engine import upgrade
left = int(sys.argv[2])
@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
upgrade(sys.argv[1])
"""


def content(url: str) -> dict[str, list[str]]:
    """All rows but what differs from run to run anyway."""
    found = without_provenance(history(url))
    looks = sorted(re.sub('"elapsed_ms": [0-9]+, ', "", look) for look in found["observations"])
    return found | {"observations": looks}


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(MARKET, clock=lambda: at(0))


def test_a_database_that_restarts_in_the_middle_of_storing_loses_nothing(
    simulator: Simulator, cluster: postgres.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarted: list[int] = []

    def store_and_fall(connection: sa.Connection, read: Sequence[Read]) -> Stored:
        stored = store(connection, read)
        if not restarted:
            restarted.append(cluster.pid)
            cluster.stop(mode="fast")
            cluster.start()
        return stored

    monkeypatch.setattr("endpoint_history.collecting.batch.store", store_and_fall)
    calm = f"sqlite:///{tmp_path}/calm.db"
    upgrade(calm)
    with serving(simulator) as base_url:
        first = collect(settings(cluster.url, base_url), PATHS)
        second = collect(settings(cluster.url, base_url), PATHS, minute=30)
        for minute in (0, 30):
            collect(settings(calm, base_url, archive_url="calm"), PATHS, minute=minute)
    assert (first.waiting, second.exit_code) == (len(PATHS), 0)
    assert "terminating connection" in str(first.waiting_reason)
    assert content(cluster.url) == content(calm)
    assert is_told_by_its_archive(cluster.url)


def test_a_server_without_a_place_for_one_more_is_told_in_one_line(simulator: Simulator, postgres_url: str) -> None:
    url = sa.make_url(postgres_url)
    crowded = url.set(username=f"crowded_{url.database}", password="x")

    def connect(url: sa.URL) -> psycopg.Connection:
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(address, autocommit=True)

    with serving(simulator) as base_url, connect(url) as owner:
        assert collect(settings(postgres_url, base_url), PATHS).exit_code == 0
        owner.execute(f"CREATE ROLE {crowded.username} LOGIN PASSWORD 'x' CONNECTION LIMIT 1")
        try:
            with connect(crowded), pytest.raises(HistoryError, match=r"too many connections for role.*; all") as told:
                collect(settings(crowded.render_as_string(hide_password=False), base_url), PATHS, minute=30)
        finally:
            owner.execute(f"DROP ROLE {crowded.username}")
        assert "\n" not in str(told.value)
        assert collect(settings(postgres_url, base_url), PATHS, minute=60).exit_code == 0
    assert is_told_by_its_archive(postgres_url)
    assert count(postgres_url, observations, observations.c.outcome == "ok") == 3 * len(PATHS)


def test_a_database_that_is_locked_for_too_long_waits_in_the_archive(
    simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another writer that does not end."""
    monkeypatch.setattr("endpoint_history.database.engine._WAIT_SECONDS", 0.2)
    why = "database is locked" if database_url.startswith("sqlite") else "canceling statement due to lock timeout"
    with serving(simulator) as base_url, opened(database_url) as engine, ExitStack() as stack:
        given = settings(database_url, base_url)

        async def hold_the_lock(request: web.Request, body: bytes) -> web.StreamResponse:
            stack.enter_context(writing(engine))
            return await faults.answer(200, body)(request, body)

        simulator.answers[PATHS[2]] = hold_the_lock
        with pytest.raises(HistoryError, match=f"{why}.*; all .* answers are kept in the archive") as told:
            collect(given, PATHS)
        assert "\n" not in str(told.value)
        stack.close()
        simulator.answers.clear()
        assert collect(given, PATHS, minute=30).exit_code == 0
    assert count(database_url, observations, observations.c.outcome == "ok") == 2 * len(PATHS)
    assert is_told_by_its_archive(database_url)


@pytest.mark.slow_unless(statements=[40])
@pytest.mark.parametrize("statements", [3, 40, 75])
def test_an_upgrade_killed_half_way_is_finished_by_the_next(empty_database_url: str, statements: int) -> None:
    words = [sys.executable, "-c", KILLED_UPGRADE, empty_database_url, str(statements)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine:
        assert differences(engine) == []


@pytest.mark.slow_unless(statements=[10])
@pytest.mark.parametrize("statements", [2, 10, 20])
def test_an_upgrade_killed_half_way_keeps_all_history(simulator: Simulator, database_url: str, statements: int) -> None:
    with serving(simulator) as base_url:
        for minute in (0, 4 * 1440):
            simulator.clock = partial(at, minute)
            collect(settings(database_url, base_url), PATHS, minute)
    before = history(database_url)
    with opened(database_url) as engine, writing(engine) as connection:
        drop_views(connection)
    words = [sys.executable, "-c", KILLED_UPGRADE, database_url, str(statements)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    upgrade(database_url)
    with opened(database_url) as engine:
        roll_up(engine)
    assert history(database_url) == before


def test_an_archive_whose_storage_is_gone_gets_its_bundle_from_the_next_collect(
    simulator: Simulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no way to the bucket")

    remote = "memory://bucket/archive"
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    with serving(simulator) as base_url:
        given = settings(database_url, base_url, archive_url=remote)
        with monkeypatch.context() as away:
            for name in ("put_file", "exists", "ls"):
                away.setattr(MemoryFileSystem, name, unreachable)
            first = collect(given, PATHS)
        second = collect(given, PATHS, minute=30)
    assert (first.exit_code, second.exit_code, second.troubles) == (0, 0, [])
    assert re.fullmatch(
        r"can't finish the bundle .*, its lines wait in .*: no way to the bucket; .*", first.troubles[-1]
    )
    assert stored(database_url) == history_of(archived(remote))
    assert count(database_url, observations, observations.c.outcome == "ok") == 2 * len(PATHS)


def lines_written() -> int:
    return sum(part.read_bytes().count(b"\n") for part in Path("archive").rglob(".*.part"))


def test_a_collect_that_is_asked_to_end_is_taken_up_by_the_next(simulator: Simulator, tmp_path: Path) -> None:
    """SIGTERM, as a service manager sends it."""
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    simulator.answers[PATHS[-1]] = faults.KINDS["hang"]
    with serving(simulator) as base_url:
        variables = {
            "DATABASE_URL": url,
            "ARCHIVE_URL": "archive",
            "OPENROUTER_BASE_URL": base_url,
        }
        words = [sys.executable, "-m", "endpoint_history", "collect", "--no-prefect", *PATHS]
        with subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True) as process:
            until(lambda: lines_written() == len(PATHS) - 1, 30)
            process.terminate()
            _, err = process.communicate(timeout=10)
        assert "Traceback" not in err
        del simulator.answers[PATHS[-1]]
        assert collect(settings(url, base_url), PATHS, minute=30).exit_code == 0
    assert count(url, observations, observations.c.outcome == "ok") == 2 * len(PATHS) - 1
    assert is_told_by_its_archive(url)
