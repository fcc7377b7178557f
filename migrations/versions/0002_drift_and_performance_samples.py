"""Drift and performance samples.

Revision 0002, after 0001. 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
EPOCH = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "drift",
        sa.Column("path", sa.Text(), nullable=False, comment="Where it stands, such as endpoint.pricing.video."),
        sa.Column(
            "value", sa.Text(), nullable=False, comment="The unknown value; empty where the key itself is unknown."
        ),
        sa.Column("first_seen_at", TIME, nullable=False, comment="Oldest body that has it (UTC)."),
        sa.Column("last_seen_at", TIME, nullable=False, comment="Newest body that has it (UTC)."),
        sa.Column("observations", sa.Integer(), nullable=False, comment="How many observations have it."),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f("ck_drift_seen_in_order")),
        sa.PrimaryKeyConstraint("path", "value", name=op.f("pk_drift")),
        comment="One row for one key or value of upstream that this version does not know.",
    )
    op.create_table(
        "performance_samples",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint seen."),
        sa.Column(
            "observed_at",
            EPOCH,
            nullable=False,
            comment="When (UTC). On SQLite unix seconds: datetime(observed_at, 'unixepoch') reads them.",
        ),
        sa.Column(
            "latency_p50_ms", sa.Double(), nullable=True, comment="Latency over 30 minutes in milliseconds, p50."
        ),
        sa.Column(
            "latency_p75_ms", sa.Double(), nullable=True, comment="Latency over 30 minutes in milliseconds, p75."
        ),
        sa.Column(
            "latency_p90_ms", sa.Double(), nullable=True, comment="Latency over 30 minutes in milliseconds, p90."
        ),
        sa.Column(
            "latency_p99_ms", sa.Double(), nullable=True, comment="Latency over 30 minutes in milliseconds, p99."
        ),
        sa.Column(
            "throughput_p50_tps",
            sa.Double(),
            nullable=True,
            comment="Throughput over 30 minutes in tokens per second, p50.",
        ),
        sa.Column(
            "throughput_p75_tps",
            sa.Double(),
            nullable=True,
            comment="Throughput over 30 minutes in tokens per second, p75.",
        ),
        sa.Column(
            "throughput_p90_tps",
            sa.Double(),
            nullable=True,
            comment="Throughput over 30 minutes in tokens per second, p90.",
        ),
        sa.Column(
            "throughput_p99_tps",
            sa.Double(),
            nullable=True,
            comment="Throughput over 30 minutes in tokens per second, p99.",
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_performance_samples_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "observed_at", name=op.f("pk_performance_samples")),
        comment="The same where percentiles came, which takes an API key.",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("performance_samples")
    op.drop_table("drift")
