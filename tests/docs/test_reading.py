"""docs/reading.md is correct: read-only access on PostgreSQL, SQLite and DuckDB."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from tests.support import exporting, postgres
from tests.support.duck import asked

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
[ROLE] = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
[SHELL] = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
[PYTHON] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
[COPY] = re.findall(r"`(sqlite3 [^`]* \"VACUUM INTO [^`]*)`", PAGE)
[COPY_URI] = re.findall(r"`(file:data/copy[^`]*)`", PAGE)
[DUCKDB] = re.findall(r"`(SELECT \* FROM 'export/[^`]*)`", PAGE)
WRITES = (
    "INSERT INTO targets (author, slug) VALUES ('a', 'b')",
    "UPDATE models SET name = 'x'",
    "DELETE FROM pricing_snapshots",
    "CREATE TABLE mine (id INTEGER)",
    "DROP VIEW current_prices",
)


@pytest.fixture(scope="module")
def owner(postgres_server: str) -> Iterator[psycopg.Connection]:
    """Return a connection of the owner of a history on PostgreSQL."""
    with postgres.database(postgres_server) as url:
        exporting.load(url, exporting.eventful_months())
        plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="module")
def analyst(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Return a connection of the role that the page creates, under a unique name, since roles belong to the server."""
    name = f"analyst_{secrets.token_hex(4)}"
    owner.execute(ROLE.replace("analyst", name).encode())
    address = make_conninfo(owner.info.dsn, user=name, password="change me")
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection
    finally:
        owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def _count(connection: psycopg.Connection, name: str) -> int:
    [row] = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()
    return int(row[0])


@pytest.mark.parametrize("name", ["current_prices", "price_changes", "observations", "uptime_samples"])
def test_the_analyst_reads_views_and_tables(analyst: psycopg.Connection, name: str) -> None:
    assert _count(analyst, name) > 1


def test_the_analyst_reads_views_of_a_later_version(analyst: psycopg.Connection, owner: psycopg.Connection) -> None:
    owner.execute("CREATE VIEW later AS SELECT 1 AS one")
    assert _count(analyst, "later") == 1


@pytest.mark.parametrize("write", WRITES)
def test_the_analyst_changes_nothing(analyst: psycopg.Connection, write: str) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        analyst.execute(write.encode())


@pytest.mark.parametrize("write", WRITES)
def test_an_analyst_who_turns_off_read_only_mode_changes_nothing(analyst: psycopg.Connection, write: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(b"BEGIN READ WRITE; " + write.encode())
    analyst.execute("ROLLBACK")


def test_the_analyst_has_utc_and_a_statement_timeout(analyst: psycopg.Connection) -> None:
    shown = [analyst.execute(f"SHOW {name}".encode()).fetchall()[0][0] for name in ("timezone", "statement_timeout")]
    assert shown == ["UTC", "1min"]


@pytest.fixture
def history(short_history: Path) -> Path:
    """Return a database at the path that the page uses."""
    Path("data").mkdir()
    return Path(shutil.copy(short_history, "data/history.db"))


@pytest.mark.parametrize("write", WRITES)
def test_a_read_only_sqlite_file_cannot_be_changed(history: Path, write: str) -> None:
    [uri] = re.findall("file:[^']*", SHELL)
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM current_prices").fetchall() == [(3,)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute(write)


def test_the_python_code_of_the_page_runs(history: Path) -> None:
    known: dict[str, tuple[str]] = {}
    exec(PYTHON, known)
    assert known["newest"][0].startswith("2026-07")


def test_a_reader_sees_only_committed_rows_while_a_writer_works(history: Path) -> None:
    with (
        closing(sqlite3.connect(history)) as writer,
        closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as r,
    ):
        before = r.execute("SELECT count(*) FROM targets").fetchall()
        writer.execute("INSERT INTO targets (author, slug) VALUES ('a', 'b')")
        assert r.execute("SELECT count(*) FROM targets").fetchall() == before
        writer.commit()
        assert r.execute("SELECT count(*) FROM targets").fetchall() != before


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3 command here")
def test_the_commands_of_the_page_read_and_copy(history: Path) -> None:
    count = "SELECT count(*) FROM current_prices;"
    assert subprocess.check_output(SHELL, shell=True, input=count, text=True) == "3\n"
    subprocess.run(COPY, shell=True, check=True)
    with closing(sqlite3.connect(COPY_URI, uri=True)) as copy:
        assert copy.execute(count).fetchall() == [(3,)]


def test_duckdb_reads_the_view_from_an_export(history_url: str) -> None:
    exporting.export_to("export", history_url)
    assert len(asked(DUCKDB)) > 1
