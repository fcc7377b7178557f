"""The views for analysts, to select from by their columns. docs/schema.md is generated from the comments here.

The SQL that makes them stands in the migrations.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from models.listing import PRICE_KEYS
from models.types import ExactDecimal, Id, Json, UtcTime

views = sa.MetaData()
Columns = list[sa.Column[Any]]

_MODEL = "The resolved model id (data.id)."
_QUANTIZATION = "Such as fp8; null where upstream says unknown, null or nothing."
_FIRST_SEEN = "The look that first saw it (UTC)."


def names() -> Columns:
    """What names an endpoint in every view, with the ids to join by."""
    return [
        sa.Column("model", sa.Text, comment=_MODEL),
        sa.Column("provider", sa.Text, comment="Display name of the provider, as last seen."),
        sa.Column("route", sa.Text, comment="The endpoint's tag; before tags: provider:NAME quantization:NAME."),
        sa.Column("variant", sa.Text, comment="The endpoint's own model id, with :free and the like."),
        sa.Column("ordinal", sa.Integer, comment="Numbers endpoints that share variant and route."),
        sa.Column("endpoint_id", Id, comment="The endpoint (endpoints.id)."),
        sa.Column("model_id", Id, comment="The model (models.id)."),
    ]


def _span() -> Columns:
    return [
        sa.Column("valid_from", UtcTime, comment=_FIRST_SEEN),
        sa.Column("valid_to", UtcTime, comment="The look that no longer did, exclusive (UTC); null: it holds now."),
        sa.Column(
            "observed_through",
            UtcTime,
            comment="The last look that confirmed it (UTC); between this and valid_to nobody knows.",
        ),
    ]


_UNITS = {"prompt": "token of the prompt", "completion": "token of the answer", "request": "request"}
_PER_MTOK = ("prompt", "completion", "input_cache_read", "input_cache_write")


def _exact(key: str) -> sa.Column[Any]:
    unit = _UNITS.get(key, f"unit of {key}")
    null = "it varies" if key in {"prompt", "completion"} else "not charged"
    return sa.Column(f"{key}_usd", ExactDecimal, comment=f"USD per {unit}, exact, net of discount; null means {null}.")


def _prices() -> Columns:
    before = "The same before the discount; null where nothing is left of it."
    conditional = "Conditional prices as published; conditional_prices has them row by row."
    return [
        *(sa.Column(f"{key}_usd_per_mtok", sa.Double, comment=f"{key}_usd for a million.") for key in _PER_MTOK),
        *(sa.Column(f"{key}_list_usd_per_mtok", sa.Double, comment=before) for key in ("prompt", "completion")),
        *map(_exact, PRICE_KEYS),
        sa.Column("varies", sa.Boolean, comment="Whether upstream gives -1 (varies) for any price."),
        sa.Column(
            "discount", ExactDecimal, comment="Fraction already taken off; negative is a markup; null means none."
        ),
        sa.Column(
            "has_conditional_prices", sa.Boolean, comment="Whether other prices hold for long prompts or at times."
        ),
        sa.Column("overrides", Json, comment=conditional),
        sa.Column("other_prices", Json, comment="Price keys that have no column yet, exact decimals as text."),
    ]


def _uptime(window: str, text: str) -> sa.Column[Any]:
    comment = f"Uptime over the last {text} in percent; null: upstream gave none."
    return sa.Column(f"uptime_{window}_pct", sa.Double, comment=comment)


current_prices = sa.Table(
    "current_prices",
    views,
    *names(),
    sa.Column("valid_from", UtcTime, comment="The look that first saw these prices (UTC)."),
    sa.Column("observed_at", UtcTime, comment="The last look that confirmed them (UTC)."),
    sa.Column("evidence_age_seconds", sa.BigInteger, comment="How long ago that was, by the database's clock."),
    *_prices(),
    sa.Column("quantization", sa.Text, comment=_QUANTIZATION),
    sa.Column("context_length", sa.BigInteger, comment="Context window in tokens."),
    sa.Column("max_completion_tokens", sa.BigInteger, comment="Longest answer in tokens; null where not limited."),
    sa.Column(
        "status",
        sa.SmallInteger,
        comment="0 normal, -2 degraded, -5 down, -3 deranked, -10 off, -1 unseen; of the newest sample.",
    ),
    _uptime("5m", "5 minutes"),
    _uptime("30m", "30 minutes"),
    _uptime("1d", "day"),
    comment="One row for one endpoint listed now, by the newest evidence of its model.",
)

price_intervals = sa.Table(
    "price_intervals",
    views,
    *names(),
    *_span(),
    *_prices(),
    comment="One row for one span of time in which an endpoint was listed at one price set.",
)

conditional_prices = sa.Table(
    "conditional_prices",
    views,
    *names(),
    sa.Column("valid_from", UtcTime, comment="From when it is published (UTC)."),
    sa.Column("valid_to", UtcTime, comment="Until when, exclusive (UTC); null: it is now."),
    sa.Column("place", sa.BigInteger, comment="Which entry of the list, from 1; of those that hold, a later one wins."),
    sa.Column("min_prompt_tokens", sa.BigInteger, comment="Holds for prompts longer than this; null: for any."),
    sa.Column("utc_start", sa.Text, comment="Holds from this time of day (UTC), HHMM; null: from midnight."),
    sa.Column("utc_end", sa.Text, comment="Until this one, exclusive; before utc_start: past midnight."),
    sa.Column("utc_days", Json, comment="Weekdays (UTC) on which it holds, such as monday; null: on all."),
    sa.Column("price_key", sa.Text, comment="Which price, such as prompt."),
    sa.Column(
        "price_usd",
        ExactDecimal,
        comment="USD per unit while all conditions hold, exact; null means that it varies.",
    ),
    sa.Column("usd_per_mtok", sa.Double, comment="price_usd for a million."),
    comment="One row for one price in one entry of published overrides; a key that an entry lacks keeps its price.",
)

price_changes = sa.Table(
    "price_changes",
    views,
    *names(),
    sa.Column("observed_at", UtcTime, comment=_FIRST_SEEN),
    sa.Column(
        "price_key",
        sa.Text,
        comment="Which price by upstream's name, or discount, varies, overrides, other_prices.",
    ),
    sa.Column(
        "before",
        ExactDecimal,
        comment="USD per unit when last listed, or the discount, exact; null: none, or it varies.",
    ),
    sa.Column("after", ExactDecimal, comment="The same from then on."),
    sa.Column("ratio", sa.Double, comment="after / before of a price; null where before is null or 0."),
    sa.Column("before_json", Json, comment="varies, overrides or other_prices when last listed; null: none."),
    sa.Column("after_json", Json, comment="The same from then on."),
    sa.Column(
        "kind",
        sa.Text,
        comment="The first that is true of: first, listed again, scheduled, reverted, repriced.",
    ),
    comment="One row for one price of an endpoint that is not what it was when the endpoint was last listed.",
)


def _offer(when: str, text: str) -> Columns:
    return [
        sa.Column(
            f"{when}_endpoint_id",
            Id,
            comment=f"The endpoint that was cheapest {text} (endpoints.id); null: none.",
        ),
        sa.Column(f"{when}_provider", sa.Text, comment="Its provider."),
        sa.Column(f"{when}_route", sa.Text, comment="Its tag."),
        sa.Column(f"{when}_prompt_usd_per_mtok", sa.Double, comment="USD for a million tokens of the prompt."),
        sa.Column(f"{when}_completion_usd_per_mtok", sa.Double, comment="USD for a million tokens of the answer."),
        sa.Column(
            f"{when}_blended_usd_per_mtok",
            sa.Double,
            comment="(3 * prompt + completion) / 4, by which offers are compared.",
        ),
    ]


model_price_changes = sa.Table(
    "model_price_changes",
    views,
    sa.Column("model", sa.Text, comment=_MODEL),
    sa.Column(
        "variant",
        sa.Text,
        comment="The endpoints' own model id: :batch and the like are compared among themselves.",
    ),
    sa.Column("model_id", Id, comment="The model (models.id)."),
    sa.Column("observed_at", UtcTime, comment=_FIRST_SEEN),
    *_offer("before", "until then"),
    *_offer("after", "from then on"),
    sa.Column("ratio", sa.Double, comment="after / before of the blended price; null where one is."),
    sa.Column("why", sa.Text, comment="first, repriced, scheduled, cheapest left, cheaper came or came back."),
    comment="One row for one move of the lowest price of a model, free offers and those that vary apart, and why.",
)

endpoint_intervals = sa.Table(
    "endpoint_intervals",
    views,
    *names(),
    *_span(),
    sa.Column("provider_name", sa.Text, comment="Display name of the provider in that time."),
    sa.Column("context_length", sa.BigInteger, comment="Context window in tokens."),
    sa.Column("quantization", sa.Text, comment=_QUANTIZATION),
    sa.Column("max_completion_tokens", sa.BigInteger, comment="Longest answer in tokens; null where not limited."),
    sa.Column("max_prompt_tokens", sa.BigInteger, comment="Longest prompt in tokens; null where not limited."),
    sa.Column("supported_parameters", Json, comment="Sorted list of request parameters."),
    sa.Column("features", Json, comment="Other flags by upstream's names: supports_*, native_tools, service_tier."),
    comment="One row for one span of time in which an endpoint was listed on the same terms.",
)

endpoint_changes = sa.Table(
    "endpoint_changes",
    views,
    *names(),
    sa.Column("observed_at", UtcTime, comment=_FIRST_SEEN),
    sa.Column("kind", sa.Text, comment="came, left, returned or terms changed."),
    sa.Column("term", sa.Text, comment="Which term changed; null where it came, left or returned."),
    sa.Column("before", sa.Text, comment="The term when last listed, lists and flags as JSON; null: none."),
    sa.Column("after", sa.Text, comment="The same from then on."),
    comment="One row for one change of an endpoint: it came, left or returned, or one of its terms changed.",
)

evidence = sa.Table(
    "evidence",
    views,
    sa.Column("model", sa.Text, comment=_MODEL),
    sa.Column("path", sa.Text, comment="The path that was asked for."),
    sa.Column("observed_at", UtcTime, comment="When (UTC)."),
    sa.Column("outcome", sa.Text, comment="ok, or gone (the API's own 404)."),
    sa.Column(
        "complete", sa.Boolean, comment="Whether every endpoint in it could be read: only then is absence proved."
    ),
    sa.Column("source", sa.Text, comment="live: a look of our own; files, git, wayback: imported."),
    sa.Column(
        "run",
        sa.Text,
        comment="The run that brought it (runs.name), and the bundle of the archive that has its body.",
    ),
    sa.Column(
        "origin", sa.Text, comment="Where an imported body lay: file, commit and path, or capture; null: our own."
    ),
    sa.Column("observation_id", Id, comment="The look (observations.id)."),
    sa.Column("model_id", Id, comment="The model (models.id)."),
    comment="One row for one look that counts: history rests on these.",
)
