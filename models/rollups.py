"""The tables that are made from the others, and made anew where those changed: sums over hours and days, spans."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from models.types import Id, UtcEpoch, UtcTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _endpoint() -> sa.Column[int]:
    return sa.Column("endpoint_id", Id, sa.ForeignKey("endpoints.id"), primary_key=True, comment="The endpoint.")


def _model() -> sa.Column[int]:
    return sa.Column("model_id", Id, sa.ForeignKey("models.id"), primary_key=True, comment="The model.")


def _day() -> sa.Column[Any]:
    return sa.Column("day", sa.Date, primary_key=True, comment="The UTC day.")


def _sums(number: type[sa.Integer], seconds: type[sa.Integer]) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("uptime_pct", sa.Double, comment="Mean of uptime_30m_pct in percent, weighted by covered seconds."),
        sa.Column("min_uptime_pct", sa.Double, comment="The worst sample in percent."),
        sa.Column("samples", number, nullable=False, comment="How many samples have a value."),
        sa.Column("covered_seconds", seconds, nullable=False, comment="Seconds that samples with a value stand for."),
        sa.Column("null_seconds", seconds, nullable=False, comment="Seconds that samples without a value stand for."),
        sa.Column("below_95_seconds", seconds, nullable=False, comment="Of those covered, with less than 95 percent."),
        sa.Column("below_80_seconds", seconds, nullable=False, comment="Of those covered, with less than 80 percent."),
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
        comment="When the hour begins (UTC). On SQLite unix seconds: datetime(hour_at, 'unixepoch') reads them.",
    ),
    *_sums(sa.SmallInteger, sa.SmallInteger),
    sqlite_with_rowid=False,
    comment="One row for one endpoint and UTC hour with a sample in it. Rolled up from uptime_samples.",
)

uptime_daily = sa.Table(
    "uptime_daily",
    metadata,
    _endpoint(),
    _day(),
    *_sums(sa.Integer, sa.Integer),
    sqlite_with_rowid=False,
    comment="One row for one endpoint and UTC day with a sample in it. Rolled up from uptime_hourly.",
)
sa.Index("ix_uptime_daily_day", uptime_daily.c.day)

catalogue_daily = sa.Table(
    "catalogue_daily",
    metadata,
    _day(),
    sa.Column("endpoints", sa.Integer, nullable=False, comment="How many endpoints have a sample on it."),
    sa.Column("rated_endpoints", sa.Integer, nullable=False, comment="How many of them have one with a value."),
    comment="One row for one UTC day with a sample in it. Rolled up from uptime_daily.",
)

incident_spans = sa.Table(
    "incident_spans",
    metadata,
    _endpoint(),
    sa.Column("started_at", UtcTime, primary_key=True, comment="The first of the bad samples that opened it (UTC)."),
    sa.Column("ended_at", UtcTime, comment="From when on it is over (UTC); null: it goes on."),
    sa.Column("ended_by", sa.Text, comment="recovered, left (listed no more), silent or redefined; null: it goes on."),
    sa.Column("samples", sa.Integer, nullable=False, comment="How many samples with a value lie in it."),
    sa.Column("worst_uptime_pct", sa.Double, nullable=False, comment="The least uptime_30m_pct in it, in percent."),
    sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
    sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="end_has_a_reason"),
    sa.CheckConstraint("ended_by IN ('recovered', 'left', 'silent', 'redefined')", name="ended_by"),
    sqlite_with_rowid=False,
    comment="One row for one time of low uptime of an endpoint, with hysteresis. Rolled up from uptime_samples.",
)
sa.Index("ix_incident_spans_started_at", incident_spans.c.started_at)

evidence_daily = sa.Table(
    "evidence_daily",
    metadata,
    _model(),
    _day(),
    sa.Column("observed", sa.Integer, nullable=False, comment="How many of our own looks count."),
    sa.Column("imported", sa.Integer, nullable=False, comment="How many looks that others made and we loaded count."),
    sa.Column("lacking", sa.Integer, nullable=False, comment="How many looks the schedule wanted and none counts."),
    sa.Column("failed", sa.Integer, nullable=False, comment="How many of those that lack were made and failed."),
    sa.Column("covered_seconds", sa.Integer, nullable=False, comment="Seconds that its looks stand for."),
    sa.Column("last_look_at", UtcTime, comment="The last look that counts (UTC); null: none of this day does."),
    sa.CheckConstraint("failed BETWEEN 0 AND lacking", name="failed_is_lacking"),
    comment="One row for one model and UTC day with looks that count, or that lack. Rolled up from observations.",
)
sa.Index("ix_evidence_daily_day", evidence_daily.c.day)

evidence_gaps = sa.Table(
    "evidence_gaps",
    metadata,
    _model(),
    sa.Column("started_at", UtcTime, primary_key=True, comment="The last look that counts before it (UTC)."),
    sa.Column("ended_at", UtcTime, nullable=False, comment="The next look that counts (UTC)."),
    sa.Column("cadence_seconds", sa.Integer, nullable=False, comment="Interval of the schedule in force."),
    sa.Column("lacking", sa.Integer, nullable=False, comment="How many looks the schedule wanted in between."),
    sa.Column("failed", sa.Integer, nullable=False, comment="How many of those were made and failed."),
    sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
    sa.CheckConstraint("failed BETWEEN 0 AND lacking", name="failed_is_lacking"),
    comment="One row for one time, over now, in which no look at a model counts though the schedule wanted some.",
)
sa.Index("ix_evidence_gaps_started_at", evidence_gaps.c.started_at)

stale_rollups = sa.Table(
    "stale_rollups",
    metadata,
    _model(),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="Days since 1970-01-01 (UTC)."),
    sa.Column("since", UtcTime, nullable=False, comment="From when on, on that day, they are stale (UTC)."),
    sqlite_with_rowid=False,
    comment="One row for one model and day whose rollups must be made anew; empty but while a run is under way.",
)

retention = sa.Table(
    "retention",
    metadata,
    sa.Column(
        "settled_before",
        UtcTime,
        primary_key=True,
        comment="Before this midnight (UTC) rollups of uptime are final, and raw samples may be gone.",
    ),
    comment="One row once raw uptime samples have been thinned; none while all are kept.",
)
