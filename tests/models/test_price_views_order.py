"""The views about prices and listings say of random histories what a plain reference says.

Histories hold what really happens: repricing and back, night prices that wrap midnight, weekday prices, thresholds,
discounts, free and varying offers, endpoints that come, leave and return, unreadable ones, twins, several paths,
failures, and looks that come late.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.database.engine import opened, upgrade
from models.observation import Observation
from models.views import views
from tests.reference import listing as listing_reference
from tests.reference import lowest as lowest_reference
from tests.reference import prices as price_reference
from tests.reference.prices import Row, of_schedule
from tests.reference.store import History, history_of
from tests.store.test_writer_order import MOVED_TO, PATHS, TAGS, empty, store_all
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

REFERENCES: dict[str, Callable[[History], list[Row]]] = {
    "current_prices": price_reference.current_prices,
    "price_intervals": price_reference.price_intervals,
    "conditional_prices": price_reference.conditional_prices,
    "price_changes": price_reference.price_changes,
    "endpoint_intervals": listing_reference.endpoint_intervals,
    "endpoint_changes": listing_reference.endpoint_changes,
    "model_price_changes": lowest_reference.model_price_changes,
}
NOT_COMPARED = {"provider", "evidence_age_seconds", "quantization", "context_length", "max_completion_tokens"}
"""Of current_prices and the names: they come from the row of the endpoint, which is that of its newest body."""

NIGHT: dict[str, Any] = {"utc_start": 1630, "utc_end": 30, "prompt": "0.0000005"}
MORNINGS: dict[str, Any] = {
    "utc_start": 800,
    "utc_end": 1200,
    "utc_days": ["monday", "Tue", "sunday"],
    "completion": "0.000001",
}
LONG: dict[str, Any] = {"min_prompt_tokens": 200000, "prompt": "0.000003"}
UNHEARD_OF: dict[str, Any] = {"region": "eu", "prompt": "0.000003"}
LONG_NIGHT: dict[str, Any] = {**NIGHT, **LONG}
WEEKEND: dict[str, Any] = {"utc_days": ["saturday", "sunday"], "prompt": "0.0000007", "input_cache_read": "0"}
Schedule = list[dict[str, Any]] | None
SCHEDULES: st.SearchStrategy[Schedule] = st.sampled_from(
    [
        None,
        None,
        [NIGHT],
        [LONG, NIGHT, MORNINGS],
        [NIGHT, LONG_NIGHT],
        [WEEKEND, NIGHT],
        [NIGHT, UNHEARD_OF],
        [{**NIGHT, "prompt": "0.0000004"}],
    ]
)
MINUTES = st.one_of(st.integers(0, 120).map(lambda n: 10.0 * n), st.integers(0, 60).map(lambda n: 360.0 * n))


def at_the_top(overrides: Schedule, minute: float) -> dict[str, str]:
    """The prices that hold in that minute by the windows, as upstream puts them at the top."""
    prices = {key: of_schedule(overrides, key, at(minute)) for key in ("prompt", "completion", "input_cache_read")}
    return {key: str(price) for key, price in prices.items() if price is not None}


@st.composite
def looks_that_list(draw: st.DrawFn) -> Observation:
    minute = draw(MINUTES)
    model = draw(st.sampled_from([MODEL, MODEL, MODEL, MOVED_TO]))
    listed = draw(st.lists(offers(minute), max_size=4))
    return a_look(*listed, minute=minute, target=draw(PATHS), model=model)


@st.composite
def offers(draw: st.DrawFn, minute: float) -> dict[str, Any]:
    """An endpoint whose price at the top is mostly that of the minute, as its overrides say."""
    prompt = draw(st.sampled_from(["0.000001", "0.000001", "0.0000020", "0.0000005", "0", "-1", "nonsense"]))
    pricing: dict[str, Any] = {
        "prompt": prompt,
        "completion": draw(st.sampled_from(["0.000002", "0.000002", "0.0000015", "0"])),
        "discount": draw(st.sampled_from([0, 0, 0.25, 1, -0.1])),
        "overrides": draw(SCHEDULES),
        "video": draw(st.sampled_from([None, None, "0.01"])),
    } | draw(st.sampled_from([{}, {"input_cache_read": "0.0000001"}]))
    if draw(st.integers(0, 3)):
        pricing |= at_the_top(pricing["overrides"], minute)
    return an_endpoint(
        tag=draw(TAGS),
        prompt=prompt,
        pricing=pricing,
        context_length=draw(st.sampled_from([8192, 131072])),
        quantization=draw(st.sampled_from(["fp8", None])),
        supported_parameters=draw(st.sampled_from([["tools"], ["tools", "seed"]])),
        supports_tool_choice=draw(st.sampled_from([{"auto": True, "none": True}, {"none": True, "auto": True}])),
        uptime_last_30m=draw(st.sampled_from([None, 99.5])),
        status=draw(st.sampled_from([0, -2])),
    )


ANYTHING = st.lists(
    st.one_of(
        looks_that_list(),
        looks_that_list(),
        looks_that_list(),
        st.builds(a_gone_look, MINUTES, target=PATHS),
        st.builds(a_failed_look, MINUTES, target=PATHS),
    ),
    max_size=12,
)


@st.composite
def days_of_one_model(draw: st.DrawFn) -> list[Observation]:
    """Looks at two endpoints that keep to their schedules, of which now and then one is repriced or left out."""
    schedules = {tag: draw(SCHEDULES) for tag in ("north/fp8", "south")}
    looks = []
    for minute in draw(st.lists(MINUTES, min_size=4, max_size=14)):
        listed = []
        for tag, usual in schedules.items():
            overrides = draw(st.one_of(*[st.just(usual)] * 5, SCHEDULES))
            pricing = {"overrides": overrides, "discount": draw(st.sampled_from([0, 0, 0, 0.25]))}
            price = draw(st.sampled_from([*["0.000001"] * 4, "0.000003", None]))
            if price:
                listed.append(an_endpoint(tag, price, pricing=pricing | at_the_top(overrides, minute)))
        unread = draw(st.sampled_from([[], [], [], [an_endpoint("west", "nonsense")]]))
        looks.append(a_look(*listed, *unread, minute=minute, target=draw(PATHS)))
    return looks


LOOKS = st.one_of(ANYTHING, days_of_one_model())


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('views')}/history.db"
    upgrade(url)
    with opened(url) as engine:
        yield engine


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with opened(url) as engine:
            yield engine


def seen(connection: sa.Connection, view: str) -> list[str]:
    rows = connection.execute(sa.select(views.tables[view])).mappings()
    return sorted(text(row, view) for row in rows)


def text(row: Any, view: str) -> str:
    """A row without ids as text; numbers that are not exact to nine digits."""
    dropped = NOT_COMPARED if view == "current_prices" else {"provider"}
    kept = {name: value for name, value in row.items() if not name.endswith("_id") and name not in dropped}
    return json.dumps({name: plain(value, name, view) for name, value in kept.items()}, sort_keys=True, default=str)


def plain(value: Any, name: str, view: str) -> Any:
    if isinstance(value, float):
        return f"{value:.9g}"
    if view == "endpoint_changes" and name in {"before", "after"} and value is not None:
        return (
            json.loads(value)
            if isinstance(value, str) and value[0] in "[{"
            else value
            if isinstance(value, list | dict)
            else str(value)
        )
    return value.normalize() if isinstance(value, Decimal) else value


def check(engine: sa.Engine, looks: list[Observation], chance: random.Random) -> None:
    empty(engine)
    store_all(engine, chance.sample(looks, len(looks)), chance)
    history = history_of(looks)
    with engine.connect() as connection:
        for view, reference in REFERENCES.items():
            assert seen(connection, view) == sorted(text(row, view) for row in reference(history)), view


@examples(quick=30, thorough=200)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_every_view_says_what_the_plain_reference_says(
    sqlite_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    check(sqlite_engine, looks, chance)


@examples(quick=10, thorough=50)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_every_view_says_the_same_on_postgresql(
    postgres_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    check(postgres_engine, looks, chance)
