"""Prefect's automations that send alerts on: made on the server, or brought up to date, from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flows.address import Address
from flows.alert_events import FIRED, MORE, RETURNED
from flows.errors import ConfigurationError, HistoryError
from flows.events import COLLECTED, PREFIX, STALE
from flows.prefect_run import one_line, set_defaults

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.actions import ActionTypes
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

BLOCK_NAME = "endpoint-history-alerts"
_WEBHOOK = re.compile(r"https?://[^\s/]+[!-~]*", re.IGNORECASE)
_SLACK = "https://hooks.slack.com/"
_TEXT = "event.payload.text"
_MISSED = 3  # intervals without a collect


def install_automations(block: str | None, webhook_url: str | None, every: int) -> Iterator[str]:
    """Make or update the automations, with a block of the server or one that holds this address; says what was done.

    `every` is the minutes between collects. Raises HistoryError; no message holds the address.
    """
    if webhook_url is not None and not _WEBHOOK.fullmatch(webhook_url):
        raise ConfigurationError("--webhook-url: expected an http or https address")
    set_defaults()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415

    server = PREFECT_API_URL.value()
    if not server:
        raise ConfigurationError("alerts install: PREFECT_API_URL has to name a Prefect server")
    server = Address(server).location
    with _told(server, webhook_url), get_client(sync_client=True) as client:
        name = block or _keep(str(webhook_url))
        document = _read_block(client, name)
        for automation in _automations(document, every):
            yield f"{_put(client, automation)} {automation.name!r}"
    yield f"Alerts go to the block {name} of {server}"


def _automations(document: Any, every: int) -> list[AutomationCore]:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: PLC0415

    ours: dict[str, str | list[str]] = {"prefect.resource.id": f"{PREFIX}.*"}
    alerts = EventTrigger(expect={FIRED, RETURNED, MORE}, match=ours)
    # Each collect tells of it while it lasts: who was told once hears of it again a day later.
    stale = EventTrigger(expect={STALE}, match=ours, within=timedelta(days=1))
    # Begins with a collect, so that it comes once for each time that they stop.
    missing = EventTrigger(
        after={COLLECTED},
        expect={COLLECTED},
        match=ours,
        posture=Posture.Proactive,
        within=timedelta(minutes=_MISSED * every),
    )
    given: list[tuple[str, str, EventTrigger, str]] = [
        ("alerts", "What the rules of alerts.toml alert, and that it is back to normal.", alerts, _TEXT),
        ("most targets stale", "Most targets had no good look for three intervals.", stale, _TEXT),
        (
            "no collect",
            f"No collect has ended for {_MISSED * every} minutes.",
            missing,
            f"'No collect has ended for {_MISSED * every} minutes'",
        ),
    ]
    return [
        AutomationCore(name=f"{PREFIX}: {name}", description=text, trigger=trigger, actions=[_action(document, said)])
        for name, text, trigger, said in given
    ]


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
