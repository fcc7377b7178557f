"""Five questions to the views on bodies that OpenRouter really sent, answered again from the JSON files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from models.views import current_prices, endpoint_changes, model_price_changes, price_changes, price_intervals
from tests.backfilling.test_real_bodies import FILES, exact, requested
from tests.support.factories import a_look

FIRST, SECOND, THIRD, LATEST = (
    datetime(2026, 5, 16, 9, 47, 11, tzinfo=UTC),
    datetime(2026, 5, 16, 22, 17, 58, tzinfo=UTC),
    datetime(2026, 5, 18, 20, 53, 39, tzinfo=UTC),
    datetime(2026, 8, 15, 17, 40, 46, tzinfo=UTC),
)
MEANTIME = SECOND + timedelta(days=1)
TWINS = "google-vertex/us-south1"
"""The one tag that two endpoints of a model share; they swap places in the bodies, and parameters tell them apart."""

pytestmark = pytest.mark.skipif(not FILES, reason="REAL_BODIES names no recorded bodies")

Listing = dict[tuple[str, str], dict[str, Any]]  # endpoints by model id and tag


def time_of(file: Path) -> datetime:
    return datetime.strptime(file.stem.rsplit("__", 1)[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Connection]:
    url = f"sqlite:///{tmp_path_factory.mktemp('real')}/history.db"
    upgrade(url)
    looks = [a_look(target=requested(f), body=f.read_bytes(), observed_at=time_of(f)) for f in FILES]
    with opened(url) as engine:
        with writing(engine) as connection:
            store(connection, [(look, read_observation(look)) for look in looks])
        with engine.connect() as connection:
            yield connection


def recorded(time: datetime) -> Listing:
    bodies = [exact(file) for file in FILES if time_of(file) == time]
    return {(body["id"], e["tag"]): e for body in bodies for e in body["endpoints"] if e["tag"] != TWINS}


def charged(endpoint: dict[str, Any], key: str) -> Decimal:
    return Decimal(endpoint["pricing"].get(key, 0))


def test_what_does_every_provider_of_a_model_charge_now(connection: sa.Connection) -> None:
    c = current_prices.c
    columns = (c.route, c.prompt_usd, c.discount, c.prompt_list_usd_per_mtok, c.has_conditional_prices, c.observed_at)
    query = sa.select(*columns).where(c.model == "openai/gpt-5.6-luna").order_by(c.route)
    found = [tuple(row) for row in connection.execute(query)]
    in_the_file = {tag: e["pricing"] for (model, tag), e in recorded(LATEST).items() if model == "openai/gpt-5.6-luna"}
    assert found[-1] == ("openai/priority", Decimal("0.0000002"), Decimal("0.5"), pytest.approx(0.4), False, LATEST)
    assert found == [
        (
            tag,
            Decimal(pricing["prompt"]),
            pricing["discount"] or None,
            pytest.approx(float(Decimal(pricing["prompt"]) * 1_000_000 / (1 - pricing["discount"]))),
            "overrides" in pricing,
            LATEST,
        )
        for tag, pricing in sorted(in_the_file.items())
    ]


def test_which_prices_moved_between_two_walks(connection: sa.Connection) -> None:
    c = price_changes.c
    query = sa.select(c.model, c.route, c.price_key, c.before, c.after).where(
        c.kind == "repriced", c.observed_at == THIRD, c.price_key.in_(["prompt", "completion", "input_cache_read"])
    )
    before, after = recorded(SECOND), recorded(THIRD)
    expected = {
        (*key, price, charged(before[key], price), charged(after[key], price))
        for key in before.keys() & after.keys()
        for price in ("prompt", "completion", "input_cache_read")
        if charged(before[key], price) != charged(after[key], price)
    }
    found = {tuple(row) for row in connection.execute(query)}
    assert found == expected
    assert ("google/gemma-3-12b-it", "sambanova", "prompt", Decimal("0.00000035"), Decimal("0.00000022")) in found


def test_which_endpoints_came_left_and_returned(connection: sa.Connection) -> None:
    c = endpoint_changes.c
    query = sa.select(c.kind, c.model, c.route).where(c.term.is_(None), c.observed_at.in_([SECOND, THIRD]))
    first, second, third = recorded(FIRST).keys(), recorded(SECOND).keys(), recorded(THIRD).keys()
    assert {tuple(row) for row in connection.execute(query)} == {
        *(("left", *key) for key in (first - second) | (second - third)),
        *(("returned", *key) for key in (third - second) & first),
        *(("came", *key) for key in (second - first) | (third - second - first)),
    }
    back = sa.select(c.observed_at).where(c.kind == "returned", c.route == "dekallm/fp8")
    assert connection.execute(back).scalars().all() == [THIRD]


def test_what_was_the_lowest_price_of_every_model_at_the_last_walk(connection: sa.Connection) -> None:
    c = model_price_changes.c
    until_then = sa.select(model_price_changes).where(c.observed_at <= THIRD).order_by(c.observed_at)
    rows = connection.execute(until_then).mappings()
    found = {row["model"]: row["after_blended_usd_per_mtok"] for row in rows}
    blended: dict[str, list[Decimal]] = {}
    for file in FILES:
        body = exact(file)
        for e in body["endpoints"] if time_of(file) == THIRD else ():
            price = (3 * charged(e, "prompt") + charged(e, "completion")) / 4
            blended.setdefault(body["id"], []).extend([price] if price > 0 else [])
    lowest = {model: float(min(prices) * 1_000_000) for model, prices in blended.items() if prices}
    assert len(lowest) > 100
    assert {model: found[model] for model in lowest} == pytest.approx(lowest)
    assert {model for model in found if found[model] is not None} == lowest.keys() | {"google/gemini-2.5-pro-preview"}


def test_what_held_at_a_time_when_nobody_looked(connection: sa.Connection) -> None:
    c = price_intervals.c
    held = (c.valid_from <= MEANTIME, sa.or_(c.valid_to > MEANTIME, c.valid_to.is_(None)), c.valid_from >= FIRST)
    query = sa.select(c.model, c.route, c.prompt_usd, c.observed_through).where(*held, c.route != TWINS)
    found = {(model, route): rest for model, route, *rest in connection.execute(query)}
    second, third, latest = recorded(SECOND), recorded(THIRD), recorded(LATEST)
    assert {key: price for key, (price, _) in found.items()} == {key: charged(e, "prompt") for key, e in second.items()}
    same = {key: [e["pricing"] for e in (second[key], third.get(key), latest.get(key)) if e] for key in second}
    moved = {key for key, prices in same.items() if key in third and prices[0] != prices[1]}
    assert {key for key, (_, seen) in found.items() if seen == SECOND} == moved | (second.keys() - third.keys())


def test_the_files_hold_what_these_questions_need() -> None:
    assert {time_of(file) for file in FILES} > {FIRST, SECOND, THIRD, LATEST}
    assert json.loads(FILES[0].read_bytes())["data"]["endpoints"]
