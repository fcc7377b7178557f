"""What the views about prices and listings must say, worked out the slow and plain way from a whole history.

Nothing here is shared with the SQL. Rows are dictionaries without surrogate ids; prices are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.listing import PRICE_KEYS, JsonObject, PriceSet
from tests.reference.store import Change, History, Key

WEEK = timedelta(days=7)
MILLION = Decimal(1_000_000)
Row = dict[str, Any]


def named(key: Key) -> Row:
    return dict(zip(("model", "variant", "route", "ordinal"), key, strict=True))


def number(price: Decimal | None) -> float | None:
    return None if price is None else float(price * MILLION)


def listed_spans(history: History, key: Key, rows: list[Change]) -> Iterator[tuple[Any, Row]]:
    """Each listed value of an endpoint, with its span."""
    ends = [at for at, _ in rows[1:]] + [None]
    for (at, value), end in zip(rows, ends, strict=True):
        seen = [t for k, t in history.uptime if k == key and at <= t and (end is None or t < end)]
        if value is not None:
            yield value, {"valid_from": at, "valid_to": end, "observed_through": max(seen)}


def price_columns(prices: PriceSet) -> Row:
    left = 1 - (prices.discount or 0)
    per_mtok = {f"{key}_usd_per_mtok": number(getattr(prices, key)) for key in ("prompt", "completion")}
    return {
        **{f"{key}_usd": getattr(prices, key) for key in PRICE_KEYS},
        **per_mtok,
        "input_cache_read_usd_per_mtok": number(prices.input_cache_read),
        "input_cache_write_usd_per_mtok": number(prices.input_cache_write),
        "prompt_list_usd_per_mtok": number(prices.prompt / left) if prices.prompt is not None and left else None,
        "completion_list_usd_per_mtok": (
            number(prices.completion / left) if prices.completion is not None and left else None
        ),
        "varies": prices.varies,
        "discount": prices.discount,
        "has_conditional_prices": bool(prices.overrides),
        "overrides": prices.overrides,
        "other_prices": prices.other,
    }


def price_intervals(history: History) -> list[Row]:
    return [
        named(key) | span | price_columns(prices)
        for key, rows in history.prices.items()
        for prices, span in listed_spans(history, key, rows)
    ]


def current_prices(history: History) -> list[Row]:
    found = []
    for row in price_intervals(history):
        key = (row["model"], row["variant"], row["route"], row["ordinal"])
        if row.pop("valid_to") is None:
            newest = max(t for k, t in history.uptime if k == key)
            uptime = history.uptime[key, newest]
            shares = {f"uptime_{w}_pct": getattr(uptime, f"uptime_{w}_pct") for w in ("5m", "30m", "1d")}
            found.append(row | {"observed_at": row.pop("observed_through"), "status": uptime.status} | shares)
    return found


def conditional_prices(history: History) -> list[Row]:
    found = []
    for key, rows in history.prices.items():
        for prices, span in listed_spans(history, key, rows):
            for place, entry in enumerate(prices.overrides or [], 1):
                for price_key in PRICE_KEYS:
                    if price_key in entry:
                        price = Decimal(entry[price_key])
                        condition = {
                            "position": place,
                            "min_prompt_tokens": entry.get("min_prompt_tokens"),
                            "utc_start": clock(entry.get("utc_start")),
                            "utc_end": clock(entry.get("utc_end")),
                            "utc_days": entry.get("utc_days"),
                        }
                        kept = {"valid_from": span["valid_from"], "valid_to": span["valid_to"]}
                        price_row = {"price_key": price_key, "price_usd": price, "usd_per_mtok": number(price)}
                        found.append(named(key) | kept | condition | price_row)
    return found


def clock(hhmm: int | None) -> str | None:
    return None if hhmm is None else f"{hhmm:04}"


def minutes_of(entry: JsonObject) -> set[int]:
    """The minutes of a day in which an entry of overrides holds."""
    start, end = entry.get("utc_start") or 0, entry.get("utc_end") or 2400
    first, last = start // 100 * 60 + start % 100, end // 100 * 60 + end % 100
    return set(range(first, last)) if first <= last else set(range(first, 1440)) | set(range(last))


def timed(overrides: list[JsonObject] | None, key: str) -> list[JsonObject]:
    """The entries with a price of this key that depend on the time alone."""
    times = ("utc_start", "utc_end", "utc_days")
    return [
        entry
        for entry in overrides or []
        if key in entry and entry.get("min_prompt_tokens") is None and any(entry.get(t) is not None for t in times)
    ]


def of_schedule(overrides: list[JsonObject] | None, key: str, at: datetime) -> Decimal | None:
    """The price that the windows open at an instant give a key; None where none of them does."""
    found = None
    for entry in timed(overrides, key):
        days = [day[:3].lower() for day in entry.get("utc_days") or ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
        if at.hour * 60 + at.minute in minutes_of(entry) and f"{at:%a}".lower() in days:
            found = Decimal(entry[key])
    return found


@dataclass(frozen=True)
class Moment:
    """An endpoint's rows up to one at which it is listed."""

    rows: list[Change]

    @property
    def at(self) -> datetime:
        return self.rows[-1][0]

    @property
    def value(self) -> Any:
        return self.rows[-1][1]

    @property
    def last(self) -> Any:
        """What it was when last listed before; None where it never was."""
        return next((value for _, value in reversed(self.rows[:-1]) if value is not None), None)

    @property
    def returned(self) -> bool:
        return len(self.rows) > 1 and self.rows[-2][1] is None


