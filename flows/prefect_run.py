"""Start the Prefect flow from the command line: quietly, and with plain words for Prefect's own troubles."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flows.collection import Collected
from flows.errors import HistoryError
from flows.proxy_settings import clean_no_proxy
from flows.terminal import show, show_note
from flows.text import printable

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State
    from prefect.deployments.runner import RunnerDeployment

# Prefect reads these when it is imported; what a user has set goes first.
_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # The data is stored by then: five attempts, as by default, kept a run alive 3.5 minutes after its server's death.
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}
_SERVER_SECONDS = 120
_QUIET = {"PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}


def run_collect(
    targets: list[str] | None,
    every: int | None,
    progress: Callable[[int, int], None],
    show: Callable[[Collected], int],
) -> int:
    """Run the flow on the configured Prefect server, else on a temporary one, and show what it brought.

    Gives the exit code that `show` gives. Raises HistoryError.
    """
    set_defaults()
    logging.disable()
    from flows.collect import collect, watch_collected, watch_progress  # noqa: PLC0415 - after the settings

    async def run() -> HistoryError | None:
        return await _trouble(await collect(targets=targets, cadence_minutes=every, return_state=True))

    held: list[Collected] = []
    watch_progress.set(progress)
    watch_collected.set(held.append)
    try:
        trouble = asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        trouble = HistoryError(f"Prefect can't be used: {one_line(error)}; --no-prefect collects without it")
    if not held:
        raise trouble or HistoryError("the run ended before it could say what it brought")
    code = show(held[0])
    if trouble:
        _leave(f"endpoint-history: all is stored, but {trouble}", code)
    return code


def _leave(message: str, code: int) -> NoReturn:
    """End the process at once: Prefect's client would go on trying to tell a dead server, half a minute and more."""
    show_note(message)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def serve_collect(every: int) -> None:
    """Run the flow every so many minutes in this process, until stopped."""
    set_defaults(_SETTINGS)
    with _server():
        _serve(every)


@contextlib.contextmanager
def _server() -> Iterator[None]:
    """A Prefect server of our own where none is configured: the temporary one of Prefect's client runs no schedules."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

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
    from prefect import serve  # noqa: PLC0415 - after the settings

    from flows.collect import collect  # noqa: PLC0415

    options: dict[str, Any] = {"interval": timedelta(minutes=every), "parameters": {"cadence_minutes": every}}
    deployment = cast("RunnerDeployment", collect.to_deployment(name="served", **options))
    warnings.filterwarnings("ignore", "coroutine 'Runner.astop'")  # Prefect's own, at a SIGTERM
    # A stopped service must go on by itself when it is started again: so its schedule is not paused, and one run at a
    # time is this process's own limit. One of Prefect's server would hold the place of a run that was stopped half-way.
    try:
        serve(deployment, pause_on_shutdown=False, limit=1)
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        raise HistoryError(f"Prefect can't be used: {one_line(error)}; cron and --no-prefect do without it") from None


def set_defaults(settings: dict[str, str] | None = None) -> None:
    """Give Prefect these settings where nobody has set them, before it is imported; else those of a quiet one.

    Its client raises an error for entries of NO_PROXY that ours understands or ignores; those are taken out.
    """
    settings = _SETTINGS | _QUIET if settings is None else settings
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    clean_no_proxy()


async def _trouble(state: State[Any]) -> HistoryError | None:
    """What made the flow fail, if it failed."""
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, HistoryError):
        return result
    if isinstance(result, Exception):
        return HistoryError(f"the run failed: {one_line(result)}")
    return None if state.is_completed() else HistoryError(state.message or f"the run ended {state.name}")


def one_line(error: BaseException) -> str:
    """What Prefect's client raises, which may be nested and long, for people."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return printable(" ".join(str(error).split()))[:300] or type(error).__name__
