"""Start the Prefect flow from the command line: quietly, and with plain words for Prefect's own troubles."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flows.collection import Collected
from flows.errors import HistoryError

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
    _set_defaults(_SETTINGS | _QUIET)
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
        trouble = HistoryError(f"Prefect can't be used: {_one_line(error)}; --no-prefect collects without it")
    if not held:
        raise trouble or HistoryError("the run ended before it could say what it brought")
    code = show(held[0])
    if trouble:
        _leave(f"endpoint-history: all is stored, but {trouble}", code)
    return code


def _leave(message: str, code: int) -> NoReturn:
    """End the process at once: Prefect's client would go on trying to tell a dead server, half a minute and more."""
    print(message, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve_collect(every: int) -> None:
    """Run the flow every so many minutes in this process, until stopped."""
    _set_defaults(_SETTINGS)
    from prefect import serve  # noqa: PLC0415 - after the settings
    from prefect.client.schemas.objects import (  # noqa: PLC0415
        ConcurrencyLimitConfig,
        ConcurrencyLimitStrategy,
    )

    from flows.collect import collect  # noqa: PLC0415

    options: dict[str, Any] = {
        "interval": timedelta(minutes=every),
        "parameters": {"cadence_minutes": every},
        "concurrency_limit": ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    }
    deployment = cast("RunnerDeployment", collect.to_deployment(name="served", **options))
    # A stopped service must go on by itself when it is started again, so its schedule is not paused.
    serve(deployment, pause_on_shutdown=False, limit=2)


def _set_defaults(settings: dict[str, str]) -> None:
    for name, value in settings.items():
        os.environ.setdefault(name, value)


async def _trouble(state: State[Any]) -> HistoryError | None:
    """What made the flow fail, if it failed."""
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, HistoryError):
        return result
    if isinstance(result, Exception):
        return HistoryError(f"the run failed: {_one_line(result)}")
    return None if state.is_completed() else HistoryError(state.message or f"the run ended {state.name}")


def _one_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__
