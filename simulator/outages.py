"""How well the offers of the simulated market answer at an instant. Pure.

An outage has a shape: it falls, stays, and comes back slowly. It is one offer's, or all of a provider's.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from simulator.offers import DAY, Offer, chance

# The share of days on which an outage begins.
_OF_A_PROVIDER = 0.008
_OF_A_SHAKY_ONE = {"Tidal": 0.07, "Lattice": 0.04}
_OF_AN_OFFER = 0.01
_OF_A_FRAGILE_ONE = 0.07


class Outage(NamedTuple):
    """Minutes since EPOCH and in minutes, and how many percent are lost at its worst."""

    begins: int
    falls: int
    stays: int
    recovers: int
    depth: int

    def lost(self, minute: int) -> float:
        """How many percent times minutes it has cost until a minute."""
        since = minute - self.begins
        falling = min(max(since, 0), self.falls)
        staying = min(max(since - self.falls, 0), self.stays)
        recovering = min(max(since - self.falls - self.stays, 0), self.recovers)
        area = falling**2 / (2 * self.falls) + staying + recovering - recovering**2 / (2 * self.recovers)
        return self.depth * area


class Uptime(NamedTuple):
    """Percent over the last minutes and the last day; null where nobody asks."""

    last_5m: float | None
    last_30m: float | None
    last_1d: float | None


def uptime(offer: Offer, minute: int) -> Uptime:
    """What upstream says of an offer at a minute since EPOCH."""
    roughness = _roughness(offer.key)
    if roughness is None:
        return Uptime(None, None, None)
    often = _OF_A_FRAGILE_ONE if offer.fragile else _OF_AN_OFFER
    day = minute // DAY
    outages = _about(offer.key, day, often) + _about(
        offer.provider, day, _OF_A_SHAKY_ONE.get(offer.provider, _OF_A_PROVIDER)
    )
    noise = roughness * _noise(offer.key, day)[minute % DAY // 60] if roughness else 0
    return Uptime(
        _percent(outages, minute, 5, noise), _percent(outages, minute, 30, noise), _percent(outages, minute, DAY, noise)
    )


def status(uptime_pct: float | None) -> int:
    """Upstream's number for it: 0 normal, -2 degraded, -5 down."""
    return 0 if uptime_pct is None or uptime_pct > 95 else -2 if uptime_pct > 80 else -5  # noqa: PLR2004


def _percent(outages: tuple[Outage, ...], minute: int, window: int, noise: float) -> float:
    lost = sum((outage.lost(minute) - outage.lost(minute - window)) / window for outage in outages)
    return round(max(0.0, 100 - lost - noise), 1)


@cache
def _roughness(key: str) -> float | None:
    """How many percent it loses in a bad hour without any outage. A fifth has no traffic, a third loses nothing."""
    return chance(key, "roughness").choices((None, 0, 0.6, 1.5, 4), (20, 33, 25, 15, 7))[0]


@cache
def _noise(key: str, day: int) -> tuple[float, ...]:
    """From 0 to 1, in each hour of a day."""
    dice = chance(key, "noise", day)
    return tuple(dice.random() ** 2 for _ in range(24))


@cache
def _about(key: str, day: int, often: float) -> tuple[Outage, ...]:
    """What counts on a day: what began two days ago can still lie in the last 24 hours."""
    found = (_outage(key, number, often) for number in range(day - 2, day + 1))
    return tuple(outage for outage in found if outage)


@cache
def _outage(key: str, day: int, often: float) -> Outage | None:
    dice = chance(key, "outage", day)
    if dice.random() >= often:
        return None
    return Outage(
        begins=day * DAY + dice.randrange(DAY),
        falls=dice.randint(10, 90),
        stays=dice.choices((dice.randint(5, 60), dice.randint(60, 240), dice.randint(240, 900)), (5, 4, 1))[0],
        recovers=dice.randint(20, 180),
        depth=dice.choices((100, dice.randint(30, 99), dice.randint(6, 22)), (2, 3, 5))[0],
    )
