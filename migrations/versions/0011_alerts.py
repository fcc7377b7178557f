"""The alerts that were to be sent, and which of them were delivered.

Revision 0011, after 0010. 2026-11-30.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("event_id", sa.Text(), nullable=False, comment="The id of its event: one alert has one row."),
        sa.Column("event", sa.Text(), nullable=False, comment="The name of its event."),
        sa.Column("payload", JSON, nullable=False, comment="What is sent: docs/alerts.md."),
        sa.Column("recorded_at", TIME, nullable=False, comment="When a collect found it (UTC)."),
        sa.Column("sending_until", TIME, comment="Until then whoever is sending it has it alone (UTC); null: nobody."),
        sa.Column(
            "unanswered",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="How often it was sent and nobody knows whether it came: three times at most.",
        ),
        sa.Column("error", sa.Text(), comment="Why the last attempt failed; null: none did."),
        sa.Column("delivered_at", TIME, comment="When the receiver took it (UTC); null: not yet."),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_alerts")),
        comment="One row for one alert since a receiver was set up. Not made from the archive: a rebuild keeps it.",
    )


def downgrade() -> None:
    op.drop_table("alerts")
