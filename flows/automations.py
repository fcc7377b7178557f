"""Set up on the Prefect server who receives alerts, and try the receiver, from the command line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from endpoint_history.alerts.collect_events import COLLECTED, PREFIX
from endpoint_history.alerts.outbox import UndeliveredError
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.url import Address
from flows.prefect_client import import_prefect, one_line

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.actions import ActionTypes
    from prefect.events.schemas.automations import AutomationCore

BLOCK_NAME = "endpoint-history-alerts"
_WEBHOOK = re.compile(r"https?://[^\s/]+[!-~]*", re.IGNORECASE)
_SLACK = "https://hooks.slack.com/"
_OLD = ("alerts", "most targets stale")  # earlier versions had the server send these, which retries nothing
_MISSED = 3  # intervals without a collect


def install_automations(block: str | None, webhook_url: str | None, every: int) -> Iterator[str]:
    """Make a block of the server, or one that holds this address, the receiver of alerts; says what was done.

    `every` is the minutes between collects. Raises HistoryError; no message holds the address.
    """
    if webhook_url is not None and not _WEBHOOK.fullmatch(webhook_url):
        raise ConfigurationError("--webhook-url: expected an http or https address")
    import_prefect()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.variables import Variable  # noqa: PLC0415

    from flows.alert_receiver import RECEIVER_VARIABLE  # noqa: PLC0415

    server = _server("alerts install")
    with _told(server, webhook_url), get_client(sync_client=True) as client:
        name = block or _keep(str(webhook_url))
        document = _read_block(client, name)
        automation = _automation(document, every)
        yield f"{_put(client, automation)} {automation.name!r}"
        yield from _remove_old(client)
        Variable.set(RECEIVER_VARIABLE, name, overwrite=True)
    yield f"Alerts go to the block {name} of {server}"


def _automation(document: Any, every: int) -> AutomationCore:
    """The message that no collect came, which only the server can send."""
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: PLC0415

    said = f"No collect has ended for {_MISSED * every} minutes"
    # Begins with a collect, so that it comes once for each time that they stop.
    missing = EventTrigger(
        after={COLLECTED},
        expect={COLLECTED},
        match={"prefect.resource.id": f"{PREFIX}.*"},
        posture=Posture.Proactive,
        within=timedelta(minutes=_MISSED * every),
    )
    name, action = f"{PREFIX}: no collect", _action(document, f"'{said}'")
    return AutomationCore(name=name, description=f"{said}.", trigger=missing, actions=[action])


def _remove_old(client: SyncPrefectClient) -> Iterator[str]:
    for name in _OLD:
        for automation in client.read_automations_by_name(f"{PREFIX}: {name}"):
            client.delete_automation(automation.id)
            yield f"Removed {automation.name!r}: collects send these themselves"


def send_test() -> str:
    """Send one message as an alert is sent, without retries, and say who took it. Raises HistoryError."""
    import_prefect()
    from flows.alert_receiver import TEST_EVENT, read_receiver, send_message  # noqa: PLC0415 - importing Prefect

    async def sent() -> str:
        receiver = await read_receiver()
        if receiver is None:
            raise ConfigurationError("this server knows no receiver of alerts; run: endpoint-history alerts install")
        text = f"{PREFIX}: a test of alerts; nothing has happened"
        try:
            await send_message(
                receiver, {"text": text, "id": str(uuid4()), "event": TEST_EVENT, "payload": {"text": text}}
            )
        except UndeliveredError as error:
            raise HistoryError(f"the test message was not delivered to {receiver}: {error}") from None
        return f"Delivered to {receiver}"

    with _told(_server("alerts send-test"), None):
        return asyncio.run(sent())


def _server(command: str) -> str:
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - importing Prefect takes a second

    if server := PREFECT_API_URL.value():
        return Address(str(server)).location
    raise ConfigurationError(f"{command}: PREFECT_API_URL has to name a Prefect server")


def _action(document: Any, said: str) -> ActionTypes:
    """Send what this expression gives: to a webhook as JSON with the event, to anything else as text."""
    from prefect.events.actions import CallWebhook, SendNotification  # noqa: PLC0415

    if document.block_type.slug == "webhook":
        body = f'{{{{ {{"text": {said}, "event": event.event, "payload": event.payload}} | tojson }}}}'
        return CallWebhook(block_document_id=document.id, payload=body)
    return SendNotification(block_document_id=document.id, subject=PREFIX, body=f"{{{{ {said} }}}}")


def _keep(url: str) -> str:
    """Put the address into a block of the server, where it is a secret."""
    from prefect.blocks.notifications import SlackWebhook  # noqa: PLC0415
    from prefect.blocks.webhook import Webhook  # noqa: PLC0415
    from prefect.types import SecretDict  # noqa: PLC0415
    from pydantic import SecretStr  # noqa: PLC0415

    if url.startswith(_SLACK):
        SlackWebhook(url=SecretStr(url)).save(BLOCK_NAME, overwrite=True)
        return f"slack-webhook/{BLOCK_NAME}"
    headers = SecretDict({"Content-Type": "application/json"})
    Webhook(url=SecretStr(url), headers=headers).save(BLOCK_NAME, overwrite=True)
    return f"webhook/{BLOCK_NAME}"


def _read_block(client: SyncPrefectClient, block: str) -> Any:
    slug, _, name = block.partition("/")
    if not slug or not name:
        raise ConfigurationError(f"--block: {block!r} is no TYPE/NAME such as slack-webhook/team")
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    try:
        document = client.read_block_document_by_name(name, slug)
    except ObjectNotFound:
        raise ConfigurationError(
            f"--block: the server has no block {block}; prefect block ls shows what it has"
        ) from None
    if slug != "webhook" and "notify" not in ((document.block_schema and document.block_schema.capabilities) or ()):
        raise ConfigurationError(f"--block: {block} can't send notifications")
    return document


def _put(client: SyncPrefectClient, automation: AutomationCore) -> str:
    """By its name: one that somebody has paused stays so."""
    known = client.read_automations_by_name(automation.name)
    if not known:
        client.create_automation(automation)
        return "Made   "
    # The client sends only what was set by name, and the server takes nothing for granted.
    whole = automation.model_dump(exclude={"owner_resource"}) | {"enabled": known[0].enabled}
    client.update_automation(known[0].id, type(automation)(**whole))
    return "Updated"


@contextmanager
def _told(server: str, secret: str | None) -> Iterator[None]:
    try:
        yield
    except HistoryError:
        raise
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        reason = one_line(error)
        raise HistoryError(
            f"Prefect's server {server} can't be used: {reason.replace(secret, '***') if secret else reason}"
        ) from None
