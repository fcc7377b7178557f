"""What the first page shows: what changed lately, and how fresh and whole that is. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from endpoint_history.site.data import coverage
from endpoint_history.site.data.changes import LISTINGS, MOVES, EndpointChange, newest_first
from endpoint_history.site.data.history import History, Model, Row
from endpoint_history.site.data.summary import Overview, Summary
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name
from endpoint_history.site.views.model import change_row, incident_row

DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
_MOST_MOVES: Final = 150
_MOST_LISTINGS: Final = 80
_MOST_INCIDENTS: Final = 50


def home_page(overview: Overview) -> dict[str, Any]:
    """The page as plain values."""
    history, as_of = overview.history, overview.as_of
    assert history.begins_at is not None  # noqa: S101 - for mypy: no pages are made of no history
    found = newest_first(change for offer in overview.all for change in offer.changes if change.at > as_of - WEEK)
    settled = [change for change in found if change.at <= as_of and not overview.is_first_sight(change)]
    moves = [change for change in settled if change.kind in MOVES and change.size]
    listings = [
        change for change in settled if change.kind in LISTINGS and change.model.row["first_seen_at"] != change.at
    ]
    incidents = _recent_incidents(overview)
    listed = [offer for offer in overview.all if offer.prices is not None]
    looks = coverage.counted(row for m in history.models for row in m.coverage if row["day"] > overview.last_day - WEEK)
    return {
        "as_of": numbers.iso(as_of),
        "begins_at": numbers.iso(history.begins_at),
        "counts": {
            "models": len({offer.model.id for offer in listed}),
            "endpoints": len(listed),
            "providers": len({offer.provider for offer in listed}),
            "moves": _counted(moves, as_of),
            "listings": _counted(listings, as_of),
            "incidents": {
                "day": sum(row["started_at"] > as_of - DAY for row, _ in incidents),
                "week": len(incidents),
            },
        },
        "share": None if looks.share is None else f"{100 * looks.share:.1f}",
        "days": coverage.by_day(history, overview.last_day, 30),
        "moves": [_dated(change_row(change), change.at, as_of) for change in _largest(moves, as_of)],
        "listings": [_dated(change_row(change), change.at, as_of) for change in listings[:_MOST_LISTINGS]],
        "incidents": [
            _dated(incident_row(row, offer), row["started_at"], as_of) for row, offer in incidents[:_MOST_INCIDENTS]
        ],
        "new_models": _new_models(history, as_of),
        "ways": {"down": sum(e.size < 0 for e in moves), "up": sum(e.size > 0 for e in moves)},
    }


def _recent_incidents(overview: Overview) -> list[tuple[Row, Summary]]:
    """Return the incidents that began in the last week or are still open, newest first."""
    found = (
        (row, offer)
        for offer in overview.all
        for row in offer.endpoint.incidents
        if row["started_at"] > overview.as_of - WEEK or row["ended_at"] is None
    )
    return sorted(found, key=lambda pair: (pair[0]["started_at"], -pair[0]["endpoint_id"]), reverse=True)


def _new_models(history: History, as_of: datetime) -> list[dict[str, Any]]:
    assert history.begins_at is not None  # noqa: S101 - for mypy: no pages are made of no history
    new = [model for model in history.models if _is_new(model, history.begins_at, as_of)]
    return [
        {
            "id": model.id,
            "name": model.row["name"],
            "file": file_name(model.id),
            "at": numbers.iso(model.row["first_seen_at"]),
        }
        for model in sorted(new, key=lambda model: model.row["first_seen_at"], reverse=True)
    ]


def _is_new(model: Model, begins_at: datetime, as_of: datetime) -> bool:
    first = model.row["first_seen_at"]
    return bool(first >= begins_at + DAY and as_of - WEEK < first <= as_of)


def _counted(found: list[EndpointChange], as_of: datetime) -> dict[str, int]:
    return {"day": sum(change.at > as_of - DAY for change in found), "week": len(found)}


def _largest(moves: list[EndpointChange], as_of: datetime) -> list[EndpointChange]:
    """All of the last day; of the days before the largest, as far as there is room."""
    recent = [change for change in moves if change.at > as_of - DAY]
    older = sorted(moves[len(recent) :], key=lambda change: -abs(change.size))
    return newest_first([*recent, *older][: max(_MOST_MOVES, len(recent))])


def _dated(row: dict[str, Any], at: datetime, as_of: datetime) -> dict[str, Any]:
    return row | {"recent": at > as_of - DAY}
