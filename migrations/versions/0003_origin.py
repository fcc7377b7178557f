"""Where bodies from outside lay.

Revision 0003, after 0002. 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "observations",
        sa.Column(
            "origin",
            sa.Text(),
            nullable=True,
            comment="Where a body from outside lay: file, commit, capture; null: our own look.",
        ),
    )
    op.create_index(
        "ix_observations_origin",
        "observations",
        ["origin"],
        sqlite_where=sa.text("origin IS NOT NULL"),
        postgresql_where=sa.text("origin IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_observations_origin", "observations")
    op.drop_column("observations", "origin")
