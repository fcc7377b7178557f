"""From when on a day's rollups are stale, and when its last look was: what comes after all else is added to them.

Revision 0009, after 0008. 2026-11-27.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SINCE = sa.Column("since", TIME, nullable=False, comment="From when on, on that day, they are stale (UTC).")
MIDNIGHT = {"sqlite": "datetime(day * 86400, 'unixepoch')", "postgresql": "to_timestamp(day * 86400)"}
IN_DAY = {
    "sqlite": "o.observed_at >= day AND o.observed_at < date(day, '+1 day')",
    "postgresql": (
        "o.observed_at >= CAST(day AS timestamp) AT TIME ZONE 'UTC'"
        " AND o.observed_at < CAST(day + 1 AS timestamp) AT TIME ZONE 'UTC'"
    ),
}


def upgrade() -> None:
    _make_stale_rollups(SINCE, value=MIDNIGHT[_dialect()])
    last = "The last look that counts (UTC); null: none of this day does."
    op.add_column("evidence_daily", sa.Column("last_look_at", TIME, nullable=True, comment=last))
    _run(
        "UPDATE evidence_daily SET last_look_at = (SELECT max(o.observed_at) FROM observations o"
        f" WHERE o.model_id = evidence_daily.model_id AND o.is_evidence AND {IN_DAY[_dialect()]})"
    )


def downgrade() -> None:
    op.drop_column("evidence_daily", "last_look_at")
    _make_stale_rollups()


def _make_stale_rollups(*more: sa.schema.SchemaItem, value: str | None = None) -> None:
    """Make the table anew: SQLite adds no column that is never null."""
    _run("CREATE TEMPORARY TABLE marks AS SELECT model_id, day FROM stale_rollups")
    op.drop_table("stale_rollups")
    op.create_table(
        "stale_rollups",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="Days since 1970-01-01 (UTC)."),
        *more,
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_stale_rollups_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_stale_rollups")),
        comment="One row for one model and day whose rollups must be made anew; empty but while a run is under way.",
        sqlite_with_rowid=False,
    )
    _run(f"INSERT INTO stale_rollups SELECT model_id, day{f', {value}' if value else ''} FROM marks")
    _run("DROP TABLE marks")


def _run(sql: str) -> None:
    op.execute(sa.text(sql.replace(":", "\\:")))


def _dialect() -> str:
    return op.get_context().dialect.name
