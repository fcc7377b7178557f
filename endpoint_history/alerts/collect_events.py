"""What a collect tells, as events with stable names and payloads: docs/alerts.md lists them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID, uuid5

from endpoint_history.alerts.incidents import Known
from endpoint_history.alerts.observations import Subject
from endpoint_history.collecting.run import Collected
from endpoint_history.collecting.summary import Offer, Outcome
from endpoint_history.reporting.collect_report import exact_price, people_price, span_text
from endpoint_history.text import printable, unlinked

PREFIX = "endpoint-history"
COLLECTED = f"{PREFIX}.collected"
CHANGED = f"{PREFIX}.changed"
STALE = f"{PREFIX}.collect.stale"
COLLECT_RESOURCE = f"{PREFIX}.collect"
MOST_CHANGES = 200
_IDS = UUID("7a5a7a2e-4a54-4b06-9c3c-5f0c5c6b6f0e")
# In chats these begin mentions and links, and names come from strangers. The other fields of a payload are exact.
_HARMLESS = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20", "[": "\uff3b", "]": "\uff3d"})
_ARRIVALS = {
    "new": ("endpoint.listed", "is listed for the first time"),
    "returned": ("endpoint.listed", "is listed again"),
    "gone": ("endpoint.gone", "is listed no more"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event. What is the same has the same `id`, so that a server can tell that it came twice."""

    name: str
    resource: Mapping[str, str]
    related: Sequence[Mapping[str, str]]
    payload: Mapping[str, Any]
    id: UUID


def collected_event(collected: Collected, left_out: int) -> Event:
    """That a collect came to its end, whatever it brought. `left_out` changes have no event of their own."""
    outcome = collected.outcome
    counts = {"ok": outcome.ok, "gone": collected.gone, "not_found": len(collected.not_found)}
    looks = {"targets": collected.targets, **counts, "failed": len(outcome.failed)}
    seen = {"endpoints": outcome.endpoints, "prices_new": outcome.new_prices, "prices_changed": outcome.repriced}
    payload = {"run": outcome.run, **looks, **seen, "changes_left_out": left_out}
    return event(COLLECTED, None, payload, outcome.run)


def stale_event(run: str, stale: int, targets: int) -> Event:
    """That most targets had no good look for three intervals of the schedule."""
    said = f"{stale} of {targets} targets had no good look for three intervals of the schedule"
    return event(STALE, None, {"text": said, "run": run, "stale": stale, "targets": targets}, run)


def change_events(outcome: Outcome) -> Iterator[Event]:
    """The changes that a run brought: one event for each endpoint of which a price moved, that came, or that left."""
    for offer, moves in groupby(outcome.price_moves, key=lambda move: move.offer):
        prices = [(move.key, move.before, move.after) for move in moves]
        said = ", ".join(
            f"{key} {people_price(key, before)} -> {people_price(key, after)}" for key, before, after in prices
        )
        listed = [{"price": key, "before": exact_price(a), "after": exact_price(b)} for key, a, b in prices]
        payload = {"text": text(offer, said), **names(offer), "prices": listed, "run": outcome.run}
        yield event(f"{PREFIX}.price.changed", offer, payload, outcome.run)
    for kind, offer in outcome.arrivals:
        if kind in _ARRIVALS:
            name, said = _ARRIVALS[kind]
            payload = {"text": text(offer, said), **names(offer), "kind": kind, "run": outcome.run}
            yield event(f"{PREFIX}.{name}", offer, payload, outcome.run)


def incident_events(found: Iterable[tuple[Subject, Known]], since: datetime, until: datetime) -> Iterator[Event]:
    """That incidents began, or are over, as was seen in this time."""
    for subject, known in found:
        trouble, offer = known.trouble, subject.offer
        began = iso(trouble.started_at)
        payload = {**names(offer), "started_at": began, "worst_uptime_pct": known.worst_uptime_pct}
        if since < trouble.opened_at <= until:
            said = f"uptime below 95 % since {clock(trouble.started_at)}"
            yield event(f"{PREFIX}.incident.opened", offer, {"text": text(offer, said), **payload}, began)
        if trouble.over_at and trouble.ended_at and since < trouble.over_at <= until:
            said = f"uptime was below 95 % for {span_text(trouble.ended_at - trouble.started_at)}: {known.ended_by}"
            ended = {"ended_at": iso(trouble.ended_at), "ended_by": known.ended_by}
            yield event(f"{PREFIX}.incident.closed", offer, {"text": text(offer, said), **payload, **ended}, began)


def event(name: str, offer: Offer | None, payload: Mapping[str, Any], *which: str, **labels: str) -> Event:
    """An event about an endpoint, or about the collector; `which` tells it from others of the same name about it."""
    if offer is None:
        resource, related = {"prefect.resource.id": COLLECT_RESOURCE, "prefect.resource.name": "collect"}, []
    else:
        resource, related = _resource(offer), [_related("model", offer.model), _related("provider", offer.provider)]
    labelled = resource | {f"{PREFIX}.{label}": value for label, value in labels.items()}
    key = [name, resource["prefect.resource.id"], offer.model if offer else "", *which]
    return Event(name, labelled, related, payload, uuid5(_IDS, "\n".join(key)))


def names(offer: Offer) -> dict[str, Any]:
    """An endpoint in a payload."""
    who = {"model": offer.model, "provider": offer.provider, "route": offer.route}
    return {**who, "variant": offer.variant, "ordinal": offer.ordinal}


def text(offer: Offer | None, said: str) -> str:
    """One line for people, in which no name of a stranger calls anybody or becomes a link."""
    whom = f"{offer.model} at {offer.provider} ({offer.route})" if offer else "collect"
    return printable(f"{unlinked(whom).translate(_HARMLESS)}: {said}")


def iso(at: datetime) -> str:
    """An instant as JSON has it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def clock(at: datetime) -> str:
    """An instant for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _resource(offer: Offer) -> dict[str, str]:
    number = f"#{offer.ordinal}" if offer.ordinal else ""
    labels = {name: str(value) for name, value in names(offer).items()}
    return {
        "prefect.resource.id": f"{PREFIX}.endpoint.{offer.variant or offer.model}@{offer.route}{number}",
        "prefect.resource.name": printable(f"{offer.model} at {offer.provider} ({offer.route})"),
        **{f"{PREFIX}.{name}": value for name, value in labels.items()},
    }


def _related(role: str, name: str) -> dict[str, str]:
    named = {"prefect.resource.id": f"{PREFIX}.{role}.{name}", "prefect.resource.name": printable(name)}
    return {**named, "prefect.resource.role": role}
