"""Rollups of uptime, incidents and coverage, and the views over them.

Revision 0005, after 0004. 2026-11-24.

All that is there is noted as stale: the next run rolls it up, a year in about two minutes.
"""

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
EPOCH = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

Columns = list[tuple[str, str, str]]  # name, expression, meaning
View = tuple[str, str, Columns, list[str]]  # name, meaning, columns, what it reads; more than one: all of them


class Spelling(NamedTuple):
    """How a database spells what the two have no common word for; {} is an operand."""

    day_number: str
    hour_at: str
    midnight: str
    next_midnight: str
    day: str
    hour_before: str
    hour_after: str
    seconds: str
    now: str
    for_ever: str
    redefined_at: str
    differs: str
    least: str
    greatest: str


SQLITE = Spelling(
    day_number="CAST(unixepoch(observed_at) / 86400 AS INTEGER)",
    hour_at="datetime(h.hour_at, 'unixepoch')",
    midnight="{}",
    next_midnight="date({}, '+1 day')",
    day="date({})",
    hour_before="datetime({}, '-1 hour')",
    hour_after="datetime({}, '+1 hour')",
    seconds="(unixepoch({1}) - unixepoch({0}))",
    now="datetime('now')",
    for_ever="'9999-12-31'",
    redefined_at="'2026-10-08'",
    differs="IS NOT",
    least="min",
    greatest="max",
)
POSTGRESQL = Spelling(
    day_number="CAST(floor(extract(epoch FROM observed_at) / 86400) AS INTEGER)",
    hour_at="h.hour_at",
    midnight="(CAST({} AS TIMESTAMP) AT TIME ZONE 'UTC')",
    next_midnight="(CAST({} + 1 AS TIMESTAMP) AT TIME ZONE 'UTC')",
    day="CAST({} AT TIME ZONE 'UTC' AS DATE)",
    hour_before="{} - interval '1 hour'",
    hour_after="{} + interval '1 hour'",
    seconds="CAST(extract(epoch FROM {1} - {0}) AS BIGINT)",
    now="date_trunc('second', now())",
    for_ever="CAST('infinity' AS TIMESTAMPTZ)",
    redefined_at="CAST('2026-10-08 00:00:00+00' AS TIMESTAMPTZ)",
    differs="IS DISTINCT FROM",
    least="least",
    greatest="greatest",
)


def upgrade() -> None:
    _make_tables()
    days = f"SELECT DISTINCT model_id, {_spelling().day_number} FROM observations WHERE is_evidence"  # noqa: S608
    op.execute(f"INSERT INTO stale_rollups (model_id, day) {days}")


def downgrade() -> None:
    op.drop_index(
        "ix_observations_failed",
        table_name="observations",
        sqlite_where=sa.text("outcome = 'failed'"),
        postgresql_where=sa.text("outcome = 'failed'"),
    )
    op.drop_table("uptime_hourly")
    op.drop_index("ix_uptime_daily_day", table_name="uptime_daily")
    op.drop_table("uptime_daily")
    op.drop_index("ix_incident_spans_started_at", table_name="incident_spans")
    op.drop_table("incident_spans")
    op.drop_table("stale_rollups")
    op.drop_index("ix_evidence_gaps_started_at", table_name="evidence_gaps")
    op.drop_table("evidence_gaps")
    op.drop_index("ix_evidence_daily_day", table_name="evidence_daily")
    op.drop_table("evidence_daily")
    op.drop_table("catalogue_daily")


def _spelling() -> Spelling:
    return SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL


