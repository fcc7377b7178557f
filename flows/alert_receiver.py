"""Where alerts go: a block of the Prefect server, named by a variable there, and how one message is sent to it."""

from __future__ import annotations

import json
from typing import Any

import httpx
from prefect.blocks import notifications, webhook
from prefect.blocks.abstract import NotificationError
from prefect.blocks.core import Block
from prefect.utilities.urls import SSRFProtectedAsyncHTTPTransport
from prefect.variables import Variable

from endpoint_history.alerts.collect_events import PREFIX
from endpoint_history.alerts.outbox import UndeliveredError
from endpoint_history.openrouter.network_errors import causes_of, connection_trouble
from flows.prefect_client import one_line

RECEIVER_VARIABLE = "endpoint_history_alerts"
TEST_EVENT = f"{PREFIX}.alert.test"
_SECONDS = 30.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BUILT_IN = (notifications, webhook)  # imported, so that Prefect knows their blocks by name


async def read_receiver() -> str | None:
    """The block that `alerts install` chose on this server, as TYPE/NAME; None if there is none."""
    name = await Variable.aget(RECEIVER_VARIABLE)
    return str(name) if name else None


async def send_message(receiver: str, message: dict[str, Any]) -> None:
    """Send one message to this block. Raises UndeliveredError; what it says holds no address."""
    try:
        block = await Block.aload(receiver)
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        raise UndeliveredError(f"the block {receiver} can't be loaded: {one_line(error)}") from None
    if isinstance(block, webhook.Webhook):
        await _call(block, message)
    else:
        await _notify(block, message)


async def _call(block: webhook.Webhook, message: dict[str, Any]) -> None:
    # Prefect's own client is shared by the whole process: whoever has its answer closes the connections of all others.
    transport = httpx.AsyncHTTPTransport if block.allow_private_urls else SSRFProtectedAsyncHTTPTransport
    # httpx's own time-out of 5 s is short for a receiver that starts a workflow.
    block._client = httpx.AsyncClient(transport=transport(verify=block.verify), timeout=_SECONDS)
    try:
        response = await block.call(json.dumps(message))
    except httpx.UnsupportedProtocol:
        raise UndeliveredError("the address in the block is not http or https") from None
    except _NOT_SENT as error:
        raise UndeliveredError(connection_trouble(causes_of(error))) from None
    except httpx.TimeoutException:
        raise UndeliveredError(f"no answer within {_SECONDS:.0f} s", unanswered=True) from None
    except Exception as error:  # noqa: BLE001 - a block is a stranger's code; its message may hold the address
        unanswered = isinstance(error, httpx.TransportError)
        reason = "the connection was closed without an answer" if unanswered else type(error).__name__
        raise UndeliveredError(reason, unanswered=unanswered) from None
    if not response.is_success:
        raise UndeliveredError(f"HTTP {response.status_code}")


async def _notify(block: Any, message: dict[str, Any]) -> None:
    try:
        with block.raise_on_failure():
            await block.notify(body=message["text"], subject=PREFIX)
    except NotificationError:
        raise UndeliveredError("the notification was refused, or could not be sent") from None
    except Exception as error:  # noqa: BLE001 - a block is a stranger's code; its message may hold the address
        raise UndeliveredError(type(error).__name__) from None
