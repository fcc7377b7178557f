"""The door to the database: what it refuses and how it says so, and writers side by side."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.database import engine as engine_module
from endpoint_history.database.engine import (
    downgrade,
    location,
    migrating,
    open_engine,
    opened,
    revisions,
    translated_errors,
    upgrade,
    writing,
)
from endpoint_history.errors import HistoryError
from models.tables import runs, target_models
from tests.support.factories import MORNING

EXPECTED = "expected sqlite:///data/history.db or postgresql://user@host/name"
NO_FILE = f"DATABASE_URL: a SQLite database is a file, without options; {EXPECTED}"
PASSWORD = "hunter2"
SLASHES = (
    "DATABASE_URL: after sqlite: come three slashes and the path, as in sqlite:///data/history.db,"
    " or four for a path from the root, as in sqlite:////data/history.db"
)
NO_WINDOWS = "a path of Windows, which this machine does not have"

REFUSED_ADDRESSES = [
    ("", f"DATABASE_URL is not a database address; {EXPECTED}"),
    ("nonsense-hunter2", f"DATABASE_URL is not a database address; {EXPECTED}"),
    ("mysql://user:hunter2@127.0.0.1/name", f"DATABASE_URL: mysql is not supported; {EXPECTED}"),
    ("nosuch://user:hunter2@127.0.0.1/name", f"DATABASE_URL: nosuch is not supported; {EXPECTED}"),
    (
        "postgresql+asyncpg://user:hunter2@127.0.0.1/name",
        f"DATABASE_URL: postgresql+asyncpg is not supported; {EXPECTED}",
    ),
    ("sqlite+aiosqlite:///history.db", f"DATABASE_URL: sqlite+aiosqlite is not supported; {EXPECTED}"),
    ("sqlite://", NO_FILE),
    ("sqlite:///", NO_FILE),
    ("sqlite:///:memory:", NO_FILE),
    ("sqlite:///file:mem?mode=memory&uri=true", NO_FILE),
    ("sqlite://data/history.db", SLASHES),
    ("sqlite://history.db", SLASHES),
    ("sqlite://~/history.db", SLASHES),
    ("sqlite:///data/", "DATABASE_URL: data is a folder; name a file in it: data/history.db"),
    ("sqlite:////tmp", "DATABASE_URL: /tmp is a folder; name a file in it: /tmp/history.db"),
    ("sqlite:///$HOME/h.db", "DATABASE_URL: $HOME/h.db: $HOME is not replaced here; write the path itself"),
    ("sqlite:////x/${DATA}/h.db", "DATABASE_URL: /x/${DATA}/h.db: ${DATA} is not replaced here; write the path itself"),
    ("sqlite:///%DATA%/h.db", "DATABASE_URL: %DATA%/h.db: %DATA% is not replaced here; write the path itself"),
    ("sqlite:///100%DA/h.db", "DATABASE_URL: 100%DA/h.db: a % in the path must be written %25"),
    ("sqlite:///h%0A.db", "DATABASE_URL: h%0A.db: a path with control characters"),
    ("sqlite:////~/h.db", "DATABASE_URL: /~/h.db: ~ means a home folder only at the beginning of a path"),
    ("sqlite:///C:/data/h.db", f"DATABASE_URL: C:/data/h.db: {NO_WINDOWS}"),
    ("sqlite:///C:\\data\\h.db", f"DATABASE_URL: C:\\data\\h.db: {NO_WINDOWS}"),
    ("sqlite:////C:/data/h.db", f"DATABASE_URL: /C:/data/h.db: {NO_WINDOWS}"),
    (
        "sqlite:///data\\h.db",
        "DATABASE_URL: data\\h.db: folders are separated by /, not by a backslash",
    ),
    (
        "sqlite:///s3://bucket/h.db",
        "DATABASE_URL: s3://bucket/h.db: not a path; a URL has :// after its first word, as in s3://bucket/folder",
    ),
    (
        "sqlite:///~nobody-of-this-name/h.db",
        "DATABASE_URL: ~nobody-of-this-name/h.db: the home folder that ~ means is not known; write the path itself",
    ),
    ("data/history.db", f"DATABASE_URL is not a database address; {EXPECTED}"),
    ("sqlite:data/history.db", f"DATABASE_URL is not a database address; {EXPECTED}"),
    ("postgresql://user:hunter2@host:port/name", f"DATABASE_URL is not a database address; {EXPECTED}"),
    (
        "postgresql://user:hun@ter2@host/name",
        "DATABASE_URL: an @ in the user or the password must be written %40",
    ),
]


def _open(url: str) -> None:
    with opened(url):
        raise AssertionError("an unusable database was opened")


def _refusal(action: Callable[[str], object], url: str) -> tuple[int, str]:
    """The exit code and the message."""
    with pytest.raises(HistoryError) as refused:
        action(url)
    return refused.value.exit_code, str(refused.value)


def _back_to_base(url: str) -> None:
    downgrade(url, "base")


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _shown(url: str) -> str:
    engine = open_engine(url)
    try:
        return location(engine)
    finally:
        engine.dispose()


def _set_revision(url: str, revision: str) -> None:
    with migrating(url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        connection.commit()


def _row(name: str) -> dict[str, object]:
    return {"name": name, "kind": "collect", "source": "live", "started_at": MORNING}


def _write_twice(engine: sa.Engine, row: dict[str, object]) -> None:
    with writing(engine) as connection:
        connection.execute(sa.insert(runs).values(row))
        connection.execute(sa.insert(runs).values(row))


@pytest.mark.parametrize(("url", "message"), REFUSED_ADDRESSES)
@pytest.mark.parametrize("action", [open_engine, _open, upgrade, _back_to_base])
def test_an_unusable_address_is_refused_saying_what_is_expected(
    action: Callable[[str], object], url: str, message: str
) -> None:
    assert _refusal(action, url) == (2, message)
    assert not list(Path.cwd().iterdir())


def test_a_home_folder_in_the_address_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    upgrade("sqlite:///~/data/history.db", "0001")
    assert (tmp_path / "data/history.db").exists()
    assert not Path("~").exists()


@pytest.mark.parametrize("action", [open_engine, _open, upgrade, _back_to_base])
def test_a_sqlite_that_is_too_old_is_refused(action: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 33, 0))
    monkeypatch.setattr("sqlite3.sqlite_version", "3.33.0")
    remedy = "use a newer Python or system library, or PostgreSQL"
    expected = f"SQLite 3.33.0 is too old, 3.34 is the oldest: {remedy}"
    assert _refusal(action, "sqlite:///data/history.db") == (2, expected)
    assert not Path("data").exists()


def test_a_sqlite_without_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoint_history.database.url._knows_json", lambda: False)
    code, message = _refusal(upgrade, "sqlite:///data/history.db")
    assert (code, "was built without its JSON functions" in message) == (2, True)
    assert not Path("data").exists()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_usual_name_of_postgresql_is_taken(scheme: str, empty_postgres_url: str) -> None:
    url = empty_postgres_url.replace("postgresql+psycopg", scheme)
    upgrade(url)
    with opened(url) as engine:
        assert engine.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("action", [_open, _back_to_base])
def test_a_missing_sqlite_file_tells_how_to_make_it(action: Callable[[str], object], tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    message = f"there is no database {path} yet; run: endpoint-history db upgrade"
    assert _refusal(action, f"sqlite:///{path}") == (2, message)
    assert not path.exists()


def test_a_missing_postgresql_database_is_named_in_one_line(empty_postgres_url: str) -> None:
    code, message = _refusal(_open, str(empty_postgres_url) + "_missing")
    assert (code, message.count("\n")) == (1, 0)
    assert message.startswith("the database postgresql+psycopg://")
    assert "does not exist" in message


def test_an_empty_database_is_told_to_be_set_up(empty_database_url: str) -> None:
    with migrating(empty_database_url):
        pass
    expected = f"the database {_shown(empty_database_url)} is not set up yet; run: endpoint-history db upgrade"
    assert _refusal(_open, empty_database_url) == (2, expected)


def test_an_older_database_is_told_to_be_upgraded(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(empty_database_url, "0001")
    known = frozenset({"0001_tables", "0002_next"})
    monkeypatch.setattr(engine_module, "_known_revisions", lambda: known)
    expected = f"the database {_shown(empty_database_url)} is at revision 0001_tables; run: endpoint-history db upgrade"
    assert _refusal(_open, empty_database_url) == (2, expected)


@pytest.mark.parametrize("action", [_open, upgrade])
def test_a_database_newer_than_the_code_is_left_alone(action: Callable[[str], object], empty_database_url: str) -> None:
    upgrade(empty_database_url)
    _set_revision(empty_database_url, "9999")
    expected = (
        f"the database {_shown(empty_database_url)} is at revision 9999, which this version does not know;"
        " install a newer endpoint-history"
    )
    assert _refusal(action, empty_database_url) == (2, expected)


@pytest.mark.parametrize("action", [_open, upgrade, _back_to_base])
def test_a_server_that_is_away_is_told_in_one_line(action: Callable[[str], object]) -> None:
    port = _closed_port()
    code, message = _refusal(action, f"postgresql://user:{PASSWORD}@127.0.0.1:{port}/name")
    assert (code, message.count("\n")) == (1, 0)
    assert message.startswith(f"the database postgresql+psycopg://user:***@127.0.0.1:{port}/name can't be used: ")
    assert "refused" in message


def test_a_wrong_password_is_refused_without_being_shown(empty_postgres_url: str) -> None:
    url = sa.make_url(empty_postgres_url).set(password=PASSWORD).render_as_string(hide_password=False)
    code, message = _refusal(_open, url)
    assert (code, message.count("\n")) == (1, 0)
    assert "password authentication failed" in message
    assert PASSWORD not in message


@pytest.mark.parametrize("action", [_open, upgrade, _back_to_base])
def test_a_file_that_is_no_database_is_told_so(action: Callable[[str], object], tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Notes, and long enough to be taken for a database. " * 50)
    message = f"the database sqlite:///{path} can't be used: file is not a database"
    assert _refusal(action, f"sqlite:///{path}") == (1, message)


@pytest.mark.parametrize("move", [upgrade, downgrade])
def test_a_revision_that_nobody_knows_is_told(move: Callable[[str, str], str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    assert _refusal(lambda url: move(url, "9999"), url) == (
        2,
        f"the database {url} can't be moved: Can't locate revision identified by '9999'",
    )


def test_a_percent_encoded_path_is_decoded_and_shown_as_the_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "Kürzel, 100%41"
    said = upgrade(f"sqlite:///{tmp_path}/K%C3%BCrzel, 100%2541/history.db", "0001")
    assert said == f"sqlite:///{folder}/history.db is at revision 0001_tables"
    assert (folder / "history.db").exists()


def test_a_password_among_the_options_is_not_shown() -> None:
    assert PASSWORD not in _shown(f"postgresql://user@127.0.0.1/name?password={PASSWORD}")


def test_a_newer_database_is_not_downgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    _set_revision(url, "9999")
    assert "install a newer endpoint-history" in _refusal(_back_to_base, url)[1]


def test_a_database_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    message = f"the database {tmp_path}/data/history.db can't be made: {tmp_path}/data is not a folder"
    assert _refusal(upgrade, f"sqlite:///{tmp_path}/data/history.db") == (1, message)


def test_upgrade_makes_the_folder_and_says_where_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/folder/history.db"
    said = upgrade(url, "0001")
    assert said == f"{url} is at revision 0001_tables"
    assert (tmp_path / "new/folder/history.db").exists()


def test_rows_without_parents_are_found_after_a_migration(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url, "0001")
    with migrating(url) as connection:
        connection.execute(sa.insert(target_models).values(target_id=7, model_id=8))
        connection.commit()
    code, message = _refusal(upgrade, url)
    assert (code, message.partition(" are ")[0]) == (1, "rows without their parents")


def test_the_location_hides_the_password(empty_postgres_url: str) -> None:
    password = sa.make_url(empty_postgres_url).password
    assert password
    assert password not in _shown(empty_postgres_url)


def test_a_statement_that_fails_is_told_in_one_line(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with (
        opened(empty_database_url) as engine,
        pytest.raises(HistoryError) as refused,
        translated_errors(engine),
        engine.connect() as it,
    ):
        it.execute(sa.text("SELECT 1\nFROM nowhere"))
    assert str(refused.value).startswith(f"the database {_shown(empty_database_url)} can't be used: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 1)])
def test_sqlite_connections_are_set_up(pragma: str, value: str | int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    with opened(url) as engine, engine.connect() as connection:
        assert connection.scalar(sa.text(f"PRAGMA {pragma}")) == value


def test_the_revisions_of_an_empty_database_are_none_and_the_head(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    current, head = revisions(engine)
    engine.dispose()
    assert (current, head) == (None, "0001_tables")


def test_writers_at_once_both_finish_and_lose_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    both = threading.Barrier(2, timeout=30)

    def count(_: int) -> None:
        with opened(empty_database_url) as engine:
            both.wait()
            for _ in range(20):
                with writing(engine) as connection:
                    seen = connection.scalar(sa.select(runs.c.ok))
                    connection.execute(sa.update(runs).values(ok=int(seen or 0) + 1))

    with opened(empty_database_url) as engine, ThreadPoolExecutor(2) as pool:
        with writing(engine) as connection:
            connection.execute(sa.insert(runs).values(_row("counter")))
        list(pool.map(count, range(2)))
        with engine.connect() as connection:
            assert connection.scalar(sa.select(runs.c.ok)) == 40


def test_a_reader_is_not_held_up_by_a_writer(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine, writing(engine) as connection:
        connection.execute(sa.insert(runs).values(_row("unfinished")))
        with engine.connect() as reader:
            assert reader.scalar(sa.select(sa.func.count()).select_from(runs)) == 0


def test_what_fails_while_writing_leaves_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine:
        with pytest.raises(sa.exc.IntegrityError):
            _write_twice(engine, _row("same name"))
        with engine.connect() as connection:
            assert not connection.execute(sa.select(runs)).all()


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """Act as a user who owns nothing here: the superuser may do all, whatever the modes of files say."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become somebody else")
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_copy_that_may_only_be_read_can_be_asked(sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        with contextlib.closing(sqlite3.connect(sqlite_template)) as connection:
            connection.execute(f"VACUUM INTO '{copy}'")
        copy.chmod(0o444)
        Path(folder).chmod(0o755)
        with somebody_else(), opened(f"sqlite:///{copy}") as engine, engine.connect() as connection:
            assert connection.execute(sa.select(runs)).all() == []


def test_a_folder_that_is_closed_to_others_is_told_in_one_line() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/data/history.db"
        upgrade(url)
        Path(folder).chmod(0o755)
        with somebody_else():
            told_ = _refusal(_open, url)
    assert told_ == (1, f"the database {folder}/data/history.db can't be read: Permission denied")
