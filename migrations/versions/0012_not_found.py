"""The targets that collects did not find.

Revision 0012, after 0011. 2026-11-30.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "not_found",
        sa.Column("target", sa.Text(), nullable=False, comment="The author/slug that was asked for."),
        sa.Column("suggestion", sa.Text(), comment="The known model whose name is closest; null: none is close."),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_not_found")),
        comment="One row for one target that a collect did not find: never seen, and not in OpenRouter's models"
        " listing. Not made from the archive: a rebuild keeps it.",
    )


def downgrade() -> None:
    op.drop_table("not_found")
