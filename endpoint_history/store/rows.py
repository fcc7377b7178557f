"""Convert values to table rows and back. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from models.listing import (
    ABSENT,
    PRICE_KEYS,
    Absent,
    EndpointListing,
    ModelListing,
    PriceSet,
    Terms,
    Uptime,
)
from models.tables import listing_changes, pricing_snapshots

V = TypeVar("V")
Row = sa.RowMapping

_UPTIME_KEYS = tuple(f.name for f in dataclasses.fields(Uptime))
_TERMS_KEYS = tuple(f.name for f in dataclasses.fields(Terms))


@dataclass(frozen=True, slots=True)
class ChangeTable(Generic[V]):
    """One change table: the part of an endpoint that it records, and the conversion to and from its columns."""

    table: sa.Table
    value: Callable[[EndpointListing], V]
    to_row: Callable[[V | Absent], dict[str, Any]]
    from_row: Callable[[Row], V | Absent]


def terms_row(terms: Terms) -> dict[str, Any]:
    """Return the columns of terms, which `endpoints` and `listing_changes` share."""
    row = {key: getattr(terms, key) for key in _TERMS_KEYS}
    row["supported_parameters"] = list(terms.supported_parameters)
    return row


def uptime_row(uptime: Uptime) -> dict[str, Any]:
    """Return the columns of `uptime_samples` that come from a body."""
    return {key: getattr(uptime, key) for key in _UPTIME_KEYS}


def model_row(listing: ModelListing) -> dict[str, Any]:
    """Return the columns of `models` that come from a body."""
    names = ("name", "created_at", "description", "tokenizer", "instruct_type")
    lists = ("input_modalities", "output_modalities")
    return {n: getattr(listing, n) for n in names} | {n: list(getattr(listing, n)) for n in lists}


def _prices_to_row(prices: PriceSet | Absent) -> dict[str, Any]:
    if isinstance(prices, Absent):
        return {**dict.fromkeys(_PRICE_COLUMNS), "listed": False, "varies": False}
    return {
        **{f"{key}_usd": getattr(prices, key) for key in PRICE_KEYS},
        "listed": True,
        "varies": prices.varies,
        "discount": prices.discount,
        "overrides": prices.overrides,
        "other_prices": prices.other,
    }


_PRICE_COLUMNS = (*(f"{key}_usd" for key in PRICE_KEYS), "discount", "overrides", "other_prices")


def _prices_from_row(row: Row) -> PriceSet | Absent:
    if not row["listed"]:
        return ABSENT
    return PriceSet(
        **{key: row[f"{key}_usd"] for key in PRICE_KEYS},
        varies=row["varies"],
        discount=row["discount"],
        overrides=row["overrides"],
        other=row["other_prices"],
    )


def _terms_to_row(terms: Terms | Absent) -> dict[str, Any]:
    if isinstance(terms, Absent):
        return {**dict.fromkeys(_TERMS_KEYS), "listed": False}
    return {**terms_row(terms), "listed": True}


def _terms_from_row(row: Row) -> Terms | Absent:
    if not row["listed"]:
        return ABSENT
    values = {key: row[key] for key in _TERMS_KEYS}
    return Terms(**values | {"supported_parameters": tuple(row["supported_parameters"])})


PRICES: ChangeTable[PriceSet] = ChangeTable(pricing_snapshots, lambda e: e.prices, _prices_to_row, _prices_from_row)
LISTINGS: ChangeTable[Terms] = ChangeTable(listing_changes, lambda e: e.terms, _terms_to_row, _terms_from_row)
