"""The JSON behind the pages, for other programs; docs/site.md tells its shape. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.changes import in_order, schedule_days, term_value
from endpoint_history.site.data.history import Days, Model
from endpoint_history.site.data.summary import Overview, Summary
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name
from models.listing import PRICE_KEYS, Absent, PriceSet

_VERSION: Final = 1
_DAY: Final = timedelta(days=1)


def index_json(overview: Overview) -> dict[str, Any]:
    """All models, and where their files are."""
    return {
        "kind": "endpoint-history models",
        "version": _VERSION,
        "as_of": numbers.iso(overview.as_of),
        "models": [
            {"id": m.id, "page": f"models/{file_name(m.id)}.html", "json": f"models/{file_name(m.id)}.json"}
            for m in overview.history.models
        ],
    }


def model_json(overview: Overview, model: Model) -> dict[str, Any]:
    """All that is kept of a model, prices exact."""
    row = model.row
    return {
        "kind": "endpoint-history model",
        "version": _VERSION,
        "id": model.id,
        "name": row["name"],
        "description": row["description"],
        "input_modalities": row["input_modalities"],
        "output_modalities": row["output_modalities"],
        "first_seen_at": numbers.iso(row["first_seen_at"]),
        "looked_at": numbers.iso(model.looked_at),
        "uptime_redefined_on": uptime_strips.REDEFINED_ON.isoformat(),
        "endpoints": [_endpoint(offer) for offer in overview.of_model[model.id]],
    }


def _endpoint(offer: Summary) -> dict[str, Any]:
    row, endpoint = offer.endpoint.row, offer.endpoint
    terms = ("context_length", "max_completion_tokens", "max_prompt_tokens", "quantization", "supported_parameters")
    return {
        "provider": offer.provider,
        "route": row["route"],
        "variant": row["variant"],
        "ordinal": row["ordinal"],
        "listed": offer.prices is not None,
        **{name: row[name] for name in terms},
        "first_seen_at": numbers.iso(row["first_seen_at"]),
        "last_seen_at": numbers.iso(row["last_seen_at"]),
        "prices": [_prices(at, prices) for at, prices in endpoint.prices],
        "scheduled_changes": [
            {"day": f"{day}", "observed_at": [numbers.iso(change.at) for change in reversed(found)]}
            for (_, day), found in reversed(schedule_days(offer.changes).items())
        ],
        "uptime": _uptime(endpoint.uptime),
        "incidents": [
            {
                "started_at": numbers.iso(incident["started_at"]),
                "ended_at": numbers.iso(incident["ended_at"]) if incident["ended_at"] else None,
                "ended_by": incident["ended_by"],
                "worst_uptime_pct": incident["worst_uptime_pct"],
            }
            for incident in endpoint.incidents
        ],
        "changes": [
            {"observed_at": numbers.iso(change["observed_at"]), "kind": change["kind"], "term": change["term"],
             "before": term_value(change["before"]), "after": term_value(change["after"])}
            for change in endpoint.listing_changes
        ],
    }  # fmt: skip


def _prices(at: Any, prices: PriceSet | Absent) -> dict[str, Any]:
    if isinstance(prices, Absent):
        return {"observed_at": numbers.iso(at), "listed": False}
    values = {key: getattr(prices, key) for key in PRICE_KEYS}
    found = {f"{k}_usd": numbers.exact(v) for k, v in values.items() if v is not None or k in {"prompt", "completion"}}
    rest = {
        "varies": prices.varies or None,
        "discount": numbers.exact(prices.discount),
        "overrides": in_order(prices.overrides),
        "other_prices": in_order(prices.other),
    }
    told = {name: value for name, value in rest.items() if value is not None}
    return {"observed_at": numbers.iso(at), "listed": True, **found, **told}


def _uptime(days: Days) -> dict[str, Any] | None:
    """By columns, day by day from the first: null where nothing was seen, or upstream told no number."""
    if not days.days:
        return None
    first = days.days[0]
    length = (days.days[-1] - first) // _DAY + 1
    means: list[float | None] = [None] * length
    worst: list[float | None] = [None] * length
    minutes: list[int | None] = [None] * length
    for place, day in enumerate(days.days):
        at = (day - first) // _DAY
        means[at], worst[at] = _rounded(days.means[place]), _rounded(days.worst[place])
        minutes[at] = round(days.covered[place] / 60)
    return {"first_day": first.isoformat(), "mean_pct": means, "worst_pct": worst, "covered_minutes": minutes}


def _rounded(value: float | None) -> float | None:
    """To four decimals, as the databases don't agree about the last ones; without a fraction where there is none."""
    if value is None:
        return None
    rounded = round(value, 4)
    return int(rounded) if rounded.is_integer() else rounded
