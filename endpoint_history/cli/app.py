"""The command `endpoint-history`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from endpoint_history.cli.alerts import alerts
from endpoint_history.cli.backfill import backfill
from endpoint_history.cli.cheapest import cheapest
from endpoint_history.cli.export import export_history
from endpoint_history.cli.runs import runs
from endpoint_history.cli.site import site
from endpoint_history.collecting.run import Collected, collect_targets, resolve
from endpoint_history.database.engine import differences, downgrade, location, opened, translated_errors, upgrade
from endpoint_history.env_file import exposed_secret
from endpoint_history.errors import ConfigurationError, HistoryError, UnreachableError, unexpected
from endpoint_history.monitoring.health import health_lines, health_payload, read_health
from endpoint_history.openrouter.client import Fetcher
from endpoint_history.openrouter.reachability import check_reachable
from endpoint_history.progress import shown_progress
from endpoint_history.reporting.collect_report import lines
from endpoint_history.rollups.maintenance import maintain as maintain_history
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from endpoint_history.terminal import show, show_note
from flows.schedules import read_schedules

_EXIT_CODES = """
Exit codes: 0 all targets observed; 1 nothing could be done; 2 wrong usage or configuration; 3 some targets failed or
were not found.
"""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keep the price and uptime history of every LLM endpoint that OpenRouter lists.\n\n" + _EXIT_CODES,
)
db = typer.Typer(no_args_is_help=True, help="Make, move and check the database schema.")
app.add_typer(db, name="db")
app.add_typer(backfill, name="backfill")
app.add_typer(alerts, name="alerts")
app.add_typer(runs, name="runs")
app.command()(cheapest)
app.command(name="export")(export_history)
app.command()(site)

_INTERRUPTED = 130

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Only these: author/slug pairs, or patterns such as 'anthropic/*'."),
]


def main() -> None:
    """Run the command; a trouble that a person can mend becomes one line and an exit code."""
    signal.signal(signal.SIGINT, _stop)
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        if message := error.format_message():  # none where all of the help was shown
            show_note(f"endpoint-history: {' '.join(message.split())} (see --help)")
        sys.exit(ConfigurationError.exit_code)
    except HistoryError as error:
        hint = "; to see it work without the network: make demo" if isinstance(error, UnreachableError) else ""
        show_note(f"endpoint-history: {error}{hint}")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - a fault of ours, in one line that can be reported
        show_note(f"endpoint-history: {unexpected(error)}; this should not happen: please report this line")
        sys.exit(HistoryError.exit_code)


def _stop(*_: object) -> NoReturn:
    """End on Ctrl-C: by the next one, or after some seconds, whatever other code makes of it."""
    show_note("")
    show_note("endpoint-history: stopped; the next collect takes up what came so far")
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    logging.disable()  # what others make of being stopped is no news
    last_resort = threading.Timer(5, os._exit, [_INTERRUPTED])
    last_resort.daemon = True
    last_resort.start()
    sys.exit(_INTERRUPTED)


@app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    if show_version:
        show(version("endpoint-history"))
        raise typer.Exit
    if name := exposed_secret():
        warning = f"warning: other users of this machine can read {name} in .env; run: chmod 600 .env"
        show_note(f"endpoint-history: {warning}")


@app.command()
def collect(
    targets: Targets = None,
    prefect: Annotated[bool, typer.Option(help="Run as a Prefect flow, or plainly (for cron).")] = True,
    every: Annotated[
        int | None, typer.Option(help="Minutes between runs, where something repeats this.", min=1, max=1440)
    ] = None,
) -> None:
    """Collect every target once: fetch, archive, store, report.

    With Prefect the run is seen on the configured server; without one, a temporary server is started, which takes some
    seconds, and where that can't be, the same steps run without Prefect, as they do with --no-prefect.
    """
    run = _collect_with_prefect if prefect else _collect_plainly
    raise typer.Exit(run(targets, every))


def _entries(settings: Settings, targets: list[str] | None) -> TargetList:
    return TargetList.given(targets) if targets else TargetList.configured(settings)


def _collect_plainly(targets: list[str] | None, every: int | None) -> int:
    settings = Settings.read()
    cadence_seconds = every * 60 if every else None
    entries = _entries(settings, targets)
    with shown_progress() as progress:
        work = collect_targets(settings, entries, cadence_seconds=cadence_seconds, progress=progress)
        collected = asyncio.run(work)
    return _show(collected)


def _collect_with_prefect(targets: list[str] | None, every: int | None) -> int:
    settings = Settings.read()
    _entries(settings, targets)  # what is wrong with them is told before Prefect is started
    asyncio.run(check_reachable(settings, show_note))
    from flows.prefect_client import PrefectUnavailableError  # noqa: PLC0415 - importing Prefect takes a second
    from flows.runner import run_collect  # noqa: PLC0415 - importing Prefect takes a second

    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(shown_progress())

        def show(collected: Collected) -> int:
            stack.close()
            return _show(collected)

        try:
            return run_collect(targets, every, progress, show, show_note)
        except PrefectUnavailableError as error:
            show_note(f"Collecting without Prefect: {error}")
    return _collect_plainly(targets, every)


def _show(collected: Collected) -> int:
    for line in lines(collected):
        show(line)
    return collected.exit_code


@app.command(name="targets")
def list_targets(targets: Targets = None) -> None:
    """Show which author/slug pairs the target list means today; patterns ask OpenRouter for its models."""
    settings = Settings.read()
    entries = _entries(settings, targets)

    async def resolved() -> list[str]:
        async with Fetcher(settings) as fetcher:
            return [str(target) for target in await resolve(fetcher, entries)]

    for target in asyncio.run(resolved()):
        show(target)


@app.command()
def status() -> None:
    """Tell whether history is being kept, and what stands in its way. Exit code 1 where anything does."""
    found = read_health(Settings.read(), datetime.now(UTC), read_schedules)
    for line in health_lines(found):
        show(line)
    raise typer.Exit(1 if found.problems else 0)


@app.command()
def health() -> None:
    """The same for a probe: one JSON object, and exit code 1 where anything stands in the way of history."""
    settings = Settings.read()
    try:
        found = health_payload(read_health(settings, datetime.now(UTC), read_schedules))
    except HistoryError as error:
        found = {"healthy": False, "problems": [str(error)]}
    show(json.dumps(found))
    raise typer.Exit(0 if found["healthy"] else 1)


@app.command()
def maintain() -> None:
    """Roll up what a crash left, make PostgreSQL's months ahead, thin raw samples where RETENTION_DAYS asks for it."""
    show(maintain_history(Settings.read(), datetime.now(UTC)))


