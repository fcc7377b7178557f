"""Run migrations, then create the views and set the comments of this version.

`endpoint-history db upgrade` passes its connection. Run by Alembic's own command line, this opens DATABASE_URL.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from endpoint_history.database.engine import is_ours, migrating, refuse_other_versions
from endpoint_history.errors import HistoryError
from endpoint_history.settings import Settings
from models.comments import comment_sql, set_comments
from models.tables import metadata
from models.views.creation import create_views, creation_sql, drop_views, removal_sql


def main() -> None:
    """Run online, or print SQL with `--sql`."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    try:
        url = Settings.read().database_url.get_secret_value()
        if context.is_offline_mode():
            _print(url)
            return
        with migrating(url) as connection:
            refuse_other_versions(connection)
            _run(connection)
            connection.commit()
    except HistoryError as error:
        raise CommandError(str(error)) from None


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=is_ours,
        render_item=_render_plain_type,
        transactional_ddl=True,  # on SQLite too, where Alembic does not expect it
    )
    with context.begin_transaction():
        if not _is_moving():
            context.run_migrations()
            return
        if not _is_at_head() or _destination() not in {"head", "heads"}:
            drop_views(connection)
        context.run_migrations()
        if _is_at_head():
            create_views(connection)
            set_comments(connection)


def _print(url: str) -> None:
    context.configure(url=url, target_metadata=metadata, literal_binds=True)
    dialect = context.get_context().dialect.name
    with context.begin_transaction():
        for statement in removal_sql(dialect):
            context.execute(statement)
        context.run_migrations()
        if context.get_revision_argument() == context.script.get_current_head():
            for statement in (*creation_sql(dialect), *(comment_sql() if dialect == "postgresql" else ())):
                context.execute(statement)


def _destination() -> Any:
    return context.get_context().opts.get("destination_rev")


def _is_moving() -> bool:
    """Return whether the command is upgrade or downgrade; others, such as `current`, must not touch the views."""
    return isinstance(_destination(), str)


def _is_at_head() -> bool:
    return context.get_context().get_current_heads() == tuple(context.script.get_heads())


def _render_plain_type(kind: str, thing: Any, _: Any) -> str | Literal[False]:
    """Render plain SQLAlchemy types: a migration must not change when the application's types do."""
    if kind != "type":
        return False
    plain = {
        "UtcTime": 'sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")',
        "UtcEpoch": 'sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")',
        "ExactDecimal": 'sa.Numeric().with_variant(sa.Text(), "sqlite")',
        "JSON": 'sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")',
        "BigInteger": 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
    }
    if type(thing).__name__ == "BigInteger" and not thing._variant_mapping:
        return False
    return plain.get(type(thing).__name__, False)


main()
