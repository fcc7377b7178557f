"""An answer of `cheapest` as lines for a terminal, as JSON and as CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from endpoint_history.analysis.cheapest.conditions import UNKNOWN, Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import RankedOffer, Ranking
from endpoint_history.analysis.export.csv import defused
from endpoint_history.text import printable
from models.listing import canonical_decimal

_MOST: Final = 20
_HEAD: Final = ("cost USD", "uptime %", "covered", "provider", "route", "quantization", "context")
_NUMBERS: Final = {0, 1, 2, 6}


def as_json(answer: Ranking) -> str:
    """The whole answer as one JSON object: exact decimals as strings, times as ISO 8601 in UTC, ASCII alone."""
    told = asdict(answer)
    told["conditions"]["over_seconds"] = int(told["conditions"].pop("over").total_seconds())
    return json.dumps(told, default=_json_value, indent=2)


def as_csv(answer: Ranking) -> str:
    """One row for each offer, those that are left out last, with their reasons; notes are joined by semicolons.

    What a spreadsheet would run gets one `'` in front.
    """
    text = io.StringIO()
    names = [field.name for field in fields(RankedOffer)]
    rows = csv.DictWriter(text, ["rank", "model", "as_of", *names], lineterminator="\n")
    rows.writeheader()
    for number, offer in enumerate((*answer.offers, *answer.left_out), 1):
        rank = number if number <= len(answer.offers) else None
        cells = {name: _csv_value(value) for name, value in asdict(offer).items()}
        rows.writerow({"rank": rank, "model": defused(answer.model), "as_of": _iso(answer.as_of), **cells})
    return text.getvalue()


def lines(answer: Ranking) -> Iterator[str]:
    """The same for a terminal."""
    yield f"Model      {answer.model} as of {_utc(answer.as_of)}, last look {_utc(answer.seen_at)}"
    yield f"Usage      {_usage(answer.usage)}"
    yield f"Wanted     {_wanted(answer.conditions)}, since {_utc(answer.uptime_since)}"
    yield from (f"Mind       {note}" for note in answer.notes)
    yield ""
    if not answer.offers:
        offered = "No offer meets these conditions." if answer.left_out else "The model lists no offers then."
        yield offered
    yield from _table(answer.offers)
    if answer.left_out:
        yield ""
        yield f"Left out   {len(answer.left_out)}"
        yield from (f"  {_name(offer)}: {printable(', '.join(offer.reasons))}" for offer in answer.left_out[:_MOST])
    if len(answer.left_out) > _MOST:
        yield f"  … and {len(answer.left_out) - _MOST} more, all told by --json"


def _table(offers: Sequence[RankedOffer]) -> Iterator[str]:
    rows = [_HEAD, *(_cells(offer) for offer in offers)] if offers else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    notes: list[tuple[str, ...]] = [(), *(offer.notes for offer in offers)]
    for row, of_row in zip(rows, notes, strict=bool(rows)):
        cells = zip(row, widths, strict=True)
        padded = (c.rjust(w) if n in _NUMBERS else c.ljust(w) for n, (c, w) in enumerate(cells))
        yield "  ".join(padded).rstrip()
        yield from (f"    {note}" for note in of_row)


def _cells(offer: RankedOffer) -> tuple[str, ...]:
    return (
        "" if offer.cost_usd is None else canonical_decimal(offer.cost_usd),
        "unknown" if offer.uptime_pct is None else f"{offer.uptime_pct:.2f}",
        f"{offer.covered_share:.1%}",
        printable(offer.provider),
        _route(offer),
        printable(offer.quantization or UNKNOWN),
        f"{offer.context_length:,}" if offer.context_length else UNKNOWN,
    )


def _name(offer: RankedOffer) -> str:
    cost = "" if offer.cost_usd is None else f", {canonical_decimal(offer.cost_usd)} USD"
    return f"{printable(offer.provider)} {_route(offer)}{cost}"


def _route(offer: RankedOffer) -> str:
    twin = f" #{offer.ordinal + 1}" if offer.ordinal else ""
    return printable(offer.route) + twin


def _usage(usage: Usage) -> str:
    tokens = f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
    parts = [tokens if usage.requests == 1 else f"{usage.requests:,} requests of {tokens} each"]
    if usage.cached_share:
        parts.append(f"{canonical_decimal(usage.cached_share * 100)} % of the input cached")
    if usage.cache_write:
        parts.append(f"{usage.cache_write:,} tokens written to the cache")
    if usage.images:
        parts.append(f"{usage.images:,} images")
    return ", ".join(parts)


def _wanted(conditions: Conditions) -> str:
    floor = conditions.uptime_pct
    parts = ["any uptime" if floor is None else f"uptime of {canonical_decimal(floor)} % or more"]
    if conditions.context_length:
        parts.insert(0, f"context of {conditions.context_length:,} tokens or more")
    for what, names in (("quantization", conditions.quantizations), ("provider", conditions.providers)):
        if names:
            parts.insert(0, f"{what} {printable(' or '.join(names))}")
    return ", ".join(parts)


def _json_value(value: Any) -> Any:
    match value:
        case Decimal():
            return canonical_decimal(value)
        case datetime():
            return _iso(value)
    raise TypeError(type(value))


def _csv_value(value: Any) -> Any:
    match value:
        case Decimal():
            return canonical_decimal(value)
        case tuple():
            return defused("; ".join(value))
        case str():
            return defused(value)
    return value


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
