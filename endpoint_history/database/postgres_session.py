"""PostgreSQL sessions that do not depend on the settings of the server, database, role or pooler."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from endpoint_history.errors import ConfigurationError

# Settings that change how values are parsed or shown. A role or database may override them (ALTER ROLE ... SET).
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "client_encoding": "UTF8",
    "extra_float_digits": "1",  # less would round doubles
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}


def postgres_engine(url: sa.URL, schema: str | None = None) -> sa.Engine:
    """Return an engine for PostgreSQL, directly or behind a pooler that may switch connections between transactions.

    Works in `schema`, or in that of the user's search path. No state outlives a transaction: there are no prepared
    statements, and each transaction sets its settings. Connecting raises ConfigurationError if the database does not
    store UTF-8.
    """
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # so writers see what was committed while they waited for the lock
        connect_args={"connect_timeout": 10, "prepare_threshold": None},
    )

    @sa.event.listens_for(engine, "connect", insert=True)
    def refuse_other_encodings(connection: Any, _: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding not in {"UTF8", None}:
            connection.close()
            raise ConfigurationError(
                f"the database {url.database} stores {encoding}, which can't hold every provider's name; make one with:"
                f" CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
            )

    settings = _SETTINGS | ({"search_path": schema} if schema else {})
    set_all = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())

    @sa.event.listens_for(engine, "begin")
    def set_up(connection: sa.Connection) -> None:
        connection.exec_driver_sql(set_all).all()

    return engine
