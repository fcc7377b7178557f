"""What a collect tells, as events with stable names and payloads: docs/alerts.md lists them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from endpoint_history.alerts.incidents import KnownIncident
from endpoint_history.alerts.observations import Subject
from endpoint_history.collecting.changes import EndpointName
from endpoint_history.collecting.summary import RunSummary
from endpoint_history.reporting.wording import endpoint_text, exact_price, move_text
from endpoint_history.text import count_text, printable, unlinked
from endpoint_history.times import duration_text, iso_text, utc_text

if TYPE_CHECKING:
    from endpoint_history.collecting.run import Collected

PREFIX = "endpoint-history"
COLLECTED = f"{PREFIX}.collected"
CHANGED = f"{PREFIX}.changed"
STALE = f"{PREFIX}.collect.stale"
COLLECT_RESOURCE = f"{PREFIX}.collect"
MOST_CHANGES = 200
_IDS = UUID("7a5a7a2e-4a54-4b06-9c3c-5f0c5c6b6f0e")
# In chats these begin mentions and links, and names come from strangers. The other fields of a payload are exact.
_HARMLESS = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20", "[": "\uff3b", "]": "\uff3d"})
_LISTING_CHANGES = {
    "new": ("endpoint.listed", "is listed for the first time"),
    "returned": ("endpoint.listed", "is listed again"),
    "gone": ("endpoint.gone", "is listed no more"),
}


@dataclass(frozen=True, slots=True)
class CollectEvent:
    """One event. What is the same has the same `id`, so that a server can tell that it came twice."""

    name: str
    resource: Mapping[str, str]
    related: Sequence[Mapping[str, str]]
    payload: Mapping[str, Any]
    id: UUID


def collected_event(collected: Collected, left_out: int) -> CollectEvent:
    """That a collect came to its end, whatever it brought. `left_out` changes have no event of their own."""
    summary = collected.summary
    counts = {"ok": summary.ok, "gone": collected.gone, "not_found": len(collected.not_found)}
    looks = {"targets": collected.targets, **counts, "failed": len(summary.failed)}
    seen = {"endpoints": summary.endpoints, "prices_new": summary.new_prices, "prices_changed": summary.repriced}
    payload = {"run": summary.run, **looks, **seen, "changes_left_out": left_out}
    return event(COLLECTED, None, payload, summary.run)


def stale_event(run: str, stale: int, targets: int) -> CollectEvent:
    """That most targets had no good look for three intervals of the schedule."""
    said = f"{stale} of {count_text(targets, 'target')} had no evidence for three intervals of the schedule"
    return event(STALE, None, {"text": said, "run": run, "stale": stale, "targets": targets}, run)


def change_events(summary: RunSummary) -> Iterator[CollectEvent]:
    """Return the changes of a run: one event for each endpoint that was added, was removed, or changed a price."""
    for endpoint, moves in groupby(summary.price_moves, key=lambda move: move.endpoint):
        prices = [(move.key, move.before, move.after) for move in moves]
        said = ", ".join(move_text(*price) for price in prices)
        listed = [{"price": key, "before": exact_price(a), "after": exact_price(b)} for key, a, b in prices]
        payload = {"text": text(endpoint, said), **names(endpoint), "prices": listed, "run": summary.run}
        yield event(f"{PREFIX}.price.changed", endpoint, payload, summary.run)
    for kind, endpoint in summary.listing_changes:
        if kind in _LISTING_CHANGES:
            name, said = _LISTING_CHANGES[kind]
            payload = {"text": text(endpoint, said), **names(endpoint), "kind": kind, "run": summary.run}
            yield event(f"{PREFIX}.{name}", endpoint, payload, summary.run)


def incident_events(
    found: Iterable[tuple[Subject, KnownIncident]], since: datetime, until: datetime
) -> Iterator[CollectEvent]:
    """That incidents began, or are over, as was seen in this time."""
    for subject, known in found:
        trouble, endpoint = known.times, subject.endpoint
        began = iso_text(trouble.started_at)
        payload = {**names(endpoint), "started_at": began, "worst_uptime_pct": known.worst_uptime_pct}
        if since < trouble.opened_at <= until:
            said = f"uptime below 95 % since {utc_text(trouble.started_at)}"
            yield event(f"{PREFIX}.incident.opened", endpoint, {"text": text(endpoint, said), **payload}, began)
        if trouble.over_at and trouble.ended_at and since < trouble.over_at <= until:
            said = f"uptime was below 95 % for {duration_text(trouble.ended_at - trouble.started_at)}: {known.ended_by}"
            ended = {"ended_at": iso_text(trouble.ended_at), "ended_by": known.ended_by}
            yield event(
                f"{PREFIX}.incident.closed", endpoint, {"text": text(endpoint, said), **payload, **ended}, began
            )


def event(
    name: str, endpoint: EndpointName | None, payload: Mapping[str, Any], *which: str, **labels: str
) -> CollectEvent:
    """An event about an endpoint, or about the collector; `which` tells it from others of the same name about it."""
    if endpoint is None:
        resource, related = {"prefect.resource.id": COLLECT_RESOURCE, "prefect.resource.name": "collect"}, []
    else:
        resource, related = (
            _resource(endpoint),
            [_related("model", endpoint.model), _related("provider", endpoint.provider)],
        )
    labelled = resource | {f"{PREFIX}.{label}": value for label, value in labels.items()}
    key = [name, resource["prefect.resource.id"], endpoint.model if endpoint else "", *which]
    return CollectEvent(name, labelled, related, payload, uuid5(_IDS, "\n".join(key)))


def names(endpoint: EndpointName) -> dict[str, Any]:
    """An endpoint in a payload."""
    who = {"model": endpoint.model, "provider": endpoint.provider, "route": endpoint.route}
    return {**who, "variant": endpoint.variant, "ordinal": endpoint.ordinal}


def text(endpoint: EndpointName | None, said: str) -> str:
    """One line for people, in which no name of a stranger calls anybody or becomes a link."""
    whom = endpoint_text(endpoint.model, endpoint.provider, endpoint.route) if endpoint else "collect"
    return printable(f"{unlinked(whom).translate(_HARMLESS)}: {said}")


def _resource(endpoint: EndpointName) -> dict[str, str]:
    number = f"#{endpoint.ordinal}" if endpoint.ordinal else ""
    labels = {name: str(value) for name, value in names(endpoint).items()}
    return {
        "prefect.resource.id": f"{PREFIX}.endpoint.{endpoint.variant or endpoint.model}@{endpoint.route}{number}",
        "prefect.resource.name": endpoint_text(endpoint.model, endpoint.provider, endpoint.route),
        **{f"{PREFIX}.{name}": value for name, value in labels.items()},
    }


def _related(role: str, name: str) -> dict[str, str]:
    named = {"prefect.resource.id": f"{PREFIX}.{role}.{name}", "prefect.resource.name": printable(name)}
    return {**named, "prefect.resource.role": role}
