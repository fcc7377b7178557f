"""What the page of a model shows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import quote

from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.changes import EndpointChange, newest_first, schedule_days
from endpoint_history.site.data.history import Model
from endpoint_history.site.data.summary import MONTH, Overview, Summary, naming, pricing
from endpoint_history.site.output import numbers
from endpoint_history.site.output.conditions import conditionals
from endpoint_history.site.output.slugs import file_name
from endpoint_history.site.views import chart

_MOST_CHANGES: Final = 200
_MOST_INCIDENTS: Final = 50


def model_page(overview: Overview, model: Model) -> dict[str, Any]:
    """The page as plain values: the same history makes the same."""
    offers = overview.of_model[model.id]
    begin, end = model.row["first_seen_at"].date(), max(model.looked_at, model.row["last_seen_at"]).date()
    found = newest_first(change for offer in offers for change in offer.changes)
    changes = list(folded(found))
    incidents = sorted(
        ((row, offer) for offer in offers for row in offer.endpoint.incidents),
        key=lambda pair: (pair[0]["started_at"], pair[1].endpoint.row["id"]),
        reverse=True,
    )
    span = chart.span(begin, end)
    return {
        "id": model.id,
        "name": model.row["name"] or model.id,
        "file": file_name(model.id),
        "description": model.row["description"],
        "openrouter": f"https://openrouter.ai/{quote(model.id, safe='/:~')}",
        "facts": list(_facts(model, offers)),
        "looked_at": numbers.iso(model.looked_at),
        "span": span | {"begin": begin.isoformat(), "redefined": _redefined(begin, span["days"])},
        "offers": [_offer(place, offer, begin, model, span["days"]) for place, offer in enumerate(offers)],
        "conditions": list(_conditions(offers)),
        "changes": changes[:_MOST_CHANGES],
        "change_count": len(changes),
        "incidents": [incident_row(row, offer) for row, offer in incidents[:_MOST_INCIDENTS]],
        "incident_count": len(incidents),
        "chart": _chart(model, offers, begin, span["days"]),
    }


def change_row(change: EndpointChange) -> dict[str, Any]:
    """Return a change as the pages show it."""
    first_seen_at = change.model.row["first_seen_at"]
    return {
        "at": numbers.iso(change.at),
        "kind": "first seen" if change.kind == "came" and change.at == first_seen_at else change.kind,
        "size": round(change.size, 6),
        "lines": [
            {"what": line.what, "before": line.before, "after": line.after, "change": line.change,
             "way": 0 if not line.ratio or line.ratio == 1 else 1 if line.ratio > 1 else -1}
            for line in change.lines
        ],
        **naming(change.model, change.endpoint),
    }  # fmt: skip


def folded(changes: Sequence[EndpointChange]) -> Iterator[dict[str, Any]]:
    """Return a row for each change, newest first; an endpoint's scheduled changes of one UTC day share a row."""
    days = schedule_days(changes).values()
    shared = {id(change) for day in days for change in day[1:]}
    counts = {id(day[0]): len(day) for day in days if len(day) > 1}
    for change in changes:
        if count := counts.get(id(change)):
            line = {"what": "Prices", "before": None, "change": "", "way": 0}
            yield change_row(change) | {"lines": [line | {"after": f"changed {count} times by schedule"}]}
        elif id(change) not in shared:
            yield change_row(change)


def incident_row(row: Any, offer: Summary) -> dict[str, Any]:
    """An incident as pages show it."""
    return {
        "at": numbers.iso(row["started_at"]),
        "ended_by": row["ended_by"],
        "minutes": row["minutes"],
        "lasted": numbers.duration(row["minutes"]),
        "worst": numbers.percent(row["worst_uptime_pct"], 1),
        "severity": row["severity"],
        "wide": bool(row["is_catalogue_wide"]),
        **naming(offer.model, offer.endpoint),
    }


def _facts(model: Model, offers: list[Summary]) -> Iterator[dict[str, Any]]:
    listed = [offer for offer in offers if offer.prices is not None]
    priced = [offer for offer in listed if offer.is_of_the_model and offer.blended]
    if priced:
        best = priced[0]
        yield {"name": "Cheapest now", "value": pricing(best)["blended"], "note": f"{best.provider}, 3 : 1 mix"}
    else:
        yield {"name": "Cheapest now", "value": "free" if any(o.blended == 0 for o in listed) else "—", "note": ""}
    gone = len(offers) - len(listed)
    yield {"name": "Endpoints", "value": str(len(listed)), "note": f"{gone} no longer listed" if gone else "listed now"}
    since = max(model.looked_at, model.row["last_seen_at"]) - MONTH
    moves = sum(e.kind in {"repriced", "reverted"} and e.at > since for o in offers for e in o.changes)
    yield {"name": "Price changes", "value": str(moves), "note": "in the last 30 days"}
    lately = uptime_strips.together([offer.lately for offer in listed])
    yield {"name": "Uptime", "value": _percent(lately.percent), "note": "mean of its endpoints, 30 days"}
    contexts = [offer.endpoint.row["context_length"] for offer in listed if offer.endpoint.row["context_length"]]
    if contexts:
        yield {"name": "Context", "value": f"{max(contexts):,}", "note": "tokens, the longest"}


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{numbers.percent(value)} %"


def _redefined(begin: date, days: int) -> int | None:
    place = (uptime_strips.REDEFINED_ON - begin).days
    return place if 0 < place < days else None


def _offer(place: int, offer: Summary, begin: date, model: Model, days: int) -> dict[str, Any]:
    row, last = offer.endpoint.row, begin + timedelta(days=days - 1)
    end = model.looked_at
    since = offer.endpoint.prices[-1][0] if offer.endpoint.prices else None
    return {
        **naming(offer.model, offer.endpoint),
        **pricing(offer),
        "style": chart.style(place),
        "of_model": offer.is_of_the_model,
        "uptime": numbers.percent(offer.lately.percent),
        "seen": offer.lately.seen > 0,
        "covered": round(100 * offer.lately.covered / MONTH.total_seconds()),
        "quantization": row["quantization"],
        "context": row["context_length"] or None,
        "max_completion": row["max_completion_tokens"],
        "since": numbers.iso(since) if since else None,
        "last_seen": numbers.iso(row["last_seen_at"]),
        "strip": uptime_strips.paths(offer.endpoint.uptime, begin),
        "listed_line": uptime_strips.listed(offer.endpoint, begin, end),
        "in_words": uptime_strips.notes(offer.endpoint.uptime, begin, last),
    }


def _conditions(offers: list[Summary]) -> Iterator[dict[str, Any]]:
    for offer in offers:
        entries = conditionals(offer.prices) if offer.prices else []
        if entries:
            yield {
                **naming(offer.model, offer.endpoint),
                "entries": [{"when": entry.when, "prices": entry.prices} for entry in entries],
            }


def _chart(model: Model, offers: list[Summary], begin: date, days: int) -> dict[str, Any]:
    keys = chart.keys([offer.endpoint for offer in offers])
    return {
        "begin": f"{begin.isoformat()}T00:00:00Z",
        "end": numbers.iso(max(model.looked_at, model.row["last_seen_at"])),
        "keys": keys,
        "gaps": chart.gaps(model, begin),
        "series": [
            {
                "name": f"{offer.provider} {naming(model, offer.endpoint)['route']}",
                "style": chart.style(place),
                "prices": {
                    key["key"]: found for key in keys if (found := chart.steps(offer.endpoint, key["key"], begin))
                },
                "uptime": chart.by_day(offer.endpoint.uptime, begin, days),
            }
            for place, offer in enumerate(offers)
        ],
    }
