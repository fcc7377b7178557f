"""The views about prices and listings: what they are, and by hand what their words mean."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from models.observation import Observation
from models.tables import uptime_samples
from models.types import UtcTime
from models.views import (
    conditional_prices,
    current_prices,
    endpoint_changes,
    model_price_changes,
    price_changes,
    price_intervals,
)
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

DAY = 1440
DEARER = "0.000002"
NIGHT = [{"utc_start": 1630, "utc_end": 30, "prompt": "0.0000005"}]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as engine:
        yield engine


def keep(engine: sa.Engine, *looks: Observation) -> None:
    with writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])


def told(engine: sa.Engine, *columns: sa.Column[Any], key: str | None = None) -> list[Any]:
    """These columns of their view in order of time; of price_changes, of one key."""
    view = columns[0].table
    time = next(view.c[name] for name in ("valid_from", "observed_at") if name in view.c)
    query = sa.select(*columns).order_by(time, *columns)
    with engine.connect() as connection:
        rows = connection.execute(query.where(price_changes.c.price_key == key) if key else query)
        return [tuple(row) if len(columns) > 1 else row[0] for row in rows]


def kinds(engine: sa.Engine, *prompts: tuple[float, str | dict[str, Any] | None]) -> list[str]:
    """The kinds of change of the prompt's price, where a look at each minute shows that price, or nobody."""
    for minute, price in prompts:
        pricing = {"prompt": price} if isinstance(price, str) else price
        keep(engine, a_look(*([an_endpoint(pricing=pricing)] if pricing else []), minute=minute))
    return told(engine, price_changes.c.kind, key="prompt")


def at_night(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "overrides": NIGHT}


def test_a_failed_look_closes_no_interval_and_confirms_none(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()), a_look(an_endpoint(), minute=30), a_failed_look(60))
    span = (price_intervals.c.valid_from, price_intervals.c.valid_to, price_intervals.c.observed_through)
    assert told(engine, *span) == [(at(0), None, at(30))]


def test_an_interval_ends_with_the_look_that_proves_absence(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()), a_look(an_endpoint(), minute=30), a_failed_look(60), a_gone_look(90))
    span = (price_intervals.c.valid_from, price_intervals.c.valid_to, price_intervals.c.observed_through)
    assert told(engine, *span) == [(at(0), at(90), at(30))]
    assert told(engine, current_prices.c.route) == []


def test_an_incomplete_look_confirms_only_those_that_it_lists(engine: sa.Engine) -> None:
    unread = an_endpoint("west", prompt="nonsense")
    keep(engine, a_look(an_endpoint(), an_endpoint("south")), a_look(an_endpoint(), unread, minute=30))
    assert told(engine, current_prices.c.route, current_prices.c.observed_at) == [
        ("north/fp8", at(30)),
        ("south", at(0)),
    ]


def test_an_echo_by_another_path_confirms_nothing(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()), a_look(an_endpoint(), minute=10, target=f"{MODEL}-20260101"))
    assert told(engine, current_prices.c.observed_at) == [at(0)]


def test_what_complete_looks_confirmed_stays_confirmed_when_samples_are_thinned(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()), a_look(an_endpoint(), minute=30))
    with writing(engine) as connection:
        connection.execute(uptime_samples.delete())
    assert told(engine, current_prices.c.observed_at, current_prices.c.uptime_30m_pct) == [(at(30), None)]


def test_the_age_of_the_evidence_is_counted_by_the_clock_of_the_database(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()))
    clock = sa.func.now() if engine.dialect.name == "postgresql" else sa.func.datetime("now")
    with engine.connect() as connection:
        query = sa.select(sa.type_coerce(clock, UtcTime), current_prices.c.evidence_age_seconds)
        now, age = connection.execute(query).one()
    assert abs((now - at(0)).total_seconds() - age) < 1


@pytest.mark.parametrize(("discount", "listed"), [(0.25, 4 / 3), (-0.25, 0.8), (0, 1.0), (1, None)])
def test_the_list_price_is_that_before_the_discount(discount: float, listed: float | None, engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint(pricing={"discount": discount})))
    assert told(engine, current_prices.c.prompt_list_usd_per_mtok) == [pytest.approx(listed)]


def test_a_night_price_that_comes_and_goes_past_midnight_is_scheduled(engine: sa.Engine) -> None:
    low, plain = at_night("0.0000005"), at_night("0.000001")
    opens, closes = 450, 930
    assert (f"{at(opens):%H%M}", f"{at(closes):%H%M}") == ("1630", "0030")
    assert kinds(engine, (0, plain), (opens, low), (closes, plain)) == ["first", "scheduled", "scheduled"]


def test_a_window_is_closed_at_its_end(engine: sa.Engine) -> None:
    noon = [{"utc_start": 1000, "utc_end": 1200, "prompt": "0.0000005"}]
    plain, low = ({"prompt": prompt, "overrides": noon} for prompt in ("0.000001", "0.0000005"))
    assert f"{at(180):%H%M}" == "1200"
    assert kinds(engine, (0, plain), (60, low), (180, plain)) == ["first", "scheduled", "scheduled"]


def test_a_plain_price_that_moved_behind_a_window_is_repriced(engine: sa.Engine) -> None:
    low = at_night("0.0000005")
    assert kinds(engine, (0, at_night("0.000001")), (480, low), (960, at_night("0.000003")))[-1] == "repriced"


