"""The tables of what was requested and what came back: runs, targets, models and observations."""

from __future__ import annotations

import sqlalchemy as sa

from models.tables.columns import is_time, metadata, partial_index, reference, seen_between, surrogate_key
from models.types import Json, UtcTime


def _count(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0", comment=comment)


runs = sa.Table(
    "runs",
    metadata,
    surrogate_key(),
    sa.Column(
        "name", sa.Text, nullable=False, unique=True, comment="Unique name of the run and of its archive bundle."
    ),
    sa.Column("kind", sa.Text, nullable=False, comment="collect or backfill."),
    sa.Column("source", sa.Text, nullable=False, comment="Where the bodies come from: live, files, git or wayback."),
    sa.Column("cadence_seconds", sa.Integer, comment="Interval of the run's schedule; null if it has no schedule."),
    sa.Column("started_at", UtcTime, nullable=False, comment="When the run started (UTC)."),
    sa.Column("finished_at", UtcTime, comment="When the run finished (UTC); null while it runs or if it crashed."),
    _count("ok", "Number of targets with a readable body."),
    _count("gone", "Number of targets for which the API itself returned 404."),
    _count("failed", "Number of targets whose request failed or whose body could not be read."),
    sa.CheckConstraint("kind IN ('collect', 'backfill')", name="kind"),
    sa.CheckConstraint("finished_at >= started_at", name="ends_after_start"),
    comment="One row per collect or backfill.",
)

targets = sa.Table(
    "targets",
    metadata,
    surrogate_key(),
    sa.Column("author", sa.Text, nullable=False, comment="Part of the requested path before the slash."),
    sa.Column("slug", sa.Text, nullable=False, comment="Part after the slash, with its variant such as :free."),
    sa.UniqueConstraint("author", "slug"),
    comment="One row per requested author/slug pair. Several targets can resolve to the same model.",
)

models = sa.Table(
    "models",
    metadata,
    surrogate_key(),
    sa.Column("openrouter_id", sa.Text, nullable=False, unique=True, comment="Resolved model id (data.id)."),
    sa.Column("name", sa.Text, nullable=False, comment="Display name in the newest body."),
    sa.Column("created_at", UtcTime, comment="When the model was added, according to OpenRouter (UTC)."),
    sa.Column("description", sa.Text, nullable=False, comment="Description; OpenRouter shortens it since 2026."),
    sa.Column("input_modalities", Json, nullable=False, comment="Sorted list, such as image, text."),
    sa.Column("output_modalities", Json, nullable=False, comment="Sorted list, such as text."),
    sa.Column("tokenizer", sa.Text, comment="Tokenizer family; null if OpenRouter names none."),
    sa.Column("instruct_type", sa.Text, comment="Instruction format; null if OpenRouter names none."),
    *seen_between("the model"),
    comment="One row per resolved model id, however many targets resolve to it.",
)

target_models = sa.Table(
    "target_models",
    metadata,
    reference("target_id", "targets.id", "The requested target.", primary_key=True),
    reference("model_id", "models.id", "A model that it resolved to.", primary_key=True),
    comment="One row per target and model that the target resolved to at some time.",
)
sa.Index("ix_target_models_model_id", target_models.c.model_id)

observations = sa.Table(
    "observations",
    metadata,
    surrogate_key(),
    reference("run_id", "runs.id", "The run that made or imported the observation."),
    reference("target_id", "targets.id", "The requested target."),
    sa.Column("observed_at", UtcTime, nullable=False, comment="When the response arrived (UTC, whole seconds)."),
    sa.Column(
        "outcome", sa.Text, nullable=False, comment="ok, gone (the API itself returned 404) or failed (proves nothing)."
    ),
    sa.Column(
        "complete",
        sa.Boolean,
        nullable=False,
        comment="True if an endpoint that is not in the body is proved not to be listed.",
    ),
    sa.Column(
        "is_evidence",
        sa.Boolean,
        nullable=False,
        comment="True if history is derived from it; false if it failed or another observation takes precedence.",
    ),
    reference("model_id", "models.id", "The model that it is about; null if unknown.", nullable=True),
    sa.Column("http_status", sa.SmallInteger, comment="HTTP status; null if no response arrived."),
    sa.Column("error", sa.Text, comment="Why it failed, or which endpoints could not be read."),
    sa.Column("elapsed_ms", sa.Integer, comment="Duration of the request in milliseconds."),
    sa.Column("body_bytes", sa.Integer, comment="Size of the decoded body in bytes; null without a body."),
    sa.Column(
        "body_digest", sa.Text, nullable=False, comment="First 16 hex digits of the body's SHA-256; empty without one."
    ),
    sa.Column("archive_line", sa.Integer, comment="Line in the run's archive bundle, counted from 1."),
    sa.Column(
        "origin",
        sa.Text,
        comment="Source of an imported body: file, commit or capture; null if we made the request ourselves.",
    ),
    sa.UniqueConstraint("target_id", "observed_at", "outcome", "body_digest"),
    sa.CheckConstraint("outcome IN ('ok', 'gone', 'failed')", name="outcome"),
    sa.CheckConstraint("outcome <> 'failed' OR (NOT complete AND NOT is_evidence)", name="failed_proves_nothing"),
    sa.CheckConstraint("outcome <> 'ok' OR model_id IS NOT NULL", name="ok_names_its_model"),
    sa.CheckConstraint("NOT is_evidence OR model_id IS NOT NULL", name="evidence_has_a_model"),
    sa.CheckConstraint("elapsed_ms >= 0 AND body_bytes >= 0 AND archive_line > 0", name="counts"),
    is_time("observed_at"),
    comment="One row per observation of a target, whatever its outcome. Rows are only ever added.",
)
sa.Index("ix_observations_model_id_observed_at", observations.c.model_id, observations.c.observed_at)
sa.Index("ix_observations_observed_at", observations.c.observed_at)
sa.Index("ix_observations_run_id", observations.c.run_id)
_KEY = (observations.c.target_id, observations.c.observed_at)
partial_index("ix_observations_gone", "outcome = 'gone'", *_KEY)
partial_index("ix_observations_failed", "outcome = 'failed'", *_KEY)
partial_index("ix_observations_origin", "origin IS NOT NULL", observations.c.origin)
partial_index("uq_observations_one_evidence", "is_evidence", *_KEY, unique=True)
