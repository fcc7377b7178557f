"""The alerts that were to be sent, which is no history: nothing else tells what was delivered."""

from __future__ import annotations

import sqlalchemy as sa

from models.rollups import metadata
from models.types import Json, UtcTime

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True, comment="The id of its event: one alert has one row."),
    sa.Column("event", sa.Text, nullable=False, comment="The name of its event."),
    sa.Column("payload", Json, nullable=False, comment="What is sent: docs/alerts.md."),
    sa.Column("recorded_at", UtcTime, nullable=False, comment="When a collect found it (UTC)."),
    sa.Column("sending_until", UtcTime, comment="Until then whoever is sending it has it alone (UTC); null: nobody."),
    sa.Column(
        "unanswered",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="How often it was sent and nobody knows whether it came: three times at most.",
    ),
    sa.Column("error", sa.Text, comment="Why the last attempt failed; null: none did."),
    sa.Column("delivered_at", UtcTime, comment="When the receiver took it (UTC); null: not yet."),
    comment="One row for one alert since a receiver was set up. Not made from the archive: a rebuild keeps it.",
)
