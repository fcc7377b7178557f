"""Sessions of PostgreSQL that do not depend on how its server, database, role or pooler is set up."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from endpoint_history.errors import ConfigurationError

# What changes how values are read or shown. A role or a database may have other values (ALTER ROLE ... SET).
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
    """An engine for PostgreSQL, directly or behind a pooler that hands each transaction to another connection.

    Works in `schema`, or where the user's search path leads. Nothing is kept between transactions: no prepared
    statements, and settings last for one transaction. Connecting raises ConfigurationError where the database does not
    store UTF-8.
    """
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # writers read what was committed while they waited for their lock
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
