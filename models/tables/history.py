"""The tables of history: endpoints, and when their prices, presence and terms changed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from models.listing import PRICE_KEYS
from models.tables.columns import is_time, metadata, reference, seen_between, surrogate_key
from models.types import ExactDecimal, Json, UtcTime

QUANTIZATION = "Such as fp8; null if OpenRouter says unknown, null or nothing."


def terms() -> list[sa.Column[Any]]:
    """Return the columns that hold the terms of an offer besides its price."""
    return [
        sa.Column("provider_name", sa.Text, comment="Display name of the provider; providers get renamed."),
        sa.Column("context_length", sa.BigInteger, comment="Context window in tokens."),
        sa.Column("quantization", sa.Text, comment=QUANTIZATION),
        sa.Column("max_completion_tokens", sa.BigInteger, comment="Longest answer in tokens; null if not limited."),
        sa.Column("max_prompt_tokens", sa.BigInteger, comment="Longest prompt in tokens; null if not limited."),
        sa.Column("supported_parameters", Json, comment="Sorted list of request parameters."),
        sa.Column(
            "features", Json, comment="Other flags under OpenRouter's names: supports_*, native_tools, service_tier."
        ),
    ]


endpoints = sa.Table(
    "endpoints",
    metadata,
    surrogate_key(),
    reference("model_id", "models.id", "The model that lists it."),
    sa.Column("variant", sa.Text, nullable=False, comment="The endpoint's own model id, with :free and the like."),
    sa.Column(
        "route",
        sa.Text,
        nullable=False,
        comment="The endpoint's tag; for bodies older than tags, provider:NAME quantization:NAME.",
    ),
    sa.Column(
        "ordinal", sa.Integer, nullable=False, comment="Number from 0 among endpoints with the same variant and route."
    ),
    sa.Column("tag", sa.Text, comment="Routing slug such as deepinfra/fp8; null for bodies older than tags."),
    sa.Column("name", sa.Text, nullable=False, comment="OpenRouter's name for it in the newest body; not unique."),
    *terms(),
    *seen_between("the endpoint"),
    sa.UniqueConstraint("model_id", "variant", "route", "ordinal"),
    sa.CheckConstraint("ordinal >= 0", name="ordinal"),
    comment="One row per offer of a model by a provider, with its latest terms.",
)


def _change_key() -> list[sa.schema.SchemaItem]:
    return [
        reference("endpoint_id", "endpoints.id", "The endpoint that changed.", primary_key=True),
        sa.Column("observed_at", UtcTime, primary_key=True, comment="Start of the period in which this holds (UTC)."),
        reference("observation_id", "observations.id", "The observation that proves it."),
        sa.Column(
            "listed",
            sa.Boolean,
            nullable=False,
            comment="False if the endpoint is no longer listed; all other values are then null.",
        ),
        is_time("observed_at"),
    ]


def _not_negative(column: str) -> str:
    # SQLite stores prices as text; the cast makes the comparison numeric in both databases.
    return f"CAST({column} AS DOUBLE PRECISION) >= 0"


_PRICE_COLUMNS = tuple(f"{key}_usd" for key in PRICE_KEYS)
_UNITS = {"prompt": "prompt token", "completion": "completion token", "request": "request"}


def prices() -> list[sa.Column[Any]]:
    """Return the columns that hold a price set."""
    return [
        *(
            sa.Column(
                f"{key}_usd",
                ExactDecimal,
                comment=f"Exact USD per {_UNITS.get(key, f'unit of {key}')}, after discount; "
                + ("null if the price varies." if key in {"prompt", "completion"} else "null if not charged."),
            )
            for key in PRICE_KEYS
        ),
        sa.Column("varies", sa.Boolean, nullable=False, comment="True if OpenRouter gives -1 (varies) for any price."),
        sa.Column(
            "discount",
            ExactDecimal,
            comment="Fraction already subtracted from the prices; negative for a markup, null for none.",
        ),
        sa.Column(
            "overrides", Json, comment="Conditional prices as published, in order; a later entry takes precedence."
        ),
        sa.Column("other_prices", Json, comment="Prices under keys that have no column yet, exact decimals as text."),
    ]


pricing_snapshots = sa.Table(
    "pricing_snapshots",
    metadata,
    *_change_key(),
    *prices(),
    *(sa.CheckConstraint(_not_negative(column), name=f"{column}_not_negative") for column in _PRICE_COLUMNS),
    sa.CheckConstraint(
        "NOT listed OR varies OR (prompt_usd IS NOT NULL AND completion_usd IS NOT NULL)", name="listed_has_prices"
    ),
    sa.CheckConstraint(
        "listed OR (NOT varies AND "
        + " AND ".join(f"{column} IS NULL" for column in (*_PRICE_COLUMNS, "discount", "overrides", "other_prices"))
        + ")",
        name="absent_has_no_price",
    ),
    sa.CheckConstraint(
        " AND ".join(f"{column} NOT GLOB '*[^0-9.]*'" for column in _PRICE_COLUMNS), name="decimals"
    ).ddl_if(dialect="sqlite"),
    comment="One row per change of an endpoint's price set. It holds until the endpoint's next row.",
)
sa.Index("ix_pricing_snapshots_observed_at", pricing_snapshots.c.observed_at)
sa.Index("ix_pricing_snapshots_observation_id", pricing_snapshots.c.observation_id)

listing_changes = sa.Table(
    "listing_changes",
    metadata,
    *_change_key(),
    *terms(),
    sa.CheckConstraint(
        "NOT listed OR (provider_name IS NOT NULL AND supported_parameters IS NOT NULL)", name="listed_has_terms"
    ),
    sa.CheckConstraint(
        "listed OR (" + " AND ".join(f"{column.name} IS NULL" for column in terms()) + ")", name="absent_has_no_terms"
    ),
    sa.CheckConstraint("context_length >= 0", name="context_length"),
    comment="One row per change of an endpoint's presence or terms. It holds until the endpoint's next row.",
)
sa.Index("ix_listing_changes_observed_at", listing_changes.c.observed_at)
sa.Index("ix_listing_changes_observation_id", listing_changes.c.observation_id)