def test_a_price_that_changes_with_its_schedule_is_repriced(engine: sa.Engine) -> None:
    lower = {"prompt": "0.0000004", "overrides": [NIGHT[0] | {"prompt": "0.0000004"}]}
    assert kinds(engine, (480, at_night("0.0000005")), (510, lower)) == ["first", "repriced"]


@pytest.mark.parametrize(("day", "kind"), [("Saturday", "scheduled"), ("sat", "scheduled"), ("friday", "repriced")])
def test_a_window_holds_on_its_weekdays_alone(day: str, kind: str, engine: sa.Engine) -> None:
    overrides = [{"utc_days": ["monday", day], "utc_start": 1000, "prompt": "0.0000005"}]
    plain, low = ({"prompt": prompt, "overrides": overrides} for prompt in ("0.000001", "0.0000005"))
    assert at(60).strftime("%A %H") == "Saturday 10"
    assert kinds(engine, (0, plain), (60, low)) == ["first", kind]


@pytest.mark.parametrize(
    "entry",
    [
        {"utc_start": "morning", "utc_end": None},
        {"utc_start": 10**30, "utc_days": 5},
        {"utc_start": True, "utc_days": "monday", "min_prompt_tokens": 10**30},
        {"utc_start": {"hour": 4}, "utc_days": [{}], "min_prompt_tokens": "many"},
    ],
)
def test_conditions_that_nobody_understands_break_no_view(entry: dict[str, Any], engine: sa.Engine) -> None:
    prices = [{"prompt": price, "overrides": [{**entry, "prompt": "0.0000005"}]} for price in ("0.000001", DEARER)]
    assert kinds(engine, (0, prices[0]), (30, prices[1])) == ["first", "repriced"]
    assert told(engine, conditional_prices.c.min_prompt_tokens) == [None, None]
    assert len(told(engine, *conditional_prices.c)) == 2


@pytest.mark.parametrize(("days", "kind"), [(7, "reverted"), (8, "repriced")])
def test_a_price_that_is_back_within_a_week_is_reverted(days: int, kind: str, engine: sa.Engine) -> None:
    prices = [(0.0, "0.000001"), (30.0, DEARER), (30.0 + days * DAY, "0.000001")]
    assert kinds(engine, *prices) == ["first", "repriced", kind]


def test_what_was_before_an_absence_is_not_reverted_to(engine: sa.Engine) -> None:
    cached = an_endpoint(pricing={"input_cache_read": "0.0000001"})
    for minute, listed in enumerate([[cached], [an_endpoint()], [], [an_endpoint()], [cached]]):
        keep(engine, a_look(*listed, minute=30 * minute))
    assert told(engine, price_changes.c.kind, key="input_cache_read") == ["first", "repriced", "repriced"]


def test_a_price_is_compared_with_that_before_an_absence(engine: sa.Engine) -> None:
    assert kinds(engine, (0, "0.000001"), (30, None), (60, DEARER)) == ["first", "listed again"]
    moves = told(engine, price_changes.c.before, price_changes.c.after, price_changes.c.ratio, key="prompt")
    assert moves[1] == (Decimal("0.000001"), Decimal(DEARER), pytest.approx(2))


def test_another_order_of_the_keys_of_overrides_and_flags_is_no_change(engine: sa.Engine) -> None:
    night = NIGHT[0]
    mirrored = dict(reversed(night.items()))
    tools = {"auto": True, "none": True}
    keep(engine, a_look(an_endpoint(pricing={"overrides": [night]}, supports_tool_choice=tools)))
    turned = dict(reversed(tools.items()))
    second = an_endpoint(
        prompt=DEARER, pricing={"overrides": [mirrored]}, supports_tool_choice=turned, context_length=4096
    )
    keep(engine, a_look(second, minute=30))
    assert told(engine, price_changes.c.price_key)[-1:] == ["prompt"]
    assert told(engine, endpoint_changes.c.term) == [None, "context_length"]


def test_the_first_by_route_stands_for_offers_of_one_price(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint("west"), an_endpoint("North"), an_endpoint("north")))
    keep(engine, a_look(an_endpoint("west"), an_endpoint("East"), minute=30))
    assert told(engine, model_price_changes.c.reason, model_price_changes.c.after_route) == [("first", "North")]


def test_variants_of_a_model_are_compared_among_themselves(engine: sa.Engine) -> None:
    batch = an_endpoint(model_id=f"{MODEL}:batch", prompt="0.0000005")
    keep(engine, a_look(an_endpoint(), batch))
    variants = told(engine, model_price_changes.c.variant, model_price_changes.c.after_blended_usd_per_mtok)
    assert sorted(variants) == [(MODEL, pytest.approx(1.25)), (f"{MODEL}:batch", pytest.approx(0.875))]


def test_a_provider_goes_by_its_newest_name_and_its_span_by_the_name_then(engine: sa.Engine) -> None:
    keep(engine, a_look(an_endpoint()), a_look(an_endpoint(provider_name="Northern"), minute=30))
    assert told(engine, endpoint_changes.c.provider, endpoint_changes.c.before, endpoint_changes.c.after) == [
        ("Northern", None, None),
        ("Northern", "North", "Northern"),
    ]
