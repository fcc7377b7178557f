"""The commands `endpoint-history status` and `health`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import typer

from endpoint_history.errors import HistoryError
from endpoint_history.terminal import show


def status() -> None:
    """Show whether the history is up to date, and every problem that keeps it from being so. Exit code 1 if any."""
    from endpoint_history.monitoring.health import health_lines, read_health
    from endpoint_history.settings import Settings
    from flows.schedules import read_schedules

    found = read_health(Settings.read(), datetime.now(UTC), read_schedules)
    for line in health_lines(found):
        show(line)
    raise typer.Exit(1 if found.problems else 0)


def health() -> None:
    """Print the same for a probe: one JSON object. Exit code 1 if there is any problem."""
    from endpoint_history.monitoring.health import health_payload, read_health
    from endpoint_history.settings import Settings
    from flows.schedules import read_schedules

    settings = Settings.read()
    try:
        found = health_payload(read_health(settings, datetime.now(UTC), read_schedules))
    except HistoryError as error:
        found = {"healthy": False, "problems": [str(error)]}
    show(json.dumps(found))
    raise typer.Exit(0 if found["healthy"] else 1)
