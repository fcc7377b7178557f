"""The oldest SQLite that is supported, 3.34: no SQL is newer, and what was written by a newer one can be read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import migrating, open_engine, upgrade
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.oldest_sqlite import newer_words

ROOT = Path(__file__).parents[2]
# A libsqlite3.so.0 of another version, loaded instead of the one that Python links to (on Linux).
OLD_SQLITE = os.environ.get("OLD_SQLITE")
MARKET = Market(models=3)
SAID_NEWER = [
    "SELECT value ->> 'a' FROM t",
    "SELECT value->'a' FROM t",
    "SELECT unixepoch(at) FROM t",
    "INSERT INTO t VALUES (1) RETURNING id",
    "WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a",
    "SELECT a IS NOT DISTINCT FROM b FROM t",
    "SELECT * FROM a FULL OUTER JOIN b",
    "SELECT floor(a), exp (b) FROM t",
    "CREATE TABLE t (a INT) STRICT",
    "SELECT string_agg(a, ',') FROM t",
]
SAID_ALWAYS = [
    "SELECT json_extract(value, '$.a'), datetime(at, 'unixepoch') FROM t -- not ->> or RETURNING",
    'SELECT "returning", max(a, b), date(at) FROM t WHERE a IS NOT b',
    "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
]


@pytest.mark.parametrize("sql", SAID_NEWER)
def test_newer_words_are_found(sql: str) -> None:
    assert newer_words(sql) != []


@pytest.mark.parametrize("sql", SAID_ALWAYS)
def test_older_words_are_let_be(sql: str) -> None:
    assert newer_words(sql) == []


@pytest.mark.parametrize("name", ["docs/queries.md", "docs/data-notes.md", "docs/reading.md", "datasette.yaml"])
def test_documented_questions_have_no_newer_words(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.findall(r"```sql\n(.*?)```", text, re.DOTALL) if name.endswith(".md") else [text]
    assert [newer_words(block) for block in blocks if newer_words(block)] == []


def test_a_statement_with_newer_words_fails_its_test(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/any.db")
    with pytest.raises(AssertionError, match="unixepoch"), engine.connect() as connection:
        connection.execute(sa.text("SELECT unixepoch('now')"))
    engine.dispose()


def _views(url: str) -> dict[str, str]:
    with migrating(url) as connection:
        rows = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
        return {row.name: row.sql for row in rows}


def test_no_view_has_newer_words(sqlite_template: Path) -> None:
    views = _views(f"sqlite:///{sqlite_template}")
    assert len(views) > 10
    assert [name for name, text in views.items() if newer_words(text)] == []


def test_views_with_newer_words_are_replaced(sqlite_template: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"
    with migrating(url) as connection:
        for name in ("conditional_prices", "hourly_uptime"):
            connection.execute(sa.text(f"DROP VIEW {name}"))
            connection.execute(sa.text(f"CREATE VIEW {name} AS SELECT '->>' AS as_it_was"))
        connection.commit()
    upgrade(url)
    assert _views(url) == _views(f"sqlite:///{sqlite_template}")


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving(Simulator(MARKET)) as base_url:
        monkeypatch.setenv("OPENROUTER_BASE_URL", base_url)
        monkeypatch.setenv("REQUESTS_PER_SECOND", "0")
        Path("targets.toml").write_text(f"targets = {list(MARKET.paths())}")
        yield


def _run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "endpoint_history", *words],
        env=os.environ | {"LD_PRELOAD": str(OLD_SQLITE), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.skipif(not OLD_SQLITE, reason="OLD_SQLITE names no libsqlite3.so.0 of 3.34 to run the commands with")
def test_every_command_works_with_the_oldest_sqlite(upstream: None) -> None:
    _run("db", "upgrade")
    for _ in range(2):
        _run("collect", "--no-prefect")
    _run("backfill", "archive")
    _run("backfill", "archive", "--verify")
    _run("backfill", "archive", "--rebuild")
    _run("maintain")
    _run("status")
    _run("db", "check")
    _run("cheapest", "--model", MARKET.paths()[0], "--input-tokens", "1000", "--output-tokens", "500")
    _run("export", "exported")
    _run("site", "pages")
    assert Path("pages/index.html").exists()
