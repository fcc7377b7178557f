"""What the page of coverage shows: what has not been seen, and why. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from endpoint_history.site.data import coverage
from endpoint_history.site.data.history import Model
from endpoint_history.site.data.summary import MONTH, Overview
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name

_MOST_GAPS: Final = 60
_OLD: Final = timedelta(days=2)


def coverage_page(overview: Overview) -> dict[str, Any]:
    """The page as plain values."""
    history = overview.history
    assert history.begins_at is not None  # noqa: S101 - for mypy: no pages are made of no history
    rows = [_model(overview, model) for model in history.models]
    gaps: dict[tuple[Any, Any], list[Any]] = {}
    for model in history.models:
        for row in model.gaps:
            # A gap of the whole catalogue ends model by model within minutes: told once, by the hours that it spans.
            span = (row["started_at"].replace(minute=0, second=0), row["ended_at"].replace(minute=0, second=0))
            gaps.setdefault(span, []).append((row, model))
    longest = sorted(gaps.values(), key=lambda found: (-_minutes(found), found[0][0]["started_at"]))
    return {
        "as_of": numbers.iso(overview.as_of),
        "begins_at": numbers.iso(history.begins_at),
        "days": coverage.by_day(history, overview.last_day, 365),
        "models": rows,
        "silent": sum(row["silent"] for row in rows),
        "whole": sum(row["missed"] == 0 for row in rows),
        "gaps": [_gap(found) for found in longest[:_MOST_GAPS]],
        "gap_count": len(gaps),
    }


def _minutes(found: list[Any]) -> float:
    return float(max((row["ended_at"] - row["started_at"]) / timedelta(minutes=1) for row, _ in found))


def _gap(found: list[Any]) -> dict[str, Any]:
    row, model = found[0]
    return {
        "at": numbers.iso(row["started_at"]),
        "until": numbers.iso(row["ended_at"]),
        "lasted": numbers.duration(_minutes(found)),
        "minutes": _minutes(found),
        "models": len(found),
        "model": model.id if len(found) == 1 else "",
        "model_file": file_name(model.id) if len(found) == 1 else "",
        "failed": sum(row["failed"] for row, _ in found),
        "never_made": sum(row["missed_observations"] - row["failed"] for row, _ in found),
    }


def _model(overview: Overview, model: Model) -> dict[str, Any]:
    since = overview.last_day - MONTH
    seen = coverage.counted(row for row in model.coverage if row["day"] > since)
    offers = [offer for offer in overview.of_model[model.id] if offer.prices is not None]
    untold = sum(offer.lately.percent is None for offer in offers)
    return {
        "model": model.id,
        "model_file": file_name(model.id),
        "share": None if seen.share is None else f"{100 * seen.share:.1f}",
        "observed": seen.observed,
        "failed": seen.failed,
        "never_made": seen.never_made,
        "imported": seen.imported,
        "missed": seen.failed + seen.never_made,
        "looked_at": numbers.iso(model.looked_at),
        "silent": model.looked_at < overview.as_of - _OLD,
        "endpoints": len(offers),
        "untold": untold,
    }
