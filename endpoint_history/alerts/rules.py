"""The rules of `alerts.toml`: what somebody wants to be told of. Pure but for reading its file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from endpoint_history.alerts.engine import Direction
from endpoint_history.errors import ConfigurationError
from endpoint_history.suggestions import closest
from endpoint_history.targets import TargetList
from models.listing import PRICE_KEYS

On = Literal["price", "listing", "incident", "stale"]

_WHOSE = {"models", "providers"}
_ALWAYS = {"name", "on", "hold_minutes", "rearm_minutes"}
_KEYS: dict[str, set[str]] = {
    "price": _ALWAYS | _WHOSE | {"threshold_pct", "direction", "prices"},
    "listing": _ALWAYS | _WHOSE | {"direction"},
    "incident": _ALWAYS | _WHOSE,
    "stale": _ALWAYS,
}
_DIRECTIONS: dict[str, tuple[str, ...]] = {"price": ("both", "up", "down"), "listing": ("gone", "listed", "both")}
# Long enough that one odd look alerts nobody at a cadence of half an hour. An incident takes two bad samples anyway.
_HOLD_MINUTES = {"price": 60, "listing": 60, "incident": 30, "stale": 90}


def _known_price(key: str) -> str:
    if key not in PRICE_KEYS:
        near = closest(key, PRICE_KEYS, cutoff=0.6)
        raise ValueError(f"{key!r} is no price" + (f"; {near[0]!r} is" if near else ""))
    return key


def _provider_pattern(text: str) -> str:
    if not text.strip() or not text.isprintable() or any(sign in text for sign in "[]?"):
        raise ValueError(f"{text!r} is no provider, nor a pattern such as 'amazon*'")
    return text.strip()


def _model_patterns(entries: tuple[str, ...]) -> tuple[str, ...]:
    try:
        TargetList.given(entries)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return entries


class Rule(BaseModel):
    """One rule: which changes of which endpoints alert, once they have held, and how soon again.

    `threshold_pct` and `prices` are of `price` only; a `stale` rule is of the collector, not of endpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    on: On
    models: Annotated[tuple[str, ...], AfterValidator(_model_patterns)] = ("*",)
    providers: tuple[Annotated[str, AfterValidator(_provider_pattern)], ...] = Field(default=("*",), min_length=1)
    threshold_pct: Decimal = Field(default=Decimal(10), gt=0, le=100_000)
    direction: Direction = "both"
    prices: tuple[Annotated[str, AfterValidator(_known_price)], ...] = Field(
        default=("prompt", "completion"), min_length=1
    )
    hold_minutes: int = Field(ge=0, le=10_080, strict=True)
    rearm_minutes: int = Field(default=1440, ge=0, le=525_600, strict=True)

    @property
    def hold(self) -> timedelta:
        """How long a change must have held, at a look, before it alerts."""
        return timedelta(minutes=self.hold_minutes)

    @property
    def rearm(self) -> timedelta:
        """How long after an alert none of the same endpoint can come."""
        return timedelta(minutes=self.rearm_minutes)

    def takes(self, models: Iterable[str], providers: Iterable[str]) -> bool:
        """Whether it is about an endpoint of any of these model ids and any of these names of a provider."""
        wanted = TargetList(self.models)
        return any(map(wanted.takes, models)) and any(
            fnmatchcase(provider.lower(), pattern.lower()) for provider in providers for pattern in self.providers
        )


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file; none where there is no file. Raises ConfigurationError naming the rule and the key."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the alerts file {path} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    _refuse_unknown(str(path), given, {"rule"})
    tables = given.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: a rule begins with [[rule]]")
    rules = tuple(_rule(path, number, table) for number, table in enumerate(tables, 1))
    names = [rule.name for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f"{path}: two rules are called {twice!r}")
    return rules


def _rule(path: Path, number: int, table: dict[str, Any]) -> Rule:
    name = table.get("name")
    where = (
        f"{path}: rule {name!r}" if isinstance(name, str) and name.isprintable() and name else f"{path}: rule {number}"
    )
    on = str(table.get("on"))
    if on not in get_args(On):
        raise ConfigurationError(f"{where}: on: expected one of {', '.join(get_args(On))}")
    _refuse_unknown(where, table, _KEYS[on], f" in a rule on {on!r}")
    directions = _DIRECTIONS.get(on, ("both",))
    if table.get("direction", directions[0]) not in directions:
        raise ConfigurationError(f"{where}: direction: expected one of {', '.join(directions)}")
    given = {"hold_minutes": _HOLD_MINUTES[on], "direction": directions[0], **table}
    try:
        return Rule.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{where}: {key}: {first['msg'].removeprefix('Value error, ')}") from None


def _refuse_unknown(where: str, table: dict[str, Any], known: set[str], of: str = "") -> None:
    for key in sorted(table.keys() - known):
        near = closest(key, known, cutoff=0.6)
        hint = f"; {near[0]!r} is" if near else f"; expected {', '.join(sorted(known))}"
        raise ConfigurationError(f"{where}: {key!r} is not known{of}{hint}")
