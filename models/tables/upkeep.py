"""The tables of the collector's own work: what to recompute, what is final, what to deliver, what is unknown."""

from __future__ import annotations

import sqlalchemy as sa

from models.tables.columns import metadata, reference, seen_between
from models.types import Json, UtcTime

stale_rollups = sa.Table(
    "stale_rollups",
    metadata,
    reference("model_id", "models.id", "The model.", primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False, comment="Days since 1970-01-01 (UTC)."),
    sa.Column("since", UtcTime, nullable=False, comment="From this time of the day on, the rollups are stale (UTC)."),
    sqlite_with_rowid=False,
    comment="One row per model and day whose rollups must be recomputed. Empty unless a run is in progress.",
)

retention = sa.Table(
    "retention",
    metadata,
    sa.Column(
        "final_before",
        UtcTime,
        primary_key=True,
        comment="Rollups of uptime before this midnight (UTC) are final; raw samples may have been removed.",
    ),
    comment="The watermark of retention: one row once raw uptime samples were removed, none before.",
)

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("path", sa.Text, primary_key=True, comment="Position in the body, such as endpoint.pricing.video."),
    sa.Column("value", sa.Text, primary_key=True, comment="The unknown value; empty if the key itself is unknown."),
    *seen_between("it"),
    sa.Column("observations", sa.Integer, nullable=False, comment="Number of observations that contain it."),
    comment="One row per key or value in OpenRouter's bodies that this version does not know.",
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True, comment="Id of the alert's event; unique per alert."),
    sa.Column("event", sa.Text, nullable=False, comment="Name of the alert's event."),
    sa.Column("payload", Json, nullable=False, comment="The message, as docs/alerts.md describes it."),
    sa.Column("recorded_at", UtcTime, nullable=False, comment="When a collect raised the alert (UTC)."),
    sa.Column("leased_until", UtcTime, comment="Until then one process reserves its delivery (UTC); null if none."),
    sa.Column(
        "unconfirmed_attempts",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="Number of attempts without an answer from the receiver, three at most.",
    ),
    sa.Column("error", sa.Text, comment="Why the last attempt failed; null if none failed."),
    sa.Column("delivered_at", UtcTime, comment="When the receiver accepted it (UTC); null until then."),
    comment="One row per alert since a receiver was configured. Not derived from the archive: a rebuild keeps it.",
)

not_found = sa.Table(
    "not_found",
    metadata,
    sa.Column("target", sa.Text, primary_key=True, comment="The requested author/slug."),
    sa.Column("suggestion", sa.Text, comment="The known model with the most similar name; null if none is similar."),
    comment="One row per target that was never observed and is not in OpenRouter's list of models."
    " Not derived from the archive: a rebuild keeps it.",
)

NO_HISTORY = frozenset({alerts, not_found})  # not derived from the archive
