"""Changes of endpoints. All prices that one observation shows as changed are one change. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from endpoint_history.io.strict_json import canonical
from models.listing import PRICE_KEYS, PriceSet
from endpoint_history.site.output import numbers
from endpoint_history.site.data.history import Endpoint, Model, Row

# Of what stands at one look the first names the change.
_KINDS: Final = ("came", "left", "returned", "repriced", "reverted", "scheduled", "terms changed", "listed again")
MOVES: Final = frozenset({"repriced", "reverted"})
LISTINGS: Final = frozenset({"came", "left", "returned"})
_TERM_NAMES: Final = {
    "provider_name": "Provider's name",
    "context_length": "Context",
    "quantization": "Quantization",
    "max_completion_tokens": "Longest answer",
    "max_prompt_tokens": "Longest prompt",
    "supported_parameters": "Parameters",
    "features": "Features",
}
_ORDER: Final = {
    key: place for place, key in enumerate((*PRICE_KEYS, "discount", "varies", "overrides", "other_prices"))
}
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that changed. `before` and `after` are as shown, None: none; `ratio` is after / before."""

    what: str
    before: str | None
    after: str | None
    change: str = ""
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What became of an endpoint at one look. `size` is the largest ln(after / before) of its prices, signed."""

    at: datetime
    kind: str
    model: Model
    endpoint: Endpoint
    lines: tuple[Line, ...]

    @property
    def size(self) -> float:
        """How far its prices moved, down being negative."""
        moves = [math.log(line.ratio) for line in self.lines if line.ratio]
        return max(moves, key=abs, default=0.0)


def changes_of(model: Model, endpoint: Endpoint) -> list[EndpointChange]:
    """All changes of an endpoint, the newest first."""
    kinds: dict[datetime, set[str]] = {}
    lines: dict[datetime, list[Line]] = {}
    arrived = {row["observed_at"] for row in endpoint.listing_changes if row["kind"] == "came"}
    for row in endpoint.listing_changes:
        kinds.setdefault(row["observed_at"], set()).add(row["kind"])
        lines.setdefault(row["observed_at"], []).extend(_term(row))
    for row in sorted(endpoint.price_changes, key=lambda row: _ORDER[row["price_key"]]):
        if row["kind"] != "first":
            kinds.setdefault(row["observed_at"], set()).add(row["kind"])
            lines.setdefault(row["observed_at"], []).append(_price(row))
    for at, prices in endpoint.prices:
        if at in arrived and isinstance(prices, PriceSet):
            lines[at].extend(_first(prices))
    return [
        EndpointChange(at, next(kind for kind in _KINDS if kind in kinds[at]), model, endpoint, tuple(lines.get(at, ())))
        for at in sorted(kinds, reverse=True)
    ]


def schedule_days(found: Iterable[EndpointChange]) -> dict[tuple[int, date], list[EndpointChange]]:
    """Return the scheduled changes by endpoint and UTC day, in their order."""
    days: dict[tuple[int, date], list[EndpointChange]] = {}
    for change in found:
        if change.kind == "scheduled":
            days.setdefault((change.endpoint.row["id"], change.at.astimezone(UTC).date()), []).append(change)
    return days


def newest_first(found: Iterable[EndpointChange]) -> list[EndpointChange]:
    """Events of many endpoints in one order."""
    return sorted(
        found, key=lambda e: (-e.at.timestamp(), e.model.id, e.endpoint.row["route"], e.endpoint.row["ordinal"])
    )


def _first(prices: PriceSet) -> Iterator[Line]:
    for key in ("prompt", "completion"):
        value: Decimal | None = getattr(prices, key)
        yield Line(numbers.key_name(key), None, numbers.price(key, value) or "varies")


def _price(row: Row) -> Line:
    key, before, after = row["price_key"], row["before"], row["after"]
    if key in PRICE_KEYS:
        none = "varies" if key in {"prompt", "completion"} else "not charged"
        ratio = float(after / before) if before and after else None
        shown = [numbers.price(key, value) or none for value in (before, after)]
        return Line(numbers.key_name(key), shown[0], shown[1], numbers.change(before, after), ratio)
    if key == "discount":
        return Line(numbers.key_name(key), _share(before), _share(after))
    if key == "varies":
        return Line("A price", None, "varies" if row["after_json"] else "no longer varies")
    before, after = row["before_json"], row["after_json"]
    what = "changed" if before and after else "published" if after else "withdrawn"
    return Line(numbers.key_name(key), None, what)


def term_value(text: str | None) -> Any:
    """The value of a term in endpoint_changes, where lists and flags stand as JSON, as each database writes it."""
    return in_order(json.loads(text)) if text and text.startswith(("{", "[")) else text


def in_order(value: Any) -> Any:
    """The same JSON value, its keys in order: PostgreSQL gives them in one of its own."""
    return json.loads(canonical(value))


def _term(row: Row) -> Iterator[Line]:
    if row["term"] is None:
        return
    before, after = term_value(row["before"]), term_value(row["after"])
    name = _TERM_NAMES.get(row["term"], str(row["term"]))
    if row["term"] == "supported_parameters":
        old, new = set(before or ()), set(after or ())
        signs = [*(f"+{item}" for item in sorted(new - old)), *(f"−{item}" for item in sorted(old - new))]  # noqa: RUF001
        yield Line(name, None, _cut(", ".join(signs)))
        return
    yield Line(name, _shown(before), _shown(after))


def _share(value: Decimal | None) -> str:
    return f"{float(value or 0) * 100:.4g} %"


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    return _cut(_grouped(value) if isinstance(value, str) else canonical(value))


def _grouped(text: str) -> str:
    return f"{int(text):,}" if text.isascii() and text.isdecimal() else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
