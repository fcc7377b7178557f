"""From when on raw uptime samples are kept.

Revision 0007, after 0006. 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column(
            "settled_before",
            TIME,
            nullable=False,
            comment="The rollups of uptime before this midnight (UTC) are final: late samples leave them as they are.",
        ),
        sa.PrimaryKeyConstraint("settled_before", name=op.f("pk_retention")),
        comment="One row once raw samples have been removed; none while all are kept.",
    )


def downgrade() -> None:
    op.drop_table("retention")