@app.command()
def serve(
    every: Annotated[int, typer.Option(help="Minutes between collects.", min=1, max=1440)] = 30,
) -> None:
    """Collect on a schedule in this one process, without a work pool, until stopped."""
    settings = Settings.read()
    _entries(settings, None)
    with opened(settings.database_url.get_secret_value()):
        pass
    from flows.serve import serve_collect  # noqa: PLC0415 - importing Prefect takes a second

    serve_collect(every)


@db.command(name="upgrade")
def db_upgrade(revision: Annotated[str, typer.Argument(help="Target revision.")] = "head") -> None:
    """Make the database where there is none, and bring its schema to this version."""
    show(f"The database {upgrade(Settings.read().database_url.get_secret_value(), revision)}.")


@db.command(name="downgrade")
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="Target revision, such as 0001.")],
    yes: Annotated[bool, typer.Option("--yes", help="Lose what only newer revisions hold.")] = False,
) -> None:
    """Take the schema back to an older revision. What only newer revisions hold is lost."""
    if not yes:
        raise ConfigurationError("what only newer revisions hold would be lost; say --yes if that is meant")
    show(f"The database {downgrade(Settings.read().database_url.get_secret_value(), revision)}.")


@db.command(name="check")
def db_check() -> None:
    """Check that the schema is exactly that of this version."""
    with opened(Settings.read().database_url.get_secret_value()) as engine:
        with translated_errors(engine):
            found = differences(engine)
        if found:
            raise HistoryError(f"the database {location(engine)} differs from this version: {found[0]}")
        show(f"The database {location(engine)} is as this version wants it.")
