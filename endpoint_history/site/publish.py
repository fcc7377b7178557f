"""Build the static site from the configured history, without Prefect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from endpoint_history.database.engine import opened
from endpoint_history.errors import ConfigurationError
from endpoint_history.settings import Settings

if TYPE_CHECKING:
    from endpoint_history.site.build import Built


def publish(settings: Settings, folder: str | Path, now: datetime, progress: Callable[[int, int], None]) -> Built:
    """Bring the pages in a folder, or under a URL, to what the database holds.

    `now` is aware, `progress` gets pages done and all.

    Raises HistoryError; pages are whole whenever it does. Raises ConfigurationError without Jinja2.
    """
    try:
        from endpoint_history.site import build as pages  # noqa: PLC0415 - Jinja2 may not be installed
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the site needs the package {error.name}, which is not installed: .venv/bin/pip install jinja2"
        ) from None
    with opened(settings.database_url.get_secret_value()) as engine:
        shown = {"site_url": settings.site_url, "notice": settings.site_notice}
        return pages.build(engine, folder, now, progress, **shown)


def lines(built: Built) -> list[str]:
    """What became of the files, for people."""
    return [
        f"Pages      {built.models} models, {built.providers} providers",
        f"Files      {built.written} written, {built.unchanged} unchanged",
        f"Site       {built.location}",
    ]
