"""Run `collect` on a schedule in one process, with a Prefect server of its own where none is configured."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from endpoint_history.errors import HistoryError
from endpoint_history.terminal import show, show_note
from endpoint_history.text import count_text
from flows.prefect_client import SETTINGS, import_prefect, one_line

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.deployments.runner import RunnerDeployment

SERVED = "collect/served"
_SERVER_SECONDS = 120
_REMOVAL_SECONDS = 4.0  # less than Ctrl-C waits for an orderly end


def serve_collect(every: int) -> None:
    """Run the flow every so many minutes in this process, until stopped. Raises HistoryError."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # from the start, so that nothing is left behind
    import_prefect(SETTINGS)
    with _server():
        _serve(every)


@contextlib.contextmanager
def _server() -> Iterator[None]:
    """A Prefect server of our own where none is configured: the temporary one of Prefect's client runs no schedules."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - after the settings

    if PREFECT_API_URL.value():
        yield
        return
    port = _free_port()
    words = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {**os.environ, "PREFECT_SERVER_LOGGING_LEVEL": "ERROR"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "prefect", *words], env=quiet, stdout=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            show(f"Starting a Prefect server on http://127.0.0.1:{port}", flush=True)
            _await_server(server, port)
            with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
                yield
        finally:
            server.terminate()


def _free_port() -> int:
    """Prefect's usual port, or any other where that is taken."""
    for port in (4200, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise HistoryError("no port of this machine is free for a Prefect server")


def _await_server(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _SERVER_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise HistoryError("Prefect's server does not start; prefect server start says why")


def _serve(every: int) -> None:
    from prefect.runner import Runner  # noqa: PLC0415 - after the settings

    from flows.collect import collect  # noqa: PLC0415

    options: dict[str, Any] = {"interval": timedelta(minutes=every), "parameters": {"cadence_minutes": every}}
    deployment = cast("RunnerDeployment", collect.to_deployment(name="served", **options))
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop'")  # Prefect's own, at a SIGTERM
    # One run at a time is this process's own limit: one of Prefect's server would hold the place of a run that was
    # stopped half-way.
    runner = Runner(pause_on_shutdown=False, limit=1)
    try:
        _remove_served()  # what a killed process left, late runs and pauses included
        with _removed_at_the_end(cast("UUID", runner.add_deployment(deployment))):
            interval = count_text(every, "minute")
            show(f"Collecting every {interval}, the first time in {interval}; Ctrl-C stops", flush=True)
            asyncio.run(runner.start())
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        raise HistoryError(f"Prefect can't be used: {one_line(error)}; cron and --no-prefect do without it") from None


@contextlib.contextmanager
def _removed_at_the_end(deployment_id: UUID) -> Iterator[None]:
    """Remove this deployment, its schedule and its runs to come: nothing would run them, and they would count as late.

    By its id: one that was started in our place meanwhile has another.
    """
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        try:
            _remove_served(deployment_id)
        except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
            show_note(
                f"endpoint-history: the schedule of {SERVED} stays in Prefect's database: {one_line(error)};"
                f" to remove it: prefect deployment delete {SERVED}"
            )


def _remove_served(deployment_id: UUID | None = None) -> None:
    """Remove the deployment of this id, or whichever has its name."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after the settings
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    with (
        contextlib.suppress(ObjectNotFound),
        get_client({"timeout": _REMOVAL_SECONDS}, sync_client=True) as client,
    ):
        client.delete_deployment(deployment_id or client.read_deployment_by_name(SERVED).id)
