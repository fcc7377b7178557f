"""Who offers what in the simulated market: what of it a seed decides once. Pure; all names are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from random import Random

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 24 * 60  # all times of an offer are minutes since EPOCH

_AUTHORS = ("aurora", "borealis", "cobalt", "delta-labs", "ember", "fjord", "granite-ai", "helio")
_FAMILIES = ("nova", "quill", "sage", "tern", "umbra", "vela", "wren", "zephyr")
_SIZES = ("mini", "7b", "30b", "120b", "large", "pro")
_PROVIDERS = (
    "Northwind",
    "Cascade",
    "Bluefin",
    "Harbor",
    "Juniper",
    "Lattice",
    "Meridian",
    "Quarry",
    "Saffron",
    "Tidal",
)
_QUANTIZATIONS = ("fp8", "fp4", "bf16", "unknown", "int8")
_CONTEXTS = (8192, 32768, 131072, 262144, 1048576)
_DAYS_PER_PRICE = (7, 30, 75, 150, 365)
_NIGHTS = ((0, 600), (1630, 30), (2200, 500))


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of a model: what of it does not change.

    It reprices once in `days_per_price`. `night` is (from, until) in HHMM, UTC.
    """

    model: str
    provider: str
    tag: str
    context_length: int
    quantization: str
    usd_per_mtok: Decimal
    days_per_price: int
    promotes: bool
    tiered: bool
    cheap_at_night: bool
    leaves: bool
    fragile: bool
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.model} {self.tag} {self.context_length}")

    @property
    def night(self) -> tuple[int, int]:
        """When it is cheap, where it is cheap at night."""
        return chance(self.key, "night").choice(_NIGHTS)

    def is_listed(self, minute: int) -> bool:
        """One that leaves is away for some days of a month, or for so long that it seems to come, or to have gone."""
        if not self.leaves:
            return True
        days, least, most = (100, 30, 50) if chance(self.key, "leaves").random() < 0.4 else (30, 1, 8)  # noqa: PLR2004
        return spell(self.key, "away", minute, days * DAY, (least * DAY, most * DAY)) is None


def chance(key: str, what: str, number: int = 0) -> Random:
    """Randomness that belongs to this and nothing else."""
    return Random(f"{key} {what} {number}")  # noqa: S311 - a simulation


def spell(key: str, what: str, minute: int, cycle: int, lasts: tuple[int, int]) -> int | None:
    """The number of the spell in which a minute lies, None where in none.

    One begins somewhere in each `cycle` and ends within it; it lasts from the one of `lasts` to the other. All is in
    minutes.
    """
    number, since = divmod(minute, cycle)
    begin, end = _spell(key, what, number, cycle, lasts)
    return number if begin <= since < end else None


@cache
def offers(models: int, seed: int) -> dict[str, list[Offer]]:
    """What there is of each model."""
    dice = Random(seed)  # noqa: S311
    names = [f"{author}/{family}-{size}" for author in _AUTHORS for family in _FAMILIES for size in _SIZES]
    numbered = [f"{name}-v{version}" for version in range(2, 2 + models // len(names)) for name in names]
    chosen = dice.sample(names, min(models, len(names))) + numbered
    found = {name: _offers_of(name, dice) for name in chosen[:models]}
    free = next(iter(found))
    found[f"{free}:free"] = [_offer(f"{free}:free", _PROVIDERS[0], Decimal(0), dice)]
    return found


def _offers_of(model: str, dice: Random) -> list[Offer]:
    base = Decimal(dice.choice(("0.04", "0.1", "0.25", "0.6", "1.25", "3")))
    providers = dice.sample(_PROVIDERS, dice.choices((1, 2, 4, 7), (5, 3, 2, 1))[0])
    found = [_offer(model, provider, base, dice) for provider in providers]
    if dice.random() < 0.05:  # noqa: PLR2004
        found.append(_offer(model, providers[0], base * 2, dice, twin=found[0]))
    return found


def _offer(model: str, provider: str, base: Decimal, dice: Random, twin: Offer | None = None) -> Offer:
    """An offer; one that has a twin shares its tag, and has another context length."""
    quantization = dice.choice(_QUANTIZATIONS)
    quantization = twin.quantization if twin else quantization
    suffix = "" if quantization == "unknown" else f"/{quantization}"
    context_length = dice.choice(_CONTEXTS)
    return Offer(
        model=model,
        provider=provider,
        tag=provider.lower() + suffix,
        context_length=context_length * 2 if twin and twin.context_length == context_length else context_length,
        quantization=quantization,
        usd_per_mtok=base * Decimal(dice.randrange(80, 130)) / 100,
        days_per_price=dice.choice(_DAYS_PER_PRICE),
        promotes=dice.random() < 0.15,  # noqa: PLR2004
        tiered=dice.random() < 0.2,  # noqa: PLR2004
        cheap_at_night=dice.random() < 0.05,  # noqa: PLR2004
        leaves=dice.random() < 0.1,  # noqa: PLR2004
        fragile=dice.random() < 0.2,  # noqa: PLR2004
    )


@cache
def _spell(key: str, what: str, number: int, cycle: int, lasts: tuple[int, int]) -> tuple[int, int]:
    dice = chance(key, what, number)
    length = dice.randint(*lasts)
    begin = dice.randrange(cycle - length)
    return begin, begin + length