def moments(rows: list[Change]) -> Iterator[Moment]:
    for length in range(1, len(rows) + 1):
        if rows[length - 1][1] is not None:
            yield Moment(rows[:length])


def price_changes(history: History) -> list[Row]:
    return [
        named(key) | {"observed_at": moment.at} | change
        for key, rows in history.prices.items()
        for moment in moments(rows)
        for change in changed_prices(moment)
    ]


def changed_prices(moment: Moment) -> Iterator[Row]:
    for key in (*PRICE_KEYS, "discount"):
        before, after = getattr(moment.last, key, None), getattr(moment.value, key)
        if before != after:
            ratio = float(after / before) if before and after is not None and key != "discount" else None
            row = {"price_key": key, "before": before, "after": after, "ratio": ratio, "kind": kind(moment, key)}
            yield row | {"before_json": None, "after_json": None}
    for key in ("varies", "overrides", "other"):
        before, after = getattr(moment.last, key, None) or None, getattr(moment.value, key) or None
        if before != after:
            name = "other_prices" if key == "other" else key
            row = {"price_key": name, "before": None, "after": None, "ratio": None, "kind": kind(moment, key)}
            yield row | {"before_json": before, "after_json": after}


def kind(moment: Moment, key: str) -> str:
    if moment.last is None:
        return "first"
    if moment.returned:
        return "listed again"
    if key in PRICE_KEYS and scheduled(moment, key):
        return "scheduled"
    if key in {*PRICE_KEYS, "discount"} and reverted(moment, key):
        return "reverted"
    return "repriced"


def scheduled(moment: Moment, key: str) -> bool:
    overrides = moment.value.overrides
    before, after = (getattr(prices, key) or Decimal(0) for prices in (moment.last, moment.value))
    if not overrides or moment.last.overrides != overrides:
        return False
    now = of_schedule(overrides, key, moment.at)
    if now is not None:
        return now == after
    prices = {Decimal(entry[key]) for entry in timed(overrides, key)}
    same = [value for _, value in moment.rows[:-1] if value is not None and value.overrides == overrides]
    plain = [price for value in same if (price := getattr(value, key) or Decimal(0)) not in prices]
    return before in prices and plain[-1:] in ([], [after])


def reverted(moment: Moment, key: str) -> bool:
    """Whether the price is what it was before it last changed, which was a week ago at most."""
    before, after = getattr(moment.last, key), getattr(moment.value, key)
    since = moment.at
    for at, value in reversed(moment.rows[:-1]):
        if value is None:
            return False
        if getattr(value, key) != before:
            return getattr(value, key) == after and moment.at - since <= WEEK
        since = at
    return False
