"""Views that SQLite 3.34 can read, in databases made before.

Revision 0010, after 0009. 2026-11-30.

Views of 0005 and 0006 used words that SQLite has since 3.35 and 3.38. An older SQLite opens no table of a file with such
a view in it. Those migrations no longer write them; this one rewrites the views that are already there.
"""

from alembic import context, op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        prices, uptime = (context.script.get_revision(number).module for number in ("0005", "0006"))
        uptime_views = uptime._views(uptime.SQLITE)
        for name, *_ in reversed(uptime_views):
            op.execute(f"DROP VIEW {name}")
        prices.downgrade()
        prices.upgrade()
        for view in uptime_views:
            uptime._make_view(*view)


def downgrade() -> None:
    """Keep the views: the older revision has the same ones."""
