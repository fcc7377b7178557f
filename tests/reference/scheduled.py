"""Whether a change of a price is one that its schedule explains, by the rule of `parsing.scheduled_price`."""

from __future__ import annotations

from collections.abc import Sequence

from endpoint_history.parsing.scheduled_price import ObservedPrices, shows_plain_price


def is_scheduled(key: str, before: Sequence[ObservedPrices], after: ObservedPrices) -> bool:
    """Return whether the schedule explains that a price changed, so that nobody set a new one.

    `before` is newest first. The price is that of an open window now, or the plain price is what it was when it was
    last observed under the same overrides; if it never was, nothing shows that it moved.
    """
    overrides, price = after.prices.overrides, getattr(after.prices, key)
    if not overrides or before[0].prices.overrides != overrides:
        return False
    if not shows_plain_price(key, price, overrides, after.at):
        return True
    same = (seen for seen in before if seen.prices.overrides == overrides)
    plain = (
        getattr(seen.prices, key)
        for seen in same
        if shows_plain_price(key, getattr(seen.prices, key), overrides, seen.at)
    )
    return bool(next(plain, price) == price)