def _make_tables() -> None:
    op.create_table(
        "catalogue_daily",
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column("endpoints", sa.Integer(), nullable=False, comment="How many endpoints have a sample on it."),
        sa.Column("rated_endpoints", sa.Integer(), nullable=False, comment="How many of them have one with a value."),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_catalogue_daily")),
        comment="One row for one UTC day with a sample in it. Rolled up from uptime_daily.",
    )
    op.create_table(
        "evidence_daily",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column("observed", sa.Integer(), nullable=False, comment="How many of our own looks count."),
        sa.Column(
            "imported", sa.Integer(), nullable=False, comment="How many looks that others made and we loaded count."
        ),
        sa.Column(
            "lacking", sa.Integer(), nullable=False, comment="How many looks the schedule wanted and none counts."
        ),
        sa.Column("covered_seconds", sa.Integer(), nullable=False, comment="Seconds that its looks stand for."),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_evidence_daily_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_evidence_daily")),
        comment="One row for one model and UTC day with looks that count, or that lack. Rolled up from observations.",
    )
    op.create_index("ix_evidence_daily_day", "evidence_daily", ["day"])
    op.create_table(
        "evidence_gaps",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("started_at", TIME, nullable=False, comment="The last look that counts before it (UTC)."),
        sa.Column("ended_at", TIME, nullable=False, comment="The next look that counts (UTC)."),
        sa.Column("cadence_seconds", sa.Integer(), nullable=False, comment="Interval of the schedule in force."),
        sa.Column("lacking", sa.Integer(), nullable=False, comment="How many looks the schedule wanted in between."),
        sa.CheckConstraint("ended_at > started_at", name=op.f("ck_evidence_gaps_ends_after_start")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_evidence_gaps_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "started_at", name=op.f("pk_evidence_gaps")),
        comment="One row for one time, over now, in which no look at a model counts though the schedule wanted some.",
    )
    op.create_index("ix_evidence_gaps_started_at", "evidence_gaps", ["started_at"])
    op.create_table(
        "stale_rollups",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="Days since 1970-01-01 (UTC)."),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_stale_rollups_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_stale_rollups")),
        comment="One row for one model and day whose rollups must be made anew; empty but while a run is under way.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incident_spans",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column("started_at", TIME, nullable=False, comment="The first of the bad samples that opened it (UTC)."),
        sa.Column("ended_at", TIME, nullable=True, comment="From when on it is over (UTC); null: it goes on."),
        sa.Column(
            "ended_by",
            sa.Text(),
            nullable=True,
            comment="recovered, left (listed no more), silent or redefined; null: it goes on.",
        ),
        sa.Column("samples", sa.Integer(), nullable=False, comment="How many samples with a value lie in it."),
        sa.Column(
            "worst_uptime_pct", sa.Double(), nullable=False, comment="The least uptime_30m_pct in it, in percent."
        ),
        sa.CheckConstraint(
            "ended_by IN ('recovered', 'left', 'silent', 'redefined')", name=op.f("ck_incident_spans_ended_by")
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_incident_spans_end_has_a_reason")),
        sa.CheckConstraint("ended_at > started_at", name=op.f("ck_incident_spans_ends_after_start")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_incident_spans_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "started_at", name=op.f("pk_incident_spans")),
        comment="One row for one time of low uptime of an endpoint, with hysteresis. Rolled up from uptime_samples.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_incident_spans_started_at", "incident_spans", ["started_at"])
    op.create_table(
        "uptime_daily",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column(
            "uptime_pct",
            sa.Double(),
            nullable=True,
            comment="Mean of uptime_30m_pct in percent, weighted by covered seconds.",
        ),
        sa.Column("min_uptime_pct", sa.Double(), nullable=True, comment="The worst sample in percent."),
        sa.Column("samples", sa.Integer(), nullable=False, comment="How many samples have a value."),
        sa.Column(
            "covered_seconds", sa.Integer(), nullable=False, comment="Seconds that samples with a value stand for."
        ),
        sa.Column(
            "null_seconds", sa.Integer(), nullable=False, comment="Seconds that samples without a value stand for."
        ),
        sa.Column(
            "below_95_seconds", sa.Integer(), nullable=False, comment="Of those covered, with less than 95 percent."
        ),
        sa.Column(
            "below_80_seconds", sa.Integer(), nullable=False, comment="Of those covered, with less than 80 percent."
        ),
        sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name=op.f("ck_uptime_daily_mean_of_samples")),
        sa.CheckConstraint("below_95_seconds >= below_80_seconds", name=op.f("ck_uptime_daily_below_80_is_below_95")),
        sa.CheckConstraint("covered_seconds >= below_95_seconds", name=op.f("ck_uptime_daily_below_95_is_covered")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_uptime_daily_endpoint_id_endpoints")),
        sa.PrimaryKeyConstraint("endpoint_id", "day", name=op.f("pk_uptime_daily")),
        comment="One row for one endpoint and UTC day with a sample in it. Rolled up from uptime_hourly.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_uptime_daily_day", "uptime_daily", ["day"])
    op.create_table(
        "uptime_hourly",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column(
            "hour_at",
            EPOCH,
            nullable=False,
            comment="When the hour begins (UTC). On SQLite unix seconds: datetime(hour_at, 'unixepoch') reads them.",
        ),
        sa.Column(
            "uptime_pct",
            sa.Double(),
            nullable=True,
            comment="Mean of uptime_30m_pct in percent, weighted by covered seconds.",
        ),
        sa.Column("min_uptime_pct", sa.Double(), nullable=True, comment="The worst sample in percent."),
        sa.Column("samples", sa.SmallInteger(), nullable=False, comment="How many samples have a value."),
        sa.Column(
            "covered_seconds", sa.SmallInteger(), nullable=False, comment="Seconds that samples with a value stand for."
        ),
        sa.Column(
            "null_seconds", sa.SmallInteger(), nullable=False, comment="Seconds that samples without a value stand for."
        ),
        sa.Column(
            "below_95_seconds",
            sa.SmallInteger(),
            nullable=False,
            comment="Of those covered, with less than 95 percent.",
        ),
        sa.Column(
            "below_80_seconds",
            sa.SmallInteger(),
            nullable=False,
            comment="Of those covered, with less than 80 percent.",
        ),
        sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name=op.f("ck_uptime_hourly_mean_of_samples")),
        sa.CheckConstraint("below_95_seconds >= below_80_seconds", name=op.f("ck_uptime_hourly_below_80_is_below_95")),
        sa.CheckConstraint("covered_seconds >= below_95_seconds", name=op.f("ck_uptime_hourly_below_95_is_covered")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_uptime_hourly_endpoint_id_endpoints")),
        sa.PrimaryKeyConstraint("endpoint_id", "hour_at", name=op.f("pk_uptime_hourly")),
        comment="One row for one endpoint and UTC hour with a sample in it. Rolled up from uptime_samples.",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_observations_failed",
        "observations",
        ["target_id", "observed_at"],
        sqlite_where=sa.text("outcome = 'failed'"),
        postgresql_where=sa.text("outcome = 'failed'"),
    )
