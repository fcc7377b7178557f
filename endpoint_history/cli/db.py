"""The commands `endpoint-history db …` and `maintain`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.terminal import show

db = typer.Typer(no_args_is_help=True, help="Create, upgrade, downgrade and check the database schema.")


def maintain() -> None:
    """Roll up what a crash left, create PostgreSQL's next months, and thin raw samples if RETENTION_DAYS is set."""
    from endpoint_history.rollups.maintenance import maintain as maintain_history
    from endpoint_history.settings import Settings

    show(maintain_history(Settings.read(), datetime.now(UTC)))


@db.command()
def upgrade(revision: Annotated[str, typer.Argument(help="Target revision.")] = "head") -> None:
    """Create the database if there is none, and upgrade its schema to this version."""
    from endpoint_history.database import engine
    from endpoint_history.settings import Settings

    show(f"The database {engine.upgrade(Settings.read().database_url.get_secret_value(), revision)}.")


@db.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Target revision, such as 0001.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm that data which only newer revisions hold is lost.")
    ] = False,
) -> None:
    """Downgrade the schema to an older revision. Data that only newer revisions hold is lost."""
    from endpoint_history.database import engine
    from endpoint_history.settings import Settings

    if not yes:
        raise ConfigurationError("data that only newer revisions hold would be lost; add --yes to confirm")
    show(f"The database {engine.downgrade(Settings.read().database_url.get_secret_value(), revision)}.")


@db.command()
def check() -> None:
    """Check that the schema is exactly that of this version."""
    from endpoint_history.database.engine import differences, location, opened, translated_errors
    from endpoint_history.settings import Settings

    with opened(Settings.read().database_url.get_secret_value()) as engine:
        with translated_errors(engine):
            found = differences(engine)
        if found:
            raise HistoryError(f"the database {location(engine)} differs from this version: {found[0]}")
        show(f"The database {location(engine)} has the schema of this version.")
