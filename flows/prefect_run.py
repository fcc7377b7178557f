"""Start the Prefect flow from the command line: quietly, and with plain words for Prefect's own troubles."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from flows.address import Address
from flows.collection import Collected
from flows.errors import ConfigurationError, HistoryError
from flows.http_client import tls_context
from flows.proxy_settings import clean_no_proxy
from flows.settings import prefect_api_url
from flows.terminal import show_note
from flows.text import printable

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

# Prefect reads these when it is imported; what a user has set goes first.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # The data is stored by then: five attempts, as by default, kept a run alive 3.5 minutes after its server's death.
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}
_QUIET = {"PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}


class PrefectUnavailableError(HistoryError):
    """No server is configured, and Prefect can't be used without one; nothing was collected."""


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


def set_defaults(settings: dict[str, str] | None = None) -> None:
    """Give Prefect these settings where nobody has set them, before it is imported; else those of a quiet one.

    Its client raises an error for entries of NO_PROXY that ours understands or ignores; those are taken out.
    """
    settings = SETTINGS | _QUIET if settings is None else settings
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    clean_no_proxy()


def import_prefect(settings: dict[str, str] | None = None) -> None:
    """Import Prefect with these settings, as `set_defaults`. Raises ConfigurationError for what it can't be used with.

    It logs a traceback of its own where its settings or the certificates can't be read, and fails at the next import.
    """
    set_defaults(settings)
    tls_context()
    disabled = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(action="ignore"):
            from prefect.settings import get_current_settings  # noqa: PLC0415 - after the settings

            get_current_settings()
            import prefect.client.orchestration  # noqa: F401, PLC0415 - logs what its plugins meet
    except Exception as error:  # noqa: BLE001 - importing Prefect reads its settings, and makes its folder
        raise ConfigurationError(f"Prefect can't be used: {one_line(error)}") from None
    finally:
        logging.disable(disabled)


async def _trouble(state: State[Any]) -> HistoryError | None:
    """What made the flow fail, if it failed."""
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, HistoryError):
        return result
    if isinstance(result, Exception):
        return HistoryError(f"the run failed: {one_line(result)}")
    return None if state.is_completed() else HistoryError(state.message or f"the run ended {state.name}")


def one_line(error: BaseException) -> str:
    """What Prefect's client raises, which may be nested and long, for people; no secret of the server's address."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = str(error)
    if isinstance(error, ValidationError):  # its text holds the values, which may be secret
        text = "; ".join(" ".join([error.title, *map(str, e["loc"]), e["msg"]]) for e in error.errors())
    for url in _server_urls():
        text = Address(url).hidden(text)
    return printable(" ".join(text.split()))[:300] or type(error).__name__


def _server_urls() -> Iterator[str]:
    """The server's address as we and as Prefect read it: it may be in a profile, and importing Prefect may fail."""
    with contextlib.suppress(Exception):
        yield prefect_api_url() or ""
    with contextlib.suppress(Exception):
        from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - importing Prefect takes a second

        yield PREFECT_API_URL.value() or ""
