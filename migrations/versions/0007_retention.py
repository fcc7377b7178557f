"""Before when raw uptime samples may be gone.

Revision 0007, after 0006. 2026-11-25.
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
            comment="Before this midnight (UTC) rollups of uptime are final, and raw samples may be gone.",
        ),
        sa.PrimaryKeyConstraint("settled_before", name=op.f("pk_retention")),
        comment="One row once raw uptime samples have been thinned; none while all are kept.",
    )


def downgrade() -> None:
    op.drop_table("retention")
