"""What the rankings show: the cheapest offer of each model, reliable providers, volatile prices. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.changes import MOVES
from endpoint_history.site.data.history import Model
from endpoint_history.site.data.summary import MONTH, QUARTER, Overview, Summary, naming, pricing
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name

_MOST_VOLATILE: Final = 100
_LEAST_COVERED: Final = 0.05  # of the 30 days, in all endpoints together: below it a mean tells little


def rankings_page(overview: Overview) -> dict[str, Any]:
    """The page as plain values."""
    cheapest = [row for model in overview.history.models if (row := _cheapest(overview, model))]
    providers = sorted(
        (row for name in overview.of_provider if (row := _provider(overview, name))),
        key=lambda row: (row["thin"], -(row["exact"] if row["exact"] is not None else -1), row["name"]),
    )
    return {
        "as_of": numbers.iso(overview.as_of),
        "cheapest": cheapest,
        "providers": [{name: value for name, value in row.items() if name != "exact"} for row in providers],
        "volatile": list(_volatile(overview)),
    }


def _cheapest(overview: Overview, model: Model) -> dict[str, Any] | None:
    listed = [o for o in overview.of_model[model.id] if o.prices is not None and o.is_of_the_model]
    if not listed:
        return None
    best = next((offer for offer in listed if offer.blended), listed[0])
    month_ago = _lowest_at(model, overview.as_of - MONTH)
    now = float(best.blended) * numbers.MILLION if best.blended else None
    moved = None if not now or not month_ago else now / month_ago - 1
    return {
        **naming(model, best.endpoint),
        **pricing(best),
        "name": model.row["name"] or model.id,
        "endpoints": len(listed),
        "free": any(offer.blended == 0 for offer in listed),
        "uptime": numbers.percent(best.lately.percent),
        "moved": None if moved is None else round(100 * moved, 1) + 0.0,
        "line": _sparkline(model, overview.as_of),
    }


def _lowest_at(model: Model, at: datetime) -> float | None:
    """The lowest blended price at an instant, USD per million tokens."""
    held = [row for row in model.lowest if row["variant"] == model.id and row["observed_at"] <= at]
    value: float | None = held[-1]["after_blended_usd_per_mtok"] if held else None
    return value


def _sparkline(model: Model, as_of: datetime) -> str:
    """The lowest price over the last 90 days as a path in a box of 90 by 20; empty where nothing is known of it."""
    start = as_of - QUARTER
    points = [
        (max((row["observed_at"] - start) / timedelta(days=1), 0.0), row["after_blended_usd_per_mtok"])
        for row in model.lowest
        if row["variant"] == model.id and row["observed_at"] <= as_of
    ]
    before = [value for place, value in points if not place][-1:]
    shown = [*((0.0, value) for value in before), *(point for point in points if point[0])]
    values = [value for _, value in shown if value is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    path, pen = "", False
    for place, value in shown:
        if value is None:
            path += f"H{place:.4g}" if pen else ""
        else:
            y = f"{10 if high == low else 18 - 16 * (value - low) / (high - low):.3g}"
            path += f"H{place:.4g}V{y}" if pen else f"M{place:.4g} {y}"
        pen = value is not None
    return path + ("H90" if pen else "")


def _provider(overview: Overview, name: str) -> dict[str, Any] | None:
    listed = [offer for offer in overview.of_provider[name] if offer.prices is not None]
    if not listed:
        return None
    lately = uptime_strips.together([offer.lately for offer in listed])
    recent = [
        row
        for offer in overview.of_provider[name]
        for row in offer.endpoint.incidents
        if row["started_at"] > overview.as_of - MONTH
    ]
    return {
        "name": name,
        "file": file_name(name),
        "models": len({offer.model.id for offer in listed}),
        "endpoints": len(listed),
        "exact": lately.percent,
        "uptime": numbers.percent(lately.percent),
        "bad": f"{100 * lately.bad / lately.covered:.2f}" if lately.covered else None,
        "bad_share": round(lately.bad / lately.covered, 4) if lately.covered else None,
        "incidents": len(recent),
        "wide": sum(bool(row["is_catalogue_wide"]) for row in recent),
        "thin": lately.covered < _LEAST_COVERED * MONTH.total_seconds() * len(listed),
        "cheapest": sum(_is_cheapest(overview, offer) for offer in listed),
    }


def _is_cheapest(overview: Overview, offer: Summary) -> bool:
    rivals = [o.blended for o in overview.of_model[offer.model.id] if o.blended and o.is_of_the_model]
    return bool(offer.is_of_the_model and offer.blended and len(rivals) > 1 and offer.blended == min(rivals))


def _volatile(overview: Overview) -> Iterator[dict[str, Any]]:
    since = overview.as_of - QUARTER
    found = []
    for offer in overview.all:
        moves = [e for e in offer.changes if e.kind in MOVES and e.size and since < e.at <= overview.as_of]
        if offer.prices is not None and moves:
            found.append((len(moves), offer, moves))
    found.sort(key=lambda item: (-item[0], item[1].model.id, item[1].endpoint.row["id"]))
    for count, offer, moves in found[:_MOST_VOLATILE]:
        yield {
            **naming(offer.model, offer.endpoint),
            **pricing(offer),
            "count": count,
            "ups": sum(change.size > 0 for change in moves),
            "downs": sum(change.size < 0 for change in moves),
            "largest": numbers.signed(max((change.size for change in moves), key=abs)),
            "largest_size": round(max(abs(change.size) for change in moves), 4),
            "last": numbers.iso(moves[0].at),
        }
