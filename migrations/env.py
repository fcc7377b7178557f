"""Run migrations on the connection that `endpoint_history.database.engine` hands over, or alone on DATABASE_URL."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from endpoint_history.database.engine import is_ours, migrating
from endpoint_history.settings import Settings
from models.tables import metadata


def main() -> None:
    """Run online, or print SQL with `--sql`."""
    if context.is_offline_mode():
        context.configure(
            url=Settings.read().database_url.get_secret_value(), target_metadata=metadata, literal_binds=True
        )
        with context.begin_transaction():
            context.run_migrations()
        return
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    with migrating(Settings.read().database_url.get_secret_value()) as connection:
        _run(connection)
        connection.commit()


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=is_ours,
        render_item=_render_plain_type,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _render_plain_type(kind: str, thing: Any, _: Any) -> str | Literal[False]:
    """Write types as they were on the day: a migration must not change when the application does."""
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
