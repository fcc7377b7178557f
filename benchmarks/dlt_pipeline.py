"""dlt, set up for a fair comparison: telemetry off, its state in a folder of ours, SQLite opened as we open it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import sqlalchemy as sa

SCD2: Any = {"disposition": "merge", "strategy": "scd2"}


@contextmanager
def dlt_pipeline(url: str, folder: Path, name: str = "endpoints") -> Iterator[dlt.Pipeline]:
    """A pipeline into this SQLite or PostgreSQL database."""
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR", DLT_DATA_DIR=str(folder))
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        yield dlt.pipeline(name, str(folder), destination=dlt.destinations.postgres(plain), dataset_name=name)
        return
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _configure)
    try:
        destination = dlt.destinations.sqlalchemy(engine)
        yield dlt.pipeline(name, str(folder), destination=destination, dataset_name="main")  # all in the one file
    finally:
        engine.dispose()


def _configure(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
