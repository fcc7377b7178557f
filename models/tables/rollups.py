"""The tables that are derived from samples and observations: sums per hour and day, incidents, gaps."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from models.tables.columns import metadata, reference
from models.types import UtcEpoch, UtcTime


def _endpoint() -> sa.Column[int]:
    return reference("endpoint_id", "endpoints.id", "The endpoint.", primary_key=True)


def _model() -> sa.Column[int]:
    return reference("model_id", "models.id", "The model.", primary_key=True)


def _day() -> sa.Column[Any]:
    return sa.Column("day", sa.Date, primary_key=True, comment="The UTC day.")


def _sums(number: type[sa.Integer], seconds: type[sa.Integer]) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("uptime_pct", sa.Double, comment="Mean of uptime_30m_pct in percent, weighted by covered seconds."),
        sa.Column("min_uptime_pct", sa.Double, comment="Lowest sample in percent."),
        sa.Column("samples", number, nullable=False, comment="Number of samples with a value."),
        sa.Column("covered_seconds", seconds, nullable=False, comment="Seconds covered by samples with a value."),
        sa.Column("null_seconds", seconds, nullable=False, comment="Seconds covered by samples without a value."),
        sa.Column("below_95_seconds", seconds, nullable=False, comment="Covered seconds with uptime below 95 percent."),
        sa.Column("below_80_seconds", seconds, nullable=False, comment="Covered seconds with uptime below 80 percent."),
        sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name="mean_of_samples"),
        sa.CheckConstraint("covered_seconds >= below_95_seconds", name="below_95_is_covered"),
        sa.CheckConstraint("below_95_seconds >= below_80_seconds", name="below_80_is_below_95"),
    ]


uptime_hourly = sa.Table(
    "uptime_hourly",
    metadata,
    _endpoint(),
    sa.Column(
        "hour_at",
        UtcEpoch,
        primary_key=True,
        comment="Start of the hour (UTC). Unix seconds on SQLite: read them with datetime(hour_at, 'unixepoch').",
    ),
    *_sums(sa.SmallInteger, sa.SmallInteger),
    sqlite_with_rowid=False,
    comment="One row per endpoint and UTC hour that has a sample. Derived from uptime_samples.",
)

uptime_daily = sa.Table(
    "uptime_daily",
    metadata,
    _endpoint(),
    _day(),
    *_sums(sa.Integer, sa.Integer),
    sqlite_with_rowid=False,
    comment="One row per endpoint and UTC day that has a sample. Derived from uptime_hourly.",
)
sa.Index("ix_uptime_daily_day", uptime_daily.c.day)

catalogue_daily = sa.Table(
    "catalogue_daily",
    metadata,
    _day(),
    sa.Column(
        "sampled_endpoints", sa.Integer, nullable=False, comment="Number of endpoints with a sample on that day."
    ),
    sa.Column("endpoints_with_uptime", sa.Integer, nullable=False, comment="Number of them with an uptime value."),
    comment="One row per UTC day that has a sample. Derived from uptime_daily.",
)

incident_spans = sa.Table(
    "incident_spans",
    metadata,
    _endpoint(),
    sa.Column("started_at", UtcTime, primary_key=True, comment="First of the low samples that opened it (UTC)."),
    sa.Column("ended_at", UtcTime, comment="End, exclusive (UTC); null while it continues."),
    sa.Column(
        "ended_by",
        sa.Text,
        comment="recovered, left (no longer listed), silent (a day without a value) or redefined (the definition of"
        " uptime changed); null while it continues.",
    ),
    sa.Column("samples", sa.Integer, nullable=False, comment="Number of samples with a value in it."),
    sa.Column("worst_uptime_pct", sa.Double, nullable=False, comment="Lowest uptime_30m_pct in it, in percent."),
    sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
    sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="end_has_a_reason"),
    sa.CheckConstraint("ended_by IN ('recovered', 'left', 'silent', 'redefined')", name="ended_by"),
    sqlite_with_rowid=False,
    comment="One row per period of low uptime of an endpoint, with hysteresis. Derived from uptime_samples.",
)
sa.Index("ix_incident_spans_started_at", incident_spans.c.started_at)


def _missed() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(
            "missed_observations",
            sa.Integer,
            nullable=False,
            comment="Number of scheduled observations that are missing or failed, and left a gap.",
        ),
        sa.Column("failed", sa.Integer, nullable=False, comment="Number of those that were made and failed."),
        sa.CheckConstraint("failed BETWEEN 0 AND missed_observations", name="failed_is_missed"),
    ]


evidence_daily = sa.Table(
    "evidence_daily",
    metadata,
    _model(),
    _day(),
    sa.Column("observed", sa.Integer, nullable=False, comment="Number of our own observations that are evidence."),
    sa.Column("imported", sa.Integer, nullable=False, comment="Number of imported observations that are evidence."),
    *_missed(),
    sa.Column("covered_seconds", sa.Integer, nullable=False, comment="Seconds covered by its evidence."),
    sa.Column("last_evidence_at", UtcTime, comment="Last evidence of the day (UTC); null if there is none."),
    comment="One row per model and UTC day that has evidence or a gap. Derived from observations.",
)
sa.Index("ix_evidence_daily_day", evidence_daily.c.day)

closed_gaps = sa.Table(
    "closed_gaps",
    metadata,
    _model(),
    sa.Column("started_at", UtcTime, primary_key=True, comment="Last evidence before the gap (UTC)."),
    sa.Column("ended_at", UtcTime, nullable=False, comment="First evidence after the gap (UTC)."),
    sa.Column("cadence_seconds", sa.Integer, nullable=False, comment="Interval of the schedule at that time."),
    *_missed(),
    sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
    comment="One row per past period without the scheduled evidence of a model. Derived from observations.",
)
sa.Index("ix_closed_gaps_started_at", closed_gaps.c.started_at)
