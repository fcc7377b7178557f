"""The tables of what each observation measured: uptime and performance. The largest tables, so every byte counts."""

from __future__ import annotations

import re

import sqlalchemy as sa

from models.tables.columns import metadata, reference
from models.types import UtcEpoch

PARTITION_NAME = re.compile("uptime_samples_[0-9]{4}_[0-9]{2}")
STATUS = "0 normal, -1 unseen, -2 degraded, -3 deranked, -5 down, -10 off."


def _key() -> list[sa.schema.SchemaItem]:
    return [
        reference("endpoint_id", "endpoints.id", "The endpoint.", primary_key=True),
        sa.Column(
            "observed_at",
            UtcEpoch,
            primary_key=True,
            comment="When (UTC). Unix seconds on SQLite: read them with datetime(observed_at, 'unixepoch').",
        ),
    ]


def uptime(window: str, text: str) -> sa.Column[float]:
    """Return the column of the uptime over a rolling window."""
    comment = f"Uptime over the last {text} in percent; null if OpenRouter gave none."
    return sa.Column(f"uptime_{window}_pct", sa.Double, comment=comment)


def uptimes() -> list[sa.Column[float]]:
    """Return the columns of the uptime over each rolling window."""
    return [uptime("5m", "5 minutes"), uptime("30m", "30 minutes"), uptime("1d", "day")]


def _percent(column: sa.Column[float]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column.name} BETWEEN 0 AND 100", name=column.name)


uptime_samples = sa.Table(
    "uptime_samples",
    metadata,
    *_key(),
    sa.Column("status", sa.SmallInteger, comment=STATUS),
    *uptimes(),
    *map(_percent, uptimes()),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (observed_at)",  # by month; the writer creates each partition before it is needed
    comment="One row per endpoint and observation that is evidence. Uptime is a share of requests; from 2026-10-08 on,"
    " a share of minutes.",
)

performance_samples = sa.Table(
    "performance_samples",
    metadata,
    *_key(),
    *(
        sa.Column(f"latency_{p}_ms", sa.Double, comment=f"Latency over 30 minutes in milliseconds, {p}.")
        for p in ("p50", "p75", "p90", "p99")
    ),
    *(
        sa.Column(f"throughput_{p}_tps", sa.Double, comment=f"Throughput over 30 minutes in tokens per second, {p}.")
        for p in ("p50", "p75", "p90", "p99")
    ),
    sqlite_with_rowid=False,
    comment="One row per endpoint and observation with performance percentiles, which require an API key.",
)
