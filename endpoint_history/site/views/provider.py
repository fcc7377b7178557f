"""What the page of a provider shows. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.changes import MOVES, newest_first
from endpoint_history.site.data.summary import MONTH, QUARTER, Overview, Summary, naming, pricing
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name
from endpoint_history.site.views.model import change_row, incident_row

_MOST_CHANGES: Final = 150
_MOST_INCIDENTS: Final = 100


def provider_page(overview: Overview, provider: str) -> dict[str, Any]:
    """The page as plain values."""
    offers = overview.of_provider[provider]
    listed = [offer for offer in offers if offer.prices is not None]
    begin = max(
        overview.last_day - QUARTER + timedelta(days=1), min(o.endpoint.row["first_seen_at"].date() for o in offers)
    )
    found = newest_first(change for offer in offers for change in offer.changes)
    incidents = sorted(
        ((row, offer) for offer in offers for row in offer.endpoint.incidents),
        key=lambda pair: (pair[0]["started_at"], pair[1].model.id),
        reverse=True,
    )
    own = uptime_strips.together([offer.lately for offer in listed])
    others = uptime_strips.together([other.lately for offer in listed for other in _others(overview, offer)])
    moves = [change for change in found if change.kind in MOVES and change.at > overview.as_of - MONTH]
    recent = [row for row, _ in incidents if row["started_at"] > overview.as_of - MONTH]
    last = (overview.last_day - begin).days + 1
    return {
        "name": provider,
        "file": file_name(provider),
        "begin": begin.isoformat(),
        "days": last,
        "redefined": (uptime_strips.REDEFINED_ON - begin).days
        if begin < uptime_strips.REDEFINED_ON <= overview.last_day
        else None,
        "listed": len(listed),
        "gone": len(offers) - len(listed),
        "uptime": numbers.percent(own.percent),
        "others": numbers.percent(others.percent),
        "moves": len(moves),
        "downs": sum(change.size < 0 for change in moves),
        "ups": sum(change.size > 0 for change in moves),
        "recent_incidents": len(recent),
        "offers": [_offer(overview, offer, begin) for offer in sorted(offers, key=_by_model)],
        "changes": [change_row(change) for change in found[:_MOST_CHANGES]],
        "change_count": len(found),
        "incidents": [incident_row(row, offer) for row, offer in incidents[:_MOST_INCIDENTS]],
        "incident_count": len(incidents),
    }


def _by_model(offer: Summary) -> tuple[Any, ...]:
    row = offer.endpoint.row
    return offer.prices is None, offer.model.id, row["variant"], row["route"], row["ordinal"]


def _others(overview: Overview, offer: Summary) -> list[Summary]:
    """The listed endpoints of other providers for the same model and variant."""
    return [
        other
        for other in overview.of_model[offer.model.id]
        if other.provider != offer.provider
        and other.prices is not None
        and other.endpoint.row["variant"] == offer.endpoint.row["variant"]
    ]


def _offer(overview: Overview, offer: Summary, begin: date) -> dict[str, Any]:
    rivals = _others(overview, offer)
    theirs = uptime_strips.together([other.lately for other in rivals])
    costs = sorted(other.blended for other in rivals if other.blended)
    mine = offer.blended
    place = None if not mine or not costs else 1 + sum(cost < mine for cost in costs)
    own = offer.lately.percent
    return {
        **naming(offer.model, offer.endpoint),
        **pricing(offer),
        "rivals": len(rivals),
        "place": place,
        "of": len(costs) + 1,
        "above": ("same" if mine == costs[0] else numbers.change(costs[0], mine)) if place else "",
        "distance": float(f"{mine / costs[0] - 1:.6g}") if place and mine else None,
        "uptime": numbers.percent(own),
        "seen": offer.lately.seen > 0,
        "theirs": numbers.percent(theirs.percent),
        "difference": None if own is None or theirs.percent is None else round(own - theirs.percent, 2) or 0.0,
        "strip": uptime_strips.paths(offer.endpoint.uptime.since(begin), begin),
        "listed_line": uptime_strips.listed(offer.endpoint, begin, overview.as_of),
        "in_words": uptime_strips.notes(offer.endpoint.uptime, begin, overview.last_day),
    }
