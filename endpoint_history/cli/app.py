"""The command `endpoint-history`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from endpoint_history.cli.alerts import alerts
from endpoint_history.cli.backfill import backfill
from endpoint_history.cli.cheapest import cheapest
from endpoint_history.cli.collect import collect, list_targets, serve
from endpoint_history.cli.db import db, maintain
from endpoint_history.cli.export import export_history
from endpoint_history.cli.runs import runs
from endpoint_history.cli.site import site
from endpoint_history.cli.status import health, status
from endpoint_history.errors import ConfigurationError, HistoryError, UnreachableError, unexpected
from endpoint_history.terminal import show, show_note

_INTERRUPTED = 130
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
app.command()(collect)
app.command(name="targets")(list_targets)
app.command()(status)
app.command()(health)
app.command()(cheapest)
app.command(name="export")(export_history)
app.command()(site)
app.command()(maintain)
app.command()(serve)
app.add_typer(backfill, name="backfill")
app.add_typer(runs, name="runs")
app.add_typer(alerts, name="alerts")
app.add_typer(db, name="db")


def main() -> None:
    """Run the command; print one line and set the exit code if it fails."""
    signal.signal(signal.SIGINT, _stop)
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        if message := error.format_message():  # empty if the whole help was shown
            show_note(f"endpoint-history: {' '.join(message.split())} (see --help)")
        sys.exit(ConfigurationError.exit_code)
    except HistoryError as error:
        hint = "; to see it work without the network: make demo" if isinstance(error, UnreachableError) else ""
        show_note(f"endpoint-history: {error}{hint}")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - a bug of ours becomes one line that can be reported
        show_note(f"endpoint-history: {unexpected(error)}; this should not happen: please report this line")
        sys.exit(HistoryError.exit_code)


def _stop(*_: object) -> NoReturn:
    """Exit on Ctrl-C; a second Ctrl-C, or five seconds, end the process even if other code ignores the exit."""
    show_note("")
    show_note("endpoint-history: stopped; the next collect loads what was archived so far")
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    logging.disable()  # libraries would log their own interruption
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
    from endpoint_history.env_file import exposed_secret

    if name := exposed_secret():
        warning = f"warning: other users of this machine can read {name} in .env; run: chmod 600 .env"
        show_note(f"endpoint-history: {warning}")
