"""Endpoints, prices and price moves in words for people: one way to write each. Pure."""

from __future__ import annotations

from decimal import Decimal

from endpoint_history.text import printable
from models.listing import PER_TOKEN, canonical_decimal

_MILLION = 1_000_000


def endpoint_text(model: str, provider: str, route: str) -> str:
    """Return an endpoint as `model at provider (route)`."""
    return printable(f"{model} at {provider} ({route})")


def price_text(key: str, price: Decimal | None) -> str:
    """Return a price in US dollars per million tokens, or per one of any other unit; `none` if not charged."""
    if price is None:
        return "none"
    if key in PER_TOKEN:
        return f"${canonical_decimal(price * _MILLION)}/M"
    return canonical_decimal(price) if key == "discount" else f"${canonical_decimal(price)}"


def exact_price(price: Decimal | None) -> str | None:
    """Return a price as JSON keeps it without loss."""
    return None if price is None else canonical_decimal(price)


def move_text(key: str, before: Decimal | None, after: Decimal | None) -> str:
    """Return a price move as `prompt $1/M -> $2/M`."""
    return f"{key} {price_text(key, before)} -> {price_text(key, after)}"


def percent_text(before: Decimal | None, after: Decimal | None) -> str | None:
    """Return a price move in percent, such as `+12.5 %`; None if there is no price to compare with, or it was free."""
    return f"{float((after - before) / before * 100):+.4g} %" if before and after is not None else None
