"""What an offer must meet, and why one does not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from endpoint_history.analysis.cheapest.cost import Usage, decimals, exact
from endpoint_history.analysis.cheapest.uptime import SpanUptime
from endpoint_history.errors import ConfigurationError
from endpoint_history.suggestions import closest
from models.listing import EndpointKey, Terms

UNKNOWN: Final = "unknown"
LONGEST_SPAN: Final = timedelta(days=3660)
_HUNDRED: Final = 100
_MAX_DECIMALS: Final = 30


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an offer must meet. Raises ConfigurationError for what can't be.

    `uptime_pct` is the least mean uptime in percent over the span `over`; None: any, an unknown one too.
    `quantizations` and `providers` are those that will do, all of them where empty: `unknown` is the quantization that
    upstream does not tell; a provider is meant by its name, or by the first part of its tag. `context_length` is the
    least, in tokens; that the request fits in is a condition anyway. A number stands for the decimal that it is shown
    as, one name for a sequence of it.
    """

    uptime_pct: Decimal | None = None
    over: timedelta = timedelta(days=7)
    quantizations: Sequence[str] = ()
    providers: Sequence[str] = ()
    context_length: int | None = None

    def __post_init__(self) -> None:
        for name in ("quantizations", "providers"):
            if isinstance(names := getattr(self, name), str):
                object.__setattr__(self, name, (names,))
        if self.uptime_pct is not None:
            object.__setattr__(self, "uptime_pct", exact("--uptime", self.uptime_pct))
        floor = self.uptime_pct
        if floor is not None and not (floor.is_finite() and 0 <= floor <= _HUNDRED):
            raise ConfigurationError(f"--uptime: {floor} is no percentage between 0 and 100, such as 99.5")
        if floor is not None and max(len(floor.as_tuple().digits), decimals(floor)) > _MAX_DECIMALS:
            raise ConfigurationError(f"--uptime: more than {_MAX_DECIMALS} digits")
        if not timedelta(minutes=1) <= self.over <= LONGEST_SPAN:
            raise ConfigurationError(f"--over: a span is from 1m to {LONGEST_SPAN.days}d, such as 7d, 24h or 90m")
        if self.context_length is not None and self.context_length < 0:
            raise ConfigurationError(f"--context: {self.context_length} is negative")


def refuse_unknown(wanted: Conditions, offers: Sequence[tuple[EndpointKey, Terms]]) -> None:
    """Raise ConfigurationError for a quantization or provider that none of these offers has, naming what they have."""
    quantizations = {terms.quantization or UNKNOWN for _, terms in offers}
    providers = {terms.provider_name for _, terms in offers}
    names = {name for key, terms in offers for name in _names(key, terms)}
    for asked in wanted.quantizations if offers else ():
        if asked.casefold() not in {name.casefold() for name in quantizations}:
            have = ", ".join(sorted(quantizations))
            raise ConfigurationError(f"--quantization: no offer has {asked!r}; they have: {have}")
    for asked in wanted.providers if offers else ():
        if asked.casefold() not in names:
            have = nearest(asked, providers) or "; they are of: " + ", ".join(sorted(providers))
            raise ConfigurationError(f"--provider: no offer is of {asked!r}{have}")


def unmet_terms(key: EndpointKey, terms: Terms, usage: Usage, wanted: Conditions) -> Iterator[str]:
    """Why these terms will not do, each in a few words."""
    if wanted.providers and not _names(key, terms) & {name.casefold() for name in wanted.providers}:
        yield "another provider"
    quantization = terms.quantization or UNKNOWN
    if wanted.quantizations and quantization.casefold() not in {name.casefold() for name in wanted.quantizations}:
        yield f"quantization {quantization}"
    context = terms.context_length or None  # upstream's 0 tells nothing
    if wanted.context_length and context is None:
        yield "context length unknown"
    elif wanted.context_length and context is not None and context < wanted.context_length:
        yield f"context of {context} tokens"
    for what, tokens, limit in (
        ("the request", usage.input_tokens + usage.output_tokens, context),
        ("the prompt", usage.input_tokens, terms.max_prompt_tokens),
        ("the answer", usage.output_tokens, terms.max_completion_tokens),
    ):
        if limit is not None and tokens > limit:
            yield f"{what} is too long: {tokens} tokens, at most {limit}"


def unmet_uptime(uptime: SpanUptime, wanted: Conditions) -> Iterator[str]:
    """Why this uptime will not do."""
    if wanted.uptime_pct is None or uptime.reaches(wanted.uptime_pct):
        return
    if uptime.mean_pct is None:
        yield unknown_uptime(uptime)
    else:  # rounded down: what misses the floor must not look as if it reached it
        yield f"uptime of {Decimal(repr(uptime.mean_pct)).quantize(Decimal('0.001'), ROUND_FLOOR)} %"


def unknown_uptime(uptime: SpanUptime) -> str:
    """Why nothing is known of it."""
    return f"uptime unknown: none given at {uptime.looks} looks" if uptime.looks else "uptime unknown: no samples"


def nearest(name: str, known: set[str]) -> str:
    """The end of a sentence that names what somebody may have meant; empty where nothing is near."""
    close = closest(name, known)
    return "; nearest: " + ", ".join(close) if close else ""


def _names(key: EndpointKey, terms: Terms) -> set[str]:
    return {terms.provider_name.casefold(), key.route.split("/")[0].casefold()}
