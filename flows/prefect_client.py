"""Import Prefect with quiet settings, and describe its errors in one line."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator

from pydantic import ValidationError

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.url import Address
from endpoint_history.openrouter.http_client import tls_context
from endpoint_history.openrouter.proxy_settings import clean_no_proxy
from endpoint_history.settings import prefect_api_url
from endpoint_history.text import printable

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
