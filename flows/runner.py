"""Start the Prefect flow from the command line: quietly, and with plain words for Prefect's own troubles."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from endpoint_history.collecting.run import Collected
from endpoint_history.errors import HistoryError
from endpoint_history.settings import prefect_api_url
from endpoint_history.terminal import show_note
from flows.prefect_client import PrefectUnavailableError, one_line, set_defaults

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def run_collect(
    targets: list[str] | None,
    every: int | None,
    progress: Callable[[int, int], None],
    show: Callable[[Collected], int],
    say: Callable[[str], None],
) -> int:
    """Run the flow on the configured Prefect server, else on a temporary one, and show what it brought.

    Gives the exit code that `show` gives; `say` gets a line about a server that takes long to start. Raises
    PrefectUnavailableError, else HistoryError.
    """
    configured = _prepare()
    if not configured:
        from flows.temporary_server import start_temporary_server  # noqa: PLC0415 - after the settings

        start_temporary_server(say)
    held, trouble = _run(targets, every, progress, configured)
    if not held:
        raise trouble or HistoryError("the run ended before it could say what it brought")
    code = show(held[0])
    if trouble:
        _leave(f"endpoint-history: all is stored, but {trouble}", code)
    return code


def _prepare() -> str | None:
    """Import Prefect, quietly, and give the server that is configured, in a profile of Prefect's if nowhere else."""
    set_defaults()
    logging.disable()
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")  # told by us, where it matters
    warnings.filterwarnings("ignore", "Failed to load profiles")  # the error says the same
    configured = prefect_api_url()
    try:
        from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - after the settings

        configured = PREFECT_API_URL.value() or configured
        import flows.collect  # noqa: F401, PLC0415
    except Exception as error:  # noqa: BLE001 - importing Prefect reads its settings, and makes its folder
        raise _unusable(error, must_be_used=bool(configured)) from None
    return configured


def _run(
    targets: list[str] | None, every: int | None, progress: Callable[[int, int], None], configured: str | None
) -> tuple[list[Collected], HistoryError | None]:
    """What the flow brought, if anything, and what made it or Prefect fail, if anything."""
    from flows.collect import collect, watch_collected, watch_progress  # noqa: PLC0415 - after the settings

    asked: list[int] = []

    def follow(done: int, of: int) -> None:
        asked.append(done)
        progress(done, of)

    async def run() -> HistoryError | None:
        return await _trouble(await collect(targets=targets, cadence_minutes=every, return_state=True))

    held: list[Collected] = []
    watch_progress.set(follow)
    watch_collected.set(held.append)
    try:
        return held, asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        return held, _unusable(error, must_be_used=bool(configured or asked or held))


def _unusable(error: Exception, *, must_be_used: bool) -> HistoryError:
    if must_be_used:
        return HistoryError(f"Prefect can't be used: {one_line(error)}; --no-prefect collects without it")
    return PrefectUnavailableError(one_line(error))


def _leave(message: str, code: int) -> NoReturn:
    """End the process at once: Prefect's client would go on trying to tell a dead server, half a minute and more."""
    show_note(message)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


async def _trouble(state: State[Any]) -> HistoryError | None:
    """What made the flow fail, if it failed."""
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, HistoryError):
        return result
    if isinstance(result, Exception):
        return HistoryError(f"the run failed: {one_line(result)}")
    return None if state.is_completed() else HistoryError(state.message or f"the run ended {state.name}")
