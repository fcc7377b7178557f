"""A disk that gets full in the midst of a collect: of the archive, the database or its log, each on its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from aiohttp import web

from endpoint_history.database.engine import upgrade
from models.tables import observations
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support import postgres
from tests.support.collecting import ARCHIVE, collect, count, is_told_by_its_archive, settings
from tests.support.factories import at

MARKET = Market(models=6)
PATHS = MARKET.paths()
BEFORE = 2  # so many answers come before the disk is full


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(MARKET, clock=lambda: at(0))


def collect_while(simulator: Simulator, url: str, base_url: str, fill: Callable[[int], None]) -> tuple[int, str, str]:
    """The command line, in whose midst the disk gets full: `fill` is told the number of its process."""

    async def handler(request: web.Request, body: bytes) -> web.StreamResponse:
        fill(process.pid)
        return await faults.answer(200, body)(request, body)

    simulator.answers[PATHS[BEFORE]] = handler
    variables = {
        "DATABASE_URL": url,
        "ARCHIVE_URL": ARCHIVE,
        "OPENROUTER_BASE_URL": base_url,
        "REQUESTS_PER_SECOND": "0",
        "MAX_CONNECTIONS": "1",
        "PGOPTIONS": "-c synchronous_commit=on",
    }
    words = [sys.executable, "-m", "endpoint_history", "collect", "--no-prefect", *PATHS]
    with subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate(timeout=120)
    simulator.answers.clear()
    return process.returncode, out, err


def assert_all_is_there(url: str, base_url: str, lines: int) -> None:
    """Once there is room, the next collect loads the written lines, and history is that of all that was had."""
    assert collect(settings(url, base_url), PATHS, minute=30).exit_code == 0
    assert count(url, observations, observations.c.outcome == "ok") == lines + len(PATHS)
    assert is_told_by_its_archive(url)
    assert [str(path) for path in Path(ARCHIVE).rglob(".*")] == []


def limit(pid: int, size: int) -> None:
    """Let a process write no file beyond so many bytes."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_full_disk_of_the_archive(simulator: Simulator, database_url: str) -> None:
    def fill(pid: int) -> None:
        (part,) = Path(ARCHIVE).rglob(".*.part")
        limit(pid, part.stat().st_size)

    with serving(simulator) as base_url:
        code, out, err = collect_while(simulator, database_url, base_url, fill)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        assert "File too large" in err
        assert_all_is_there(database_url, base_url, BEFORE)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    upgrade(f"sqlite:///{tmp_path}/history.db")
    return f"sqlite:///{tmp_path}/history.db"


@pytest.mark.slow
def test_a_full_disk_of_sqlite_s_log(simulator: Simulator, sqlite_url: str) -> None:
    with serving(simulator) as base_url:
        # More than the lines of the archive take, and less than what is logged of them.
        code, out, _ = collect_while(simulator, sqlite_url, base_url, lambda pid: limit(pid, 20_000))
        assert (code, "8 answers wait in the archive" in out, "disk I/O error" in out) == (1, True, True), out
        assert_all_is_there(sqlite_url, base_url, len(PATHS))


def test_a_full_disk_of_sqlite_s_database(simulator: Simulator, sqlite_url: str, tmp_path: Path) -> None:
    """What is stored stays in the log, which a later run moves into the database."""
    log = tmp_path / "history.db-wal"
    with serving(simulator) as base_url:
        # More than is logged of the lines, and less than the database has already.
        code, out, err = collect_while(simulator, sqlite_url, base_url, lambda pid: limit(pid, 200_000))
        assert (code, log.exists()) == (0, True), out + err
        assert_all_is_there(sqlite_url, base_url, len(PATHS))
    assert not log.exists()


def client_backends(connection: psycopg.Connection) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
    return [pid for (pid,) in connection.execute(query)]


def test_a_full_disk_of_postgresql(simulator: Simulator, cluster: postgres.Cluster) -> None:
    def fill(_: int) -> None:
        with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SELECT pg_switch_wal()")  # a new file of the log: it is no larger than the others
            cluster.limit_files([cluster.pid, *client_backends(connection)], 20_000)

    with serving(simulator) as base_url:
        code, out, _ = collect_while(simulator, cluster.url, base_url, fill)
        assert (code, "8 answers wait in the archive" in out, "could not extend file" in out) == (1, True, True), out
        cluster.limit_files([cluster.pid], None)
        assert_all_is_there(cluster.url, base_url, len(PATHS))


@pytest.mark.slow
def test_a_full_disk_of_postgresql_s_log(simulator: Simulator, cluster: postgres.Cluster) -> None:
    """The server falls, and can't recover before there is room."""

    def fill(_: int) -> None:
        with psycopg.connect(cluster.url.replace("+psycopg", ""), autocommit=True) as connection:
            # Less than where the log goes on, and more than the largest table has.
            cluster.limit_files([cluster.pid, *client_backends(connection)], 2_000_000)

    with serving(simulator) as base_url:
        code, out, err = collect_while(simulator, cluster.url, base_url, fill)
        assert (code, out) == (1, ""), err
        assert "all 8 answers are kept in the archive" in err.splitlines()[-1]
        assert "PANIC:  could not write to log file" in cluster.log.read_text()
        cluster.stop()
        cluster.start()
        assert_all_is_there(cluster.url, base_url, len(PATHS))
