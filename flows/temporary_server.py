"""Start the temporary server of Prefect's client in good time, or say why it can't be started."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from flows.prefect_client import PrefectUnavailableError, one_line

if TYPE_CHECKING:
    from prefect.server.api.server import SubprocessASGIServer

START_SECONDS = 90.0
_QUIET_SECONDS = 3.0
_POLL_SECONDS = 0.2


def start_temporary_server(say: Callable[[str], None], seconds: float = START_SECONDS) -> None:
    """Start the server that Prefect's client will use where none is configured; `say` gets a line if that takes long.

    Raises PrefectUnavailableError if its folder can't be written, if it ends, or if it takes longer than `seconds`.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.settings import PREFECT_HOME  # noqa: PLC0415

    home = PREFECT_HOME.value()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise PrefectUnavailableError(f"the folder {home} can't be written: {error.strerror}") from None
    server = SubprocessASGIServer()
    trouble = _started(server, say, seconds)
    if trouble:
        with suppress(Exception):  # it may be half-way started
            server.stop()
        raise PrefectUnavailableError(f"its temporary server {trouble}")


def _started(server: SubprocessASGIServer, say: Callable[[str], None], seconds: float) -> str | None:
    """Why the server did not start; None if it did.

    Prefect starts a server that ends again and again, without an end: so this watches from another thread.
    """
    raised: list[Exception] = []

    def start() -> None:
        try:
            server.start()
        except Exception as error:  # noqa: BLE001 - whatever stands in the way, it is only Prefect's server
            raised.append(error)

    thread = threading.Thread(target=start, name="temporary-server", daemon=True)
    thread.start()
    began, quiet = time.monotonic(), True
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        took = time.monotonic() - began
        if quiet and took > _QUIET_SECONDS and thread.is_alive():
            say("Starting a temporary Prefect server")
            quiet = False
        if server.server_process and server.server_process.poll() is not None:
            return "does not start: prefect server start says why"
        if took > seconds:
            return f"did not start within {seconds:.0f} s"
    return f"does not start: {one_line(raised[0])}" if raised else None
