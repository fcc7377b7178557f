"""What model_price_changes must say, the slow and plain way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.listing import PriceSet
from tests.reference.prices import Row, number, price_changes
from tests.reference.store import Change, History, Key


@dataclass(frozen=True)
class Offer:
    """An endpoint of a model at an instant, with a price that can be compared."""

    key: Key
    prices: PriceSet

    @property
    def blended(self) -> Decimal:
        assert self.prices.prompt is not None
        assert self.prices.completion is not None
        return (3 * self.prices.prompt + self.prices.completion) / 4


def model_price_changes(history: History) -> list[Row]:
    scheduled: set[tuple[Any, ...]] = {
        (row["model"], row["variant"], row["route"], row["ordinal"], row["observed_at"])
        for row in price_changes(history)
        if row["kind"] == "scheduled" and row["price_key"] in {"prompt", "completion"}
    }
    found = []
    for model, variant in {key[:2] for key in history.prices}:
        rows = {key: rows for key, rows in history.prices.items() if key[:2] == (model, variant)}
        before: Offer | None = None
        ever = False
        for at in sorted({at for changes in rows.values() for at, _ in changes}):
            after = cheapest(rows, at)
            if (before and before.blended) != (after and after.blended):
                why = "first" if not ever else reason(rows, before, after, at, scheduled)
                found.append(
                    {"model": model, "variant": variant, "observed_at": at, "reason": why}
                    | columns("before", before)
                    | columns("after", after)
                    | {"ratio": float(after.blended / before.blended) if before and after else None}
                )
            before, ever = after, ever or after is not None
    return found


def value_at(rows: list[Change], at: datetime) -> PriceSet | None:
    values: list[PriceSet | None] = [value for since, value in rows if since <= at]
    return values[-1] if values else None


def cheapest(rows: dict[Key, list[Change]], at: datetime) -> Offer | None:
    offers = [Offer(key, prices) for key, changes in rows.items() if (prices := value_at(changes, at))]
    priced = [o for o in offers if o.prices.prompt is not None and o.prices.completion is not None and o.blended > 0]
    return min(priced, key=lambda offer: (offer.blended, offer.key), default=None)


def reason(
    rows: dict[Key, list[Change]],
    before: Offer | None,
    after: Offer | None,
    at: datetime,
    scheduled: set[tuple[Any, ...]],
) -> str:
    fell = after is not None and (before is None or after.blended < before.blended)
    mover = after if fell else before
    assert mover
    if (*mover.key, at) in scheduled:
        return "scheduled"
    earlier = [value for since, value in rows[mover.key] if since < at]
    if not fell:
        return "repriced" if value_at(rows[mover.key], at) else "cheapest left"
    if not earlier:
        return "cheaper came"
    return "repriced" if earlier[-1] else "came back"


def columns(when: str, offer: Offer | None) -> Row:
    return {
        f"{when}_provider": offer and "North",
        f"{when}_route": offer and offer.key[2],
        f"{when}_prompt_usd_per_mtok": offer and number(offer.prices.prompt),
        f"{when}_completion_usd_per_mtok": offer and number(offer.prices.completion),
        f"{when}_blended_usd_per_mtok": offer and number(offer.blended),
    }
