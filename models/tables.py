"""The tables of history. docs/schema.md is generated from the comments here."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from models import alerts, not_found, rollups
from models.listing import PRICE_KEYS
from models.types import ExactDecimal, Id, Json, UtcEpoch, UtcTime

metadata = rollups.metadata  # one for all: whoever has these tables has those made from them, and the alerts
NO_HISTORY = frozenset({alerts.alerts, not_found.not_found})  # not made from the archive


PARTITION_NAME = re.compile("uptime_samples_[0-9]{4}_[0-9]{2}")


def _reference(name: str, column: str, comment: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, Id, sa.ForeignKey(column), nullable=nullable, comment=comment)


def _count(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0", comment=comment)


def _is_time(column: str) -> sa.CheckConstraint:
    """SQLite has no type for times: what is text there must read as one."""
    return sa.CheckConstraint(f"{column} IS datetime({column})", name=f"{column}_is_time").ddl_if(dialect="sqlite")


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", Id, primary_key=True, comment="Surrogate key."),
    sa.Column("name", sa.Text, nullable=False, unique=True, comment="Unique name; also that of the archive bundle."),
    sa.Column("kind", sa.Text, nullable=False, comment="collect or backfill."),
    sa.Column("source", sa.Text, nullable=False, comment="Where the bodies come from: live, files, git, wayback."),
    sa.Column("cadence_seconds", sa.Integer, comment="Interval of the schedule in force; null where nothing repeats."),
    sa.Column("started_at", UtcTime, nullable=False, comment="When the run began (UTC)."),
    sa.Column("finished_at", UtcTime, comment="When it ended (UTC); null while it runs and after a crash."),
    _count("ok", "Targets whose body was read."),
    _count("gone", "Targets answered by the API's own 404."),
    _count("failed", "Targets that proved nothing."),
    sa.CheckConstraint("kind IN ('collect', 'backfill')", name="kind"),
    sa.CheckConstraint("finished_at >= started_at", name="ends_after_start"),
    comment="One row for one collect or backfill.",
)

targets = sa.Table(
    "targets",
    metadata,
    sa.Column("id", Id, primary_key=True, comment="Surrogate key."),
    sa.Column("author", sa.Text, nullable=False, comment="First part of the requested path."),
    sa.Column("slug", sa.Text, nullable=False, comment="Second part of the requested path, with its variant."),
    sa.UniqueConstraint("author", "slug"),
    comment="One row for one requested author/slug pair. Several may resolve to one model.",
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("id", Id, primary_key=True, comment="Surrogate key."),
    sa.Column("openrouter_id", sa.Text, nullable=False, unique=True, comment="The resolved model id (data.id)."),
    sa.Column("name", sa.Text, nullable=False, comment="Display name, from the newest body."),
    sa.Column("created_at", UtcTime, comment="When OpenRouter says the model was added (UTC)."),
    sa.Column("description", sa.Text, nullable=False, comment="Description, cut by upstream since 2026."),
    sa.Column("input_modalities", Json, nullable=False, comment="Sorted list, such as image, text."),
    sa.Column("output_modalities", Json, nullable=False, comment="Sorted list, such as text."),
    sa.Column("tokenizer", sa.Text, comment="Tokenizer family, where upstream names one."),
    sa.Column("instruct_type", sa.Text, comment="Instruction format, where upstream names one."),
    sa.Column("first_seen_at", UtcTime, nullable=False, comment="Oldest body that shows the model (UTC)."),
    sa.Column("last_seen_at", UtcTime, nullable=False, comment="Newest body that shows the model (UTC)."),
    sa.CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
    comment="One row for one resolved model id, however many paths lead to it.",
)

paths = sa.Table(
    "paths",
    metadata,
    sa.Column("target_id", Id, sa.ForeignKey("targets.id"), primary_key=True, comment="What was asked for."),
    sa.Column("model_id", Id, sa.ForeignKey("models.id"), primary_key=True, comment="A model that it showed."),
    comment="One row for one model that a target ever resolved to.",
)
sa.Index("ix_paths_model_id", paths.c.model_id)

observations = sa.Table(
    "observations",
    metadata,
    sa.Column("id", Id, primary_key=True, comment="Surrogate key."),
    _reference("run_id", "runs.id", "The run that looked."),
    _reference("target_id", "targets.id", "What was asked for."),
    sa.Column("observed_at", UtcTime, nullable=False, comment="When the response came (UTC, whole seconds)."),
    sa.Column("outcome", sa.Text, nullable=False, comment="ok, gone (the API's own 404) or failed (proves nothing)."),
    sa.Column("complete", sa.Boolean, nullable=False, comment="Whether it proves the absence of what it doesn't list."),
    sa.Column(
        "is_evidence",
        sa.Boolean,
        nullable=False,
        comment="Whether history rests on it: false for failed looks, and where another look outweighs it.",
    ),
    _reference("model_id", "models.id", "The model it speaks for; null where unknown.", nullable=True),
    sa.Column("http_status", sa.SmallInteger, comment="HTTP status; null when no response came."),
    sa.Column("error", sa.Text, comment="Why it failed, or which endpoints could not be read."),
    sa.Column("elapsed_ms", sa.Integer, comment="Duration of the request in milliseconds."),
    sa.Column("body_bytes", sa.Integer, comment="Size of the decoded body in bytes; null without a body."),
    sa.Column("body_digest", sa.Text, nullable=False, comment="First 16 hex digits of the body's SHA-256; else empty."),
    sa.Column("archive_line", sa.Integer, comment="Line of the run's archive bundle that holds it, from 1."),
    sa.Column("origin", sa.Text, comment="Where a body from outside lay: file, commit, capture; null: our own look."),
    sa.UniqueConstraint("target_id", "observed_at", "outcome", "body_digest"),
    sa.CheckConstraint("outcome IN ('ok', 'gone', 'failed')", name="outcome"),
    sa.CheckConstraint("outcome <> 'failed' OR (NOT complete AND NOT is_evidence)", name="failed_proves_nothing"),
    sa.CheckConstraint("outcome <> 'ok' OR model_id IS NOT NULL", name="ok_names_its_model"),
    sa.CheckConstraint("NOT is_evidence OR model_id IS NOT NULL", name="evidence_speaks_for_a_model"),
    sa.CheckConstraint("elapsed_ms >= 0 AND body_bytes >= 0 AND archive_line > 0", name="counts"),
    _is_time("observed_at"),
    comment="One row for one look at one target, whatever came of it. Rows are only ever added.",
)
sa.Index("ix_observations_model_id_observed_at", observations.c.model_id, observations.c.observed_at)
sa.Index(
    "ix_observations_gone",
    observations.c.target_id,
    observations.c.observed_at,
    sqlite_where=sa.text("outcome = 'gone'"),
    postgresql_where=sa.text("outcome = 'gone'"),
)
sa.Index(
    "ix_observations_failed",
    observations.c.target_id,
    observations.c.observed_at,
    sqlite_where=sa.text("outcome = 'failed'"),
    postgresql_where=sa.text("outcome = 'failed'"),
)
sa.Index("ix_observations_run_id", observations.c.run_id)
sa.Index(
    "ix_observations_origin",
    observations.c.origin,
    sqlite_where=sa.text("origin IS NOT NULL"),
    postgresql_where=sa.text("origin IS NOT NULL"),
)
sa.Index("ix_observations_observed_at", observations.c.observed_at)
sa.Index(
    "uq_observations_one_evidence",
    observations.c.target_id,
    observations.c.observed_at,
    unique=True,
    sqlite_where=sa.text("is_evidence"),
    postgresql_where=sa.text("is_evidence"),
)


def _terms() -> list[sa.Column[Any]]:
    return [
        sa.Column("provider_name", sa.Text, comment="Display name of the provider; providers get renamed."),
        sa.Column("context_length", sa.BigInteger, comment="Context window in tokens."),
        sa.Column("quantization", sa.Text, comment="Such as fp8; null where upstream says unknown, null or nothing."),
        sa.Column("max_completion_tokens", sa.BigInteger, comment="Longest answer in tokens; null where not limited."),
        sa.Column("max_prompt_tokens", sa.BigInteger, comment="Longest prompt in tokens; null where not limited."),
        sa.Column("supported_parameters", Json, comment="Sorted list of request parameters."),
        sa.Column("features", Json, comment="Other flags by upstream's names: supports_*, native_tools, service_tier."),
    ]


endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("id", Id, primary_key=True, comment="Surrogate key."),
    _reference("model_id", "models.id", "The model that lists it."),
    sa.Column("variant", sa.Text, nullable=False, comment="The endpoint's own model id, with :free and the like."),
    sa.Column("route", sa.Text, nullable=False, comment="Its tag; before tags: provider:NAME quantization:NAME."),
    sa.Column("ordinal", sa.Integer, nullable=False, comment="Numbers endpoints that share variant and route."),
    sa.Column("tag", sa.Text, comment="Routing slug such as deepinfra/fp8; null in bodies from before tags."),
    sa.Column("name", sa.Text, nullable=False, comment="As upstream calls it, from the newest body; not unique."),
    *_terms(),
    sa.Column("first_seen_at", UtcTime, nullable=False, comment="Oldest body that lists it (UTC)."),
    sa.Column("last_seen_at", UtcTime, nullable=False, comment="Newest body that lists it (UTC)."),
    sa.UniqueConstraint("model_id", "variant", "route", "ordinal"),
    sa.CheckConstraint("ordinal >= 0", name="ordinal"),
    sa.CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
    comment="One row for one provider's offer of a model, with its terms as last seen.",
)


def _history_key() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(
            "endpoint_id", Id, sa.ForeignKey("endpoints.id"), primary_key=True, comment="The endpoint that changed."
        ),
        sa.Column("observed_at", UtcTime, primary_key=True, comment="From when this holds (UTC)."),
        _reference("observation_id", "observations.id", "The look that proves it."),
        sa.Column("listed", sa.Boolean, nullable=False, comment="False: from here on not listed, all else is null."),
    ]


def _not_negative(column: str) -> str:
    # SQLite keeps prices as text; the cast makes the comparison numeric on both.
    return f"CAST({column} AS DOUBLE PRECISION) >= 0"


_PRICE_COLUMNS = tuple(f"{key}_usd" for key in PRICE_KEYS)
_PRICE_UNITS = {"prompt": "token of the prompt", "completion": "token of the answer", "request": "request"}

pricing_snapshots = sa.Table(
    "pricing_snapshots",
    metadata,
    *_history_key(),
    *(
        sa.Column(
            f"{key}_usd",
            ExactDecimal,
            comment=f"USD per {_PRICE_UNITS.get(key, 'unit of ' + key)}, net of discount; "
            + ("null means that it varies." if key in {"prompt", "completion"} else "null means not charged."),
        )
        for key in PRICE_KEYS
    ),
    sa.Column("varies", sa.Boolean, nullable=False, comment="Whether upstream gives -1 (varies) for any price."),
    sa.Column("discount", ExactDecimal, comment="Fraction already taken off; negative is a markup; null means none."),
    sa.Column("overrides", Json, comment="Conditional prices as published, in order; later entries win per key."),
    sa.Column("other_prices", Json, comment="Price keys that have no column yet, exact decimals as text."),
    *(sa.CheckConstraint(_not_negative(column), name=f"{column}_not_negative") for column in _PRICE_COLUMNS),
    sa.CheckConstraint(
        "NOT listed OR varies OR (prompt_usd IS NOT NULL AND completion_usd IS NOT NULL)", name="listed_has_prices"
    ),
    sa.CheckConstraint(
        "listed OR (NOT varies AND "
        + " AND ".join(f"{c} IS NULL" for c in (*_PRICE_COLUMNS, "discount", "overrides", "other_prices"))
        + ")",
        name="absent_has_no_price",
    ),
    _is_time("observed_at"),
    sa.CheckConstraint(
        " AND ".join(f"{column} NOT GLOB '*[^0-9.]*'" for column in _PRICE_COLUMNS), name="decimals"
    ).ddl_if(dialect="sqlite"),
    comment="One row for one change of an endpoint's price set; it holds until the endpoint's next row.",
)
sa.Index("ix_pricing_snapshots_observed_at", pricing_snapshots.c.observed_at)
sa.Index("ix_pricing_snapshots_observation_id", pricing_snapshots.c.observation_id)

listing_changes = sa.Table(
    "listing_changes",
    metadata,
    *_history_key(),
    *_terms(),
    sa.CheckConstraint(
        "NOT listed OR (provider_name IS NOT NULL AND supported_parameters IS NOT NULL)", name="listed_has_terms"
    ),
    sa.CheckConstraint(
        "listed OR (" + " AND ".join(f"{column.name} IS NULL" for column in _terms()) + ")", name="absent_has_no_terms"
    ),
    _is_time("observed_at"),
    sa.CheckConstraint("context_length >= 0", name="context_length"),
    comment="One row for one change of an endpoint's presence or terms; it holds until the endpoint's next row.",
)
sa.Index("ix_listing_changes_observed_at", listing_changes.c.observed_at)
sa.Index("ix_listing_changes_observation_id", listing_changes.c.observation_id)


def _sample_key() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("endpoint_id", Id, sa.ForeignKey("endpoints.id"), primary_key=True, comment="The endpoint seen."),
        sa.Column(
            "observed_at",
            UtcEpoch,
            primary_key=True,
            comment="When (UTC). On SQLite unix seconds: datetime(observed_at, 'unixepoch') reads them.",
        ),
    ]


def _percent(name: str, window: str) -> tuple[sa.Column[float], sa.CheckConstraint]:
    return (
        sa.Column(name, sa.Double, comment=f"Uptime over the last {window} in percent; null: upstream gave none."),
        sa.CheckConstraint(f"{name} BETWEEN 0 AND 100", name=name),
    )


uptime_samples = sa.Table(
    "uptime_samples",
    metadata,
    *_sample_key(),
    sa.Column("status", sa.SmallInteger, comment="0 normal, -2 degraded, -5 down, -3 deranked, -10 off, -1 unseen."),
    *_percent("uptime_5m_pct", "5 minutes"),
    *_percent("uptime_30m_pct", "30 minutes"),
    *_percent("uptime_1d_pct", "day"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (observed_at)",  # endpoint_history.database.partitions makes the months
    comment="One row for one endpoint in one look that counts. Share of requests; from 2026-10-08 on, of minutes.",
)

performance_samples = sa.Table(
    "performance_samples",
    metadata,
    *_sample_key(),
    *(
        sa.Column(f"latency_{p}_ms", sa.Double, comment=f"Latency over 30 minutes in milliseconds, {p}.")
        for p in ("p50", "p75", "p90", "p99")
    ),
    *(
        sa.Column(f"throughput_{p}_tps", sa.Double, comment=f"Throughput over 30 minutes in tokens per second, {p}.")
        for p in ("p50", "p75", "p90", "p99")
    ),
    sqlite_with_rowid=False,
    comment="The same where percentiles came, which takes an API key.",
)

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("path", sa.Text, primary_key=True, comment="Where it stands, such as endpoint.pricing.video."),
    sa.Column("value", sa.Text, primary_key=True, comment="The unknown value; empty where the key itself is unknown."),
    sa.Column("first_seen_at", UtcTime, nullable=False, comment="Oldest body that has it (UTC)."),
    sa.Column("last_seen_at", UtcTime, nullable=False, comment="Newest body that has it (UTC)."),
    sa.Column("observations", sa.Integer, nullable=False, comment="How many observations have it."),
    sa.CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
    comment="One row for one key or value of upstream that this version does not know.",
)
