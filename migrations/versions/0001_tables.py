"""Create the tables.

Constraints are named by the naming convention of the metadata. Comments and views are created after the migrations.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import columns as c
from migrations.columns import JSON, TIME

revision = "0001_tables"
down_revision = None
branch_labels = None
depends_on = None

PRICES = (
    *("prompt_usd", "completion_usd", "request_usd", "image_usd", "image_token_usd", "image_output_usd", "audio_usd"),
    *("audio_output_usd", "input_audio_cache_usd", "web_search_usd", "internal_reasoning_usd"),
    *("input_cache_read_usd", "input_cache_write_usd", "input_cache_write_1h_usd"),
)
TABLES = (
    *("runs", "targets", "models", "target_models", "observations", "endpoints", "pricing_snapshots"),
    *("listing_changes", "uptime_samples", "performance_samples", "uptime_hourly", "uptime_daily", "catalogue_daily"),
    *("incident_spans", "evidence_daily", "closed_gaps", "stale_rollups", "retention", "drift", "alerts", "not_found"),
)


def upgrade() -> None:
    _create_observed()
    _create_history()
    _create_samples()
    _create_sums()
    _create_incidents_and_coverage()
    _create_upkeep()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_observed() -> None:
    op.create_table(
        "runs",
        c.surrogate_key(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        *c.required(sa.Text(), "kind", "source"),
        sa.Column("cadence_seconds", sa.Integer),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        *(sa.Column(name, sa.Integer, nullable=False, server_default="0") for name in ("ok", "gone", "failed")),
        sa.CheckConstraint("kind IN ('collect', 'backfill')", name="kind"),
        sa.CheckConstraint("finished_at >= started_at", name="ends_after_start"),
    )
    op.create_table(
        "targets", c.surrogate_key(), *c.required(sa.Text(), "author", "slug"), sa.UniqueConstraint("author", "slug")
    )
    op.create_table(
        "models",
        c.surrogate_key(),
        sa.Column("openrouter_id", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", TIME),
        sa.Column("description", sa.Text, nullable=False),
        *c.required(JSON, "input_modalities", "output_modalities"),
        *c.optional(sa.Text(), "tokenizer", "instruct_type"),
        *c.seen_between(),
    )
    op.create_table("target_models", c.key("target_id", "targets"), c.key("model_id", "models"))
    c.create_index("ix_target_models_model_id", "target_models", "model_id")
    op.create_table(
        "observations",
        c.surrogate_key(),
        c.reference("run_id", "runs"),
        c.reference("target_id", "targets"),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        *c.required(sa.Boolean(), "complete", "is_evidence"),
        c.reference("model_id", "models", nullable=True),
        sa.Column("http_status", sa.SmallInteger),
        sa.Column("error", sa.Text),
        *c.optional(sa.Integer(), "elapsed_ms", "body_bytes"),
        sa.Column("body_digest", sa.Text, nullable=False),
        sa.Column("archive_line", sa.Integer),
        sa.Column("origin", sa.Text),
        sa.UniqueConstraint("target_id", "observed_at", "outcome", "body_digest"),
        sa.CheckConstraint("outcome IN ('ok', 'gone', 'failed')", name="outcome"),
        sa.CheckConstraint("outcome <> 'failed' OR (NOT complete AND NOT is_evidence)", name="failed_proves_nothing"),
        sa.CheckConstraint("outcome <> 'ok' OR model_id IS NOT NULL", name="ok_names_its_model"),
        sa.CheckConstraint("NOT is_evidence OR model_id IS NOT NULL", name="evidence_has_a_model"),
        sa.CheckConstraint("elapsed_ms >= 0 AND body_bytes >= 0 AND archive_line > 0", name="counts"),
        c.time_check(),
    )
    table_and_key = ("observations", "target_id", "observed_at")
    c.create_index("ix_observations_model_id_observed_at", "observations", "model_id", "observed_at")
    c.create_index("ix_observations_observed_at", "observations", "observed_at")
    c.create_index("ix_observations_run_id", "observations", "run_id")
    c.create_index("ix_observations_gone", *table_and_key, where="outcome = 'gone'")
    c.create_index("ix_observations_failed", *table_and_key, where="outcome = 'failed'")
    c.create_index("ix_observations_origin", "observations", "origin", where="origin IS NOT NULL")
    c.create_index("uq_observations_one_evidence", *table_and_key, where="is_evidence", unique=True)


def _create_history() -> None:
    op.create_table(
        "endpoints",
        c.surrogate_key(),
        c.reference("model_id", "models"),
        *c.required(sa.Text(), "variant", "route"),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("tag", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        *_terms(),
        *c.seen_between(),
        sa.UniqueConstraint("model_id", "variant", "route", "ordinal"),
        sa.CheckConstraint("ordinal >= 0", name="ordinal"),
    )
    absent = " AND ".join(f"{name} IS NULL" for name in (*PRICES, "discount", "overrides", "other_prices"))
    _create_changes(
        "pricing_snapshots",
        *c.optional(c.DECIMAL, *PRICES),
        sa.Column("varies", sa.Boolean, nullable=False),
        sa.Column("discount", c.DECIMAL),
        *c.optional(JSON, "overrides", "other_prices"),
        *(sa.CheckConstraint(f"CAST({name} AS DOUBLE PRECISION) >= 0", name=f"{name}_not_negative") for name in PRICES),
        sa.CheckConstraint(
            "NOT listed OR varies OR (prompt_usd IS NOT NULL AND completion_usd IS NOT NULL)", name="listed_has_prices"
        ),
        sa.CheckConstraint(f"listed OR (NOT varies AND {absent})", name="absent_has_no_price"),
        sa.CheckConstraint(" AND ".join(f"{name} NOT GLOB '*[^0-9.]*'" for name in PRICES), name="decimals").ddl_if(
            dialect="sqlite"
        ),
    )
    absent = " AND ".join(f"{term.name} IS NULL" for term in _terms())
    _create_changes(
        "listing_changes",
        *_terms(),
        sa.CheckConstraint(
            "NOT listed OR (provider_name IS NOT NULL AND supported_parameters IS NOT NULL)", name="listed_has_terms"
        ),
        sa.CheckConstraint(f"listed OR ({absent})", name="absent_has_no_terms"),
        sa.CheckConstraint("context_length >= 0", name="context_length"),
    )


def _terms() -> list[sa.Column[Any]]:
    return [
        sa.Column("provider_name", sa.Text),
        sa.Column("context_length", sa.BigInteger),
        sa.Column("quantization", sa.Text),
        *c.optional(sa.BigInteger(), "max_completion_tokens", "max_prompt_tokens"),
        *c.optional(JSON, "supported_parameters", "features"),
    ]


def _create_changes(table: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        c.key("endpoint_id", "endpoints"),
        sa.Column("observed_at", TIME, primary_key=True),
        c.reference("observation_id", "observations"),
        sa.Column("listed", sa.Boolean, nullable=False),
        *items,
        c.time_check(),
    )
    c.create_index(f"ix_{table}_observed_at", table, "observed_at")
    c.create_index(f"ix_{table}_observation_id", table, "observation_id")


def _create_samples() -> None:
    percents = ("uptime_5m_pct", "uptime_30m_pct", "uptime_1d_pct")
    op.create_table(
        "uptime_samples",
        c.key("endpoint_id", "endpoints"),
        sa.Column("observed_at", c.EPOCH, primary_key=True),
        sa.Column("status", sa.SmallInteger),
        *c.optional(sa.Double(), *percents),
        *(sa.CheckConstraint(f"{name} BETWEEN 0 AND 100", name=name) for name in percents),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (observed_at)",
    )
    op.create_table(
        "performance_samples",
        c.key("endpoint_id", "endpoints"),
        sa.Column("observed_at", c.EPOCH, primary_key=True),
        *c.optional(sa.Double(), *(f"latency_{p}_ms" for p in ("p50", "p75", "p90", "p99"))),
        *c.optional(sa.Double(), *(f"throughput_{p}_tps" for p in ("p50", "p75", "p90", "p99"))),
        sqlite_with_rowid=False,
    )


def _create_sums() -> None:
    for table, time, number in (
        ("uptime_hourly", sa.Column("hour_at", c.EPOCH, primary_key=True), sa.SmallInteger()),
        ("uptime_daily", sa.Column("day", sa.Date, primary_key=True), sa.Integer()),
    ):
        op.create_table(
            table,
            c.key("endpoint_id", "endpoints"),
            time,
            *c.optional(sa.Double(), "uptime_pct", "min_uptime_pct"),
            *c.required(number, "samples", "covered_seconds", "null_seconds", "below_95_seconds", "below_80_seconds"),
            sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name="mean_of_samples"),
            sa.CheckConstraint("covered_seconds >= below_95_seconds", name="below_95_is_covered"),
            sa.CheckConstraint("below_95_seconds >= below_80_seconds", name="below_80_is_below_95"),
            sqlite_with_rowid=False,
        )
    c.create_index("ix_uptime_daily_day", "uptime_daily", "day")
    op.create_table(
        "catalogue_daily",
        sa.Column("day", sa.Date, primary_key=True),
        *c.required(sa.Integer(), "sampled_endpoints", "endpoints_with_uptime"),
    )


def _create_incidents_and_coverage() -> None:
    op.create_table(
        "incident_spans",
        c.key("endpoint_id", "endpoints"),
        sa.Column("started_at", TIME, primary_key=True),
        sa.Column("ended_at", TIME),
        sa.Column("ended_by", sa.Text),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("worst_uptime_pct", sa.Double, nullable=False),
        sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="end_has_a_reason"),
        sa.CheckConstraint("ended_by IN ('recovered', 'left', 'silent', 'redefined')", name="ended_by"),
        sqlite_with_rowid=False,
    )
    c.create_index("ix_incident_spans_started_at", "incident_spans", "started_at")
    op.create_table(
        "evidence_daily",
        c.key("model_id", "models"),
        sa.Column("day", sa.Date, primary_key=True),
        *c.required(sa.Integer(), "observed", "imported", "missed_observations", "failed", "covered_seconds"),
        sa.Column("last_evidence_at", TIME),
        sa.CheckConstraint("failed BETWEEN 0 AND missed_observations", name="failed_is_missed"),
    )
    c.create_index("ix_evidence_daily_day", "evidence_daily", "day")
    op.create_table(
        "closed_gaps",
        c.key("model_id", "models"),
        sa.Column("started_at", TIME, primary_key=True),
        sa.Column("ended_at", TIME, nullable=False),
        *c.required(sa.Integer(), "cadence_seconds", "missed_observations", "failed"),
        sa.CheckConstraint("ended_at > started_at", name="ends_after_start"),
        sa.CheckConstraint("failed BETWEEN 0 AND missed_observations", name="failed_is_missed"),
    )
    c.create_index("ix_closed_gaps_started_at", "closed_gaps", "started_at")


def _create_upkeep() -> None:
    op.create_table(
        "stale_rollups",
        c.key("model_id", "models"),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("since", TIME, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table("retention", sa.Column("final_before", TIME, primary_key=True))
    op.create_table(
        "drift",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("path", "value")),
        *c.seen_between(),
        sa.Column("observations", sa.Integer, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("leased_until", TIME),
        sa.Column("unconfirmed_attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.Column("delivered_at", TIME),
    )
    op.create_table("not_found", sa.Column("target", sa.Text, primary_key=True), sa.Column("suggestion", sa.Text))
