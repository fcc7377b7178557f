"""How the tests make a site, and a history with everything in it that pages must show, or must not fall for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from endpoint_history.database.engine import opened
from endpoint_history.site.build import Built, build
from models.observation import Observation
from tests.support.exporting import eventful_months
from tests.support.factories import a_body, a_look, an_endpoint

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028\u2029"
HOSTILE_MODEL = "evil/x-1"
CASES = ("case/swift", "Case/Swift", "case/swift:free", "~case/swift")
_DAY = 24 * 60
_OCTOBER = 144 * _DAY  # in minutes after MORNING: the 7th, a day before uptime was redefined


def hostile_looks() -> list[Observation]:
    """A model whose every text is an attack, and ids that would share a file."""
    endpoint = an_endpoint(
        tag=HOSTILE, provider_name=HOSTILE, name=HOSTILE, quantization=HOSTILE, model_id=HOSTILE_MODEL
    )
    fields = {"name": HOSTILE, "description": HOSTILE}
    hostile = [
        a_look(
            target=HOSTILE_MODEL,
            minute=minute,
            body=a_body(endpoint | {"supported_parameters": [HOSTILE, str(minute)]}, model=HOSTILE_MODEL, **fields),
        )
        for minute in (0, 30)
    ]
    return [*hostile, *(a_look(an_endpoint(model_id=id_), target=id_, model=id_) for id_ in CASES)]


def a_week_of_prices(model: str = "acme/market") -> list[Observation]:
    """Half-hourly looks over some days about the redefinition of uptime: prices, tiers, nights, an incident, a gap."""
    looks = []
    for number in range(5 * 48):
        minute = _OCTOBER + number * 30
        if 100 <= number < 130:
            continue
        cheap = an_endpoint("alpha/fp8", "0.0000001" if number < 60 else "0.0000002", **_of("Alpha", model))
        dear = an_endpoint(
            "beta",
            "0.0000009",
            **_of("Beta", model),
            pricing={
                "completion": "0.0000001",
                "input_cache_read": "0.00000005",
                "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000002"}],
            },
            uptime_last_30m=40.0 if 180 <= number < 190 else 99.99,
        )
        free = an_endpoint("gamma", "0", **_of("Gamma", f"{model}:free"), pricing={"completion": "0"})
        varies = an_endpoint("delta", "-1", **_of("Delta", model), pricing={"completion": "-1"}, uptime_last_30m=None)
        listed = [cheap, dear, free, varies] if not 140 <= number < 150 else [cheap, free, varies]
        looks.append(a_look(*listed, minute=minute, target=model, model=model))
    return looks


def _of(provider: str, model: str) -> dict[str, str]:
    return {"provider_name": provider, "model_id": model}


def everything() -> list[Observation]:
    """All of these in one history."""
    return [*eventful_months(), *hostile_looks(), *a_week_of_prices()]


def build_site(folder: Path | str, database_url: str, now: datetime = NOW) -> Built:
    """Build the site of a database."""
    with opened(database_url) as engine:
        return build(engine, folder, now)
