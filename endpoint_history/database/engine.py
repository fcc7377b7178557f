"""The door to the database: engines, write transactions, migrations, and errors as one line."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from endpoint_history.database.postgres_session import postgres_engine
from endpoint_history.database.sqlite_file import (
    make_sqlite_file,
    refuse_dropping_columns,
    refuse_missing_file,
    sqlite_engine,
    sqlite_hint,
)
from endpoint_history.database.url import parse_database_url
from endpoint_history.errors import ConfigurationError, HistoryError
from models.tables import PARTITION_NAME, metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parents[2] / "migrations"

_WRITERS_LOCK = 716_501_204  # an arbitrary number that only this project's writers lock
_WAIT_SECONDS = 30
_BEFORE_RELEASE = re.compile("00(0[1-9]|1[0-2])")  # revisions of versions that were never released


def open_engine(url: str, schema: str | None = None) -> sa.Engine:
    """Return an engine for SQLite (WAL, foreign keys enforced) or PostgreSQL, there in another schema if one is given.

    Does not connect yet. Raises ConfigurationError for other databases.
    """
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite":
        return sqlite_engine(parsed, foreign_keys=True, wait_seconds=_WAIT_SECONDS)
    return postgres_engine(parsed, schema)


@contextlib.contextmanager
def opened(url: str, *, must_answer: bool = True) -> Iterator[sa.Engine]:
    """Open an engine whose schema is checked, and close it at the end. Raises as check_schema does.

    With `must_answer=False`, an unreachable database is accepted; if it answers, its schema is still checked.
    """
    engine = open_engine(url)
    try:
        try:
            check_schema(engine)
        except ConfigurationError:
            raise
        except HistoryError:
            if must_answer:
                raise
        yield engine
    finally:
        engine.dispose()


def location(engine: sa.Engine) -> str:
    """Return the address for people, without password and options, which may hold one too."""
    server = engine.url.set(query={}, database="").render_as_string(hide_password=True)
    return f"{server}{engine.url.database or ''}"


@contextlib.contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a write transaction. Only one runs at a time in all processes, so its reads stay true until it commits."""
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        lock_writers(connection)
        yield connection


def lock_writers(connection: sa.Connection) -> None:
    """Lock out other writers of the same tables until the transaction ends.

    Waits 30 seconds at most: behind a hung writer, every later run would wait forever.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{_WAIT_SECONDS * 1000:.0f}", True)))
        schema = sa.func.hashtext(sa.func.current_schema())
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS_LOCK, schema)))
    else:
        connection.exec_driver_sql("SELECT 1")  # SQLite locks at the transaction's first statement


@contextlib.contextmanager
def translated_errors(engine: sa.Engine) -> Iterator[None]:
    """Raise errors of the database inside as HistoryError with one line."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        cause = getattr(error, "orig", error)
        reason = " ".join(str(cause).split()) + sqlite_hint(cause)
        raise HistoryError(f"the database {location(engine)} can't be used: {reason}") from error


@contextlib.contextmanager
def migrating(url: str) -> Iterator[sa.Connection]:
    """A connection for migrations: rebuilding a SQLite table with foreign keys on would delete its children."""
    from alembic.util import CommandError  # noqa: PLC0415 - most commands do without Alembic and start fast

    parsed = parse_database_url(url)
    on_sqlite = parsed.get_backend_name() == "sqlite"
    engine = sqlite_engine(parsed, foreign_keys=False, wait_seconds=_WAIT_SECONDS) if on_sqlite else open_engine(url)
    try:
        with translated_errors(engine), engine.connect() as connection:
            yield connection
    except CommandError as error:
        raise ConfigurationError(f"the database {location(engine)} can't be moved: {error}") from None
    finally:
        engine.dispose()


def upgrade(url: str, revision: str = "head") -> str:
    """Bring the schema to `revision`, making the database where SQLite has none yet. Says where it is now."""
    from alembic import command  # noqa: PLC0415 - as above

    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite":
        make_sqlite_file(parsed)
    with migrating(url) as connection:
        refuse_other_versions(connection)
        command.upgrade(_config(connection), revision)
        _refuse_orphans(connection)
        return _place(connection)


def downgrade(url: str, revision: str) -> str:
    """Take the schema back to `revision`. Says where it is now."""
    from alembic import command  # noqa: PLC0415 - as above

    parsed = parse_database_url(url)
    _refuse_missing(parsed)
    if parsed.get_backend_name() == "sqlite":
        refuse_dropping_columns()
    with migrating(url) as connection:
        refuse_other_versions(connection)
        command.downgrade(_config(connection), revision)
        return _place(connection)


def revisions(engine: sa.Engine) -> tuple[str | None, str]:
    """The schema revision of the database (None: no schema yet), and the one of this version."""
    with engine.connect() as connection:
        return _current(connection), max(_known_revisions())


def check_schema(engine: sa.Engine) -> None:
    """Raise unless the schema is exactly that of this version: ConfigurationError saying what to do."""
    _refuse_missing(engine.url)
    with translated_errors(engine):
        current, head = revisions(engine)
    if current == head:
        return
    if current is None or current in _known_revisions():
        found = f"at revision {current}" if current else "not set up yet"
        raise ConfigurationError(f"the database {location(engine)} is {found}; run: endpoint-history db upgrade")
    raise _other_version(current, engine)


def differences(engine: sa.Engine) -> list[Any]:
    """What differs between the tables in the database and those of this version; empty if nothing does."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - as above
    from alembic.migration import MigrationContext  # noqa: PLC0415

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "include_name": is_ours}
        )
        return list(compare_metadata(context, metadata))


def is_ours(name: str | None, kind: str, _: Any) -> bool:
    """Whether Alembic has to compare this: the partitions of a table are not in the tables of this version."""
    return kind != "table" or name is None or not PARTITION_NAME.fullmatch(name)


def _refuse_missing(url: sa.URL) -> None:
    if url.get_backend_name() == "sqlite":
        refuse_missing_file(url)


def _place(connection: sa.Connection) -> str:
    current = _current(connection)
    return f"{location(connection.engine)} is at revision {current or 'none'}"


def _config(connection: sa.Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _current(connection: sa.Connection) -> str | None:
    """Return the revision that Alembic noted in the database, without importing Alembic, which takes long."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@functools.cache
def _known_revisions() -> frozenset[str]:
    """Return the revisions of this version: the name of a migration's file is its revision."""
    return frozenset(path.stem for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def refuse_other_versions(connection: sa.Connection) -> None:
    """Raise ConfigurationError if the database is at a revision that this version does not know."""
    current = _current(connection)
    connection.rollback()
    if current is not None and current not in _known_revisions():
        raise _other_version(current, connection.engine)


def _other_version(revision: str, engine: sa.Engine) -> ConfigurationError:
    where = location(engine)
    if not _BEFORE_RELEASE.fullmatch(revision):
        return ConfigurationError(
            f"the database {where} is at revision {revision}, which this version does not know;"
            " install a newer endpoint-history"
        )
    file = engine.url.database
    start = f"mv {file} {file}.old" if engine.dialect.name == "sqlite" else "name a new database in DATABASE_URL"
    return ConfigurationError(
        f"the database {where} was made by an earlier version (revision {revision}) and has to be rebuilt from its"
        f" archive; {start}, then run: endpoint-history db upgrade && endpoint-history backfill archive"
    )


def _refuse_orphans(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise HistoryError("rows without their parents are in the database after the migration; restore a copy")
