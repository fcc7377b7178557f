"""The monthly partitions of `uptime_samples` on PostgreSQL, created before anything is inserted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from endpoint_history.database.engine import writing

_PATIENCE = "2s"  # a session that waits for a table lock blocks all later ones
_SMALL_BYTES = 2**20
_ROW_BYTES, _HOLLOW = 110, 3  # a row with its key; a partition this many times larger is mostly empty
_LOCK_NOT_AVAILABLE = "55P03"
_PARTITIONS = """
SELECT partition.relname FROM pg_inherits
JOIN pg_class AS partition ON partition.oid = inhrelid
JOIN pg_class AS parent ON parent.oid = inhparent
WHERE parent.relname = 'uptime_samples' AND parent.relnamespace = CAST(%s AS regnamespace)
"""
_PRIMARY_KEY = """
SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = CAST(%s AS regclass) AND indisprimary
"""


def create_partitions(connection: sa.Connection, times: Iterable[datetime]) -> None:
    """Create the missing partitions for samples of these aware times. Does nothing on SQLite.

    Inside a write transaction. A table is created and then attached, which does not block readers.
    """
    if connection.dialect.name == "postgresql":
        _make({f"{time.astimezone(UTC):uptime_samples_%Y_%m}" for time in times}, connection)


def copy_partitions(connection: sa.Connection, schema: str) -> None:
    """Create the partitions that the table of another schema has."""
    if connection.dialect.name == "postgresql":
        _make(_names(connection, schema), connection)


def release_partitions(engine: sa.Engine, before: datetime) -> None:
    """Release the space of removed samples in months that end before this aware time, unless a reader holds them.

    Drops empty partitions and rewrites those that are mostly empty. SQLite reuses such space by itself.
    """
    if engine.dialect.name != "postgresql":
        return
    last = f"{before.astimezone(UTC):uptime_samples_%Y_%m}"
    with engine.connect() as connection:
        here = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        names = sorted(name for name in _names(connection, here) if name < last)
    for name in names:
        try:
            _free(engine, name)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise


def _free(engine: sa.Engine, name: str) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        rows = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608
        size = connection.exec_driver_sql("SELECT pg_total_relation_size(%s)", (name,)).scalar_one()
        if not rows:
            connection.exec_driver_sql(f"DROP TABLE {name}")
    if rows and size > _SMALL_BYTES and size > _HOLLOW * _ROW_BYTES * rows:
        # Not VACUUM FULL: it runs outside transactions, where no lock timeout can be set behind a pooler.
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            key = connection.exec_driver_sql(_PRIMARY_KEY, (name,)).scalar_one()
            connection.exec_driver_sql(f"CLUSTER {name} USING {key}")


def _make(names: set[str], connection: sa.Connection) -> None:
    here = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    for name in sorted(names - _names(connection, here)):
        month = datetime.strptime(name, "uptime_samples_%Y_%m").replace(tzinfo=UTC)
        after = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        bounds = f"FROM ('{month.isoformat()}') TO ('{after.isoformat()}')"
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE uptime_samples INCLUDING ALL)")
        connection.exec_driver_sql(f"ALTER TABLE uptime_samples ATTACH PARTITION {name} FOR VALUES {bounds}")


def _names(connection: sa.Connection, schema: str) -> set[str]:
    return set(connection.exec_driver_sql(_PARTITIONS, (schema,)).scalars())
