"""Read DATABASE_URL: a SQLite file or a PostgreSQL database. Refuses others before anything is created."""

from __future__ import annotations

import contextlib
import functools
import sqlite3

import sqlalchemy as sa

from endpoint_history.errors import ConfigurationError
from endpoint_history.io.local_path import local_path

OLDEST_SQLITE = (3, 34)  # that of RHEL 9; the tests check all SQL against it
_EXAMPLES = "sqlite:///data/history.db or postgresql://user@host/name"


def parse_database_url(url: str) -> sa.URL:
    """Return the URL with its driver, and with `~` expanded in the path of a SQLite file.

    Raises ConfigurationError for other databases, for a path that can't be meant, and for a SQLite that is too old.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(f"DATABASE_URL is not a database address; expected {_EXAMPLES}") from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigurationError(f"DATABASE_URL: {parsed.drivername} is not supported; expected {_EXAMPLES}")
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_file(parsed, url.partition("///")[2])
    if "@" in (parsed.host or ""):
        raise ConfigurationError("DATABASE_URL: an @ in the user or the password must be written %40")
    return parsed


def _sqlite_file(url: sa.URL, written: str) -> sa.URL:
    if url.host:
        raise ConfigurationError(
            "DATABASE_URL: after sqlite: come three slashes and the path, as in sqlite:///data/history.db,"
            " or four for a path from the root, as in sqlite:////data/history.db"
        )
    name = url.database or ":memory:"
    if url.query or name.startswith(("file:", ":memory:")):
        raise ConfigurationError(f"DATABASE_URL: a SQLite database is a file, without options; expected {_EXAMPLES}")
    undecodable = "\ufffd" in name  # such as %DATA%, whose %DA is no character
    try:
        path = local_path(written if undecodable else name)
    except ValueError as error:
        raise ConfigurationError(f"DATABASE_URL: {written}: {error}") from None
    if undecodable:
        raise ConfigurationError(f"DATABASE_URL: {written}: a % in the path must be written %25")
    with contextlib.suppress(OSError):  # a folder that may not be entered is refused when the file is opened
        if name.endswith("/") or path.is_dir():
            raise ConfigurationError(f"DATABASE_URL: {path} is a folder; name a file in it: {path}/history.db")
    _refuse_old_sqlite()
    return url.set(database=str(path))


def _refuse_old_sqlite() -> None:
    remedy = "use a newer Python or system library, or PostgreSQL"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is the oldest: {remedy}")
    if not _knows_json():
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version} was built without its JSON functions: {remedy}")


@functools.cache
def _knows_json() -> bool:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            return bool(connection.execute("SELECT json_extract('[1]', '$[0]')").fetchone()[0])
        except sqlite3.OperationalError:
            return False
