"""Extreme values in every field: stored on both databases, and read by all that reads the tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.alerts.history import AlertHistory
from endpoint_history.alerts.rules import Rule
from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import rank_offers
from endpoint_history.database.engine import opened, writing
from endpoint_history.monitoring.status import read_status, status_lines
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import Read, store
from models.listing import EndpointListing, ParsedObservation, PriceSet, Uptime
from models.views import views
from tests.support import sites
from tests.support.exporting import export_to
from tests.support.factories import MODEL, a_body, a_look, an_endpoint, at

EXTREMES = [
    "1" * 4000,
    "1" * 5000,
    "-" + "9" * 5000,
    "9223372036854775808",
    "1e400",
    "1e-400",
    "1E+999999999",
    "1e-999999999",
    "1e99999999999999999999",
    "-0",
    "-0.0",
    "NaN",
    "-Infinity",
    "1e-300",
    "5e-324",
    '"1E+999999999"',
    f'"{"1" * 5000}"',
    '"9999999-01-01T00:00:00Z"',
    json.dumps("\0\ud800\U0001f600" * 200),
    json.dumps(["x" * 300] * 2000),
    json.dumps({str(number): number for number in range(3000)}),
    "[" * 40 + "]" * 40,
]
TERMS = ["context_length", "max_completion_tokens", "max_prompt_tokens", "supported_parameters", "quantization", "name"]
TELEMETRY = [
    *("status", "uptime_last_5m", "uptime_last_30m", "uptime_last_1d", "latency_last_30m", "latency_last_30m.p50"),
    *("throughput_last_30m.p99", "native_tools", "supports_tool_choice", "unheard_of"),
]
PRICING = [
    *("prompt", "request", "discount", "unheard_of", "overrides", "overrides.prompt", "overrides.unheard_of"),
    *("overrides.min_prompt_tokens", "overrides.utc_start", "overrides.utc_end", "overrides.utc_days"),
]
PLACES = [*TERMS, *TELEMETRY, *(f"pricing.{name}" for name in PRICING)]
OF_THE_MODEL = ["name", "created", "description", "architecture", "unheard_of"]
RULES = [
    Rule(name="price", on="price", direction="both", hold_minutes=0, rearm_minutes=0),
    Rule(name="listing", on="listing", direction="gone", hold_minutes=0, rearm_minutes=0),
    Rule(name="incident", on="incident", direction="both", hold_minutes=0, rearm_minutes=0),
]
WANTED = Conditions(uptime_pct=Decimal("0.000000000000000000000000000001"), over=timedelta(days=2))
USAGES = [Usage(1000, 100), Usage(10**12, 10**12, requests=10**12)]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    with opened(database_url) as opened_engine:
        yield opened_engine


def an_extreme_endpoint(place: str) -> dict[str, Any]:
    """An endpoint named for the place where it holds the text that extreme_body replaces."""
    override: dict[str, Any] = {"min_prompt_tokens": 100, "prompt": "0.000002"}
    percentiles = {name: {"p50": 1} for name in ("latency_last_30m", "throughput_last_30m")}
    endpoint = an_endpoint(place, model_id=None, pricing={"overrides": [override]}, **percentiles)
    *parents, name = place.split(".")
    holder: Any = endpoint
    for parent in parents:
        holder = override if parent == "overrides" else holder[parent]
    holder[name] = "@extreme@"
    return endpoint


def extreme_body(raw: str, model: str) -> bytes:
    """One value at every place of an endpoint, each in an endpoint of its own, and at every field of the model."""
    of_the_model = dict.fromkeys(OF_THE_MODEL, "@extreme@")
    body = a_body(*map(an_extreme_endpoint, PLACES), model=model, **of_the_model)
    return body.replace(b'"@extreme@"', raw.encode())


def extreme_reads(values: Sequence[str]) -> list[Read]:
    """Two looks at a model for each value, so that intervals and rollups have something to span."""
    looks = [
        a_look(body=extreme_body(raw, f"acme/extreme-{number}"), target=f"acme/extreme-{number}", minute=minute)
        for number, raw in enumerate(values)
        for minute in (number, number + 30)
    ]
    return [(look, read_observation(look)) for look in looks]


OLD_CONDITIONS: list[dict[str, Any]] = [
    {"utc_start": "1E+999999999"},
    {"utc_end": "1E+999999999", "utc_start": -5},
    {"utc_start": 10**400},
    {"utc_days": "monday"},
    {"utc_days": [1, None, {}]},
    {"min_prompt_tokens": "1" * 5000},
    {"min_prompt_tokens": 10**400},
    {"min_prompt_tokens": -1},
    {"min_prompt_tokens": "1E+999999999"},
    {"region": "1E+999999999"},
    {"region": "1" * 5000},
]


def as_older_versions_stored_it(reading: ParsedObservation, look: int) -> ParsedObservation:
    """The same reading with values that were let in when only their size as JSON was bounded."""
    assert reading.listing is not None
    endpoints = tuple(
        dataclasses.replace(endpoint, prices=old_prices(endpoint.prices, number), uptime=old_uptime(number + look))
        for number, endpoint in enumerate(reading.listing.endpoints)
    )
    return dataclasses.replace(reading, listing=dataclasses.replace(reading.listing, endpoints=endpoints))


def old_prices(prices: PriceSet, number: int) -> PriceSet:
    entry = {**OLD_CONDITIONS[number], "prompt": "0.0000001"}
    return dataclasses.replace(prices, overrides=[entry])


def old_uptime(number: int) -> Uptime:
    return Uptime(0, 1e-300, (1e-300, 99.99999999, 5e-324)[number % 3], 5e-324)


def old_reads() -> list[Read]:
    looks = [
        a_look(*(an_endpoint(f"north-{n}", prompt) for n in range(len(OLD_CONDITIONS))), minute=minute)
        for minute, prompt in ((0, "0.000001"), (30, "0.0000001"), (60, "0.000001"))
    ]
    return [(look, as_older_versions_stored_it(read_observation(look), at_look)) for at_look, look in enumerate(looks)]


def save(engine: sa.Engine, reads: list[Read]) -> None:
    with writing(engine) as connection:
        store(connection, reads)
    roll_up(engine)


def ask_everything(engine: sa.Engine, url: str, folder: Path, names: list[str]) -> None:
    """What people run on a history: none of it raises."""
    with engine.connect() as connection:
        for view in views.sorted_tables:
            connection.execute(sa.select(view)).all()
        for name in names:
            for usage in USAGES:
                now = at(24 * 60)
                rank_offers(connection, name, usage, WANTED, as_of=now, now=now)
        AlertHistory(connection, at(-1), at(24 * 60)).alerts(RULES)
        status = read_status(
            connection, now=at(60), schema="head", archive_bytes=1, database="history.db", archive="archive"
        )
        assert list(status_lines(status))
    sites.build_site(folder / "site", url)
    export_to(folder / "export", url)


def test_any_value_in_any_field_is_stored(engine: sa.Engine) -> None:
    reads = extreme_reads(EXTREMES)
    assert {reading.outcome for _, reading in reads} == {"ok"}
    save(engine, reads)


def test_extreme_values_are_read_by_everything(engine: sa.Engine, database_url: str, tmp_path: Path) -> None:
    values = ["1" * 4000, "1E+999999999", "1e-300", '"1E+999999999"']
    save(engine, extreme_reads(values))
    ask_everything(engine, database_url, tmp_path, [f"acme/extreme-{number}" for number in range(len(values))])


def test_what_older_versions_let_in_is_read_by_everything(engine: sa.Engine, database_url: str, tmp_path: Path) -> None:
    save(engine, old_reads())
    ask_everything(engine, database_url, tmp_path, [MODEL])


@pytest.mark.parametrize("raw", EXTREMES, ids=lambda raw: raw[:20])
@pytest.mark.parametrize("place", TELEMETRY)
def test_an_extreme_value_of_telemetry_hides_no_price(place: str, raw: str) -> None:
    body = a_body(an_endpoint("north"), an_extreme_endpoint(place)).replace(b'"@extreme@"', raw.encode())
    reading = read_observation(a_look(body=body))
    assert reading.complete, reading.trouble
    assert reading.listing is not None
    found: dict[str | None, EndpointListing] = {endpoint.tag: endpoint for endpoint in reading.listing.endpoints}
    assert found[place].prices.prompt == found["north"].prices.prompt
