"""DataFrames have the values of the views, and types that keep null, zero and exactness apart."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from endpoint_history.analysis import frames
from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.database.engine import upgrade, writing
from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import store
from models.observation import Observation
from tests.support.factories import MODEL, a_look, an_endpoint, at

TINY = "0.00000010000000000000001"


@pytest.fixture
def history(database_url: str) -> Iterator[sa.Engine]:
    """An endpoint that repriced once and left, and one that stayed, free, with a discount."""
    upgrade(database_url)
    engine = frames.open_history(database_url)
    free = an_endpoint("free", "0", provider_name="Free", pricing={"completion": "0", "discount": 0.25})
    save(
        engine,
        a_look(an_endpoint(prompt=TINY), free),
        a_look(an_endpoint(prompt="0.000003"), free, minute=30),
        a_look(free, minute=60),
        a_look(an_endpoint("other"), minute=60, target="acme/other", model="acme/other"),
    )
    yield engine
    engine.dispose()


def save(engine: sa.Engine, *looks: Observation) -> None:
    with writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])


def values(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_the_prices_of_now_are_those_of_listed_endpoints(history: sa.Engine) -> None:
    now = frames.prices_now(history, MODEL)
    assert values(now, "provider", "prompt_usd", "prompt_usd_per_mtok", "discount") == [("Free", 0.0, 0.0, 0.25)]
    assert len(frames.prices_now(history)) == 2


def test_prices_as_of_an_instant_are_half_open(history: sa.Engine) -> None:
    def prompts(minute: float) -> list[Any]:
        frame = frames.prices_as_of(history, at(minute), MODEL, provider="North", exact=True)
        return [price for (price,) in values(frame, "prompt_usd")]

    assert prompts(-1) == []
    assert prompts(0) == prompts(29) == [Decimal(TINY)]
    assert prompts(30) == [Decimal("0.000003")]
    assert prompts(60) == []


def test_exact_prices_are_decimals_and_others_are_floats(history: sa.Engine) -> None:
    exact = frames.price_history(history, MODEL, provider="North", exact=True)
    assert exact["prompt_usd"].tolist() == [Decimal(TINY), Decimal("0.000003")]
    assert exact["request_usd"].tolist() == [None, None]
    rounded = frames.price_history(history, MODEL, provider="North")
    assert rounded["prompt_usd"].tolist() == [float(TINY), 3e-6]
    assert rounded["request_usd"].isna().all()


def test_types_keep_null_apart_from_zero(history: sa.Engine) -> None:
    spans = frames.price_history(history, MODEL)
    types = {name: str(spans[name].dtype) for name in ("model", "valid_from", "valid_to", "ordinal", "varies")}
    assert types == {
        "model": "category",
        "valid_from": "datetime64[us, UTC]",
        "valid_to": "datetime64[us, UTC]",
        "ordinal": "Int64",
        "varies": "boolean",
    }
    assert spans["valid_to"].isna().sum() == 1
    now = frames.prices_now(history, MODEL)
    assert (now["status"].tolist(), now["uptime_1d_pct"].isna().tolist()) == ([0], [True])


def test_a_frame_without_rows_has_the_types_of_one_with(history: sa.Engine) -> None:
    full, empty = frames.price_moves(history, MODEL), frames.price_moves(history, until=at(-1))
    assert len(empty) == 0
    assert empty.dtypes.astype(str).tolist() == full.dtypes.astype(str).tolist()


def test_moves_are_taken_from_since_on_and_before_until(history: sa.Engine) -> None:
    repriced = frames.price_moves(history, MODEL, provider="North", since=at(30), until=at(60), exact=True)
    assert values(repriced, "price_key", "before", "after") == [("prompt", Decimal(TINY), Decimal("0.000003"))]
    left = frames.listing_moves(history, MODEL, since=at(60))
    assert values(left, "kind", "provider") == [("left", "North")]
    assert len(frames.lowest_price_moves(history, MODEL, until=at(0))) == 0


def test_spans_that_reach_into_the_time_are_taken(history: sa.Engine) -> None:
    spans = frames.price_history(history, MODEL, provider="North", since=at(10), until=at(20))
    assert spans["valid_from"].tolist() == [pd.Timestamp(at(0))]
    assert len(frames.listings(history, MODEL, provider="North", since=at(60))) == 0


def test_a_time_without_a_zone_is_utc(history: sa.Engine) -> None:
    text = f"{at(30):%Y-%m-%dT%H:%M}"
    assert len(frames.price_history(history, MODEL, provider="North", until=text)) == 1
    assert len(frames.price_history(history, MODEL, provider="North", until=f"{text}-01:00")) == 2
    with pytest.raises(ValueError, match="yesterday"):
        frames.prices_as_of(history, "yesterday")


def test_uptime_comes_as_samples_hours_and_days(history: sa.Engine) -> None:
    roll_up(history)
    samples = frames.uptime_samples(history, MODEL, provider="Free", since=at(30))
    assert values(samples, "model", "uptime_30m_pct") == [(MODEL, 99.5)] * 2
    assert str(samples["observed_at"].dtype) == "datetime64[us, UTC]"
    (day,) = frames.daily_uptime(history, MODEL, provider="Free", since=at(0), until=at(1)).itertuples()
    assert (day.uptime_pct, day.covered_minutes, day.null_minutes) == (99.5, 90, 0)
    assert len(frames.daily_uptime(history, since=at(24 * 60))) == 0
    assert len(frames.daily_uptime(history, until=f"{at(0):%Y-%m-%d}")) == 0
    assert len(frames.hourly_uptime(history, MODEL, provider="Free")) == 2


def test_an_incident_comes_with_when_it_began(history: sa.Engine) -> None:
    save(history, *(a_look(an_endpoint("free", uptime_last_30m=50), minute=minute) for minute in (90, 120)))
    roll_up(history)
    found = frames.incidents(history, MODEL)
    assert values(found, "started_at", "worst_uptime_pct", "severity") == [(pd.Timestamp(at(90)), 50.0, "down")]
    assert found["ended_at"].isna().all()
    assert len(frames.incidents(history, MODEL, since=at(91))) == 0


def test_coverage_tells_what_was_looked_at(history: sa.Engine) -> None:
    save(history, a_look(an_endpoint("free"), minute=300))
    roll_up(history)
    (day,) = frames.coverage(history, MODEL).itertuples()
    assert (day.observed, day.failed, day.never_made) == (4, 0, 7)
    (gap, *_) = frames.gaps(history, MODEL).itertuples()
    assert (gap.started_at, gap.missed_observations) == (pd.Timestamp(at(60)), 7)


def test_the_cheapest_offers_come_with_those_left_out(history: sa.Engine) -> None:
    found = frames.cheapest(history, "acme/other", Usage(1000, 100), exact=True)
    assert values(found, "provider", "cost_usd", "reasons") == [("North", Decimal("0.0012"), "")]
    small = frames.cheapest(history, "acme/other", Usage(1000, 100), Conditions(context_length=10**7))
    assert small["reasons"].str.len().min() > 0


def test_the_cheapest_offer_of_an_instant_is_that_of_then(history: sa.Engine) -> None:
    then = frames.cheapest(history, MODEL, Usage(1000, 0), as_of=at(30), exact=True)
    assert values(then, "provider", "cost_usd") == [("Free", 0), ("North", Decimal("0.003"))]


def test_a_name_that_is_not_in_the_history_is_refused_with_the_nearest(history: sa.Engine) -> None:
    with pytest.raises(ConfigurationError, match="model: 'acme/swift' is not in this history; nearest: acme/swift-1"):
        frames.daily_uptime(history, "acme/swift")
    with pytest.raises(ConfigurationError, match="provider: 'north' is not in this history; nearest: North"):
        frames.price_history(history, provider="north")


def test_a_usage_and_conditions_may_come_as_plain_numbers_and_names(history: sa.Engine) -> None:
    given: tuple[dict[str, Any], ...] = {"cached_share": 0.5}, {"uptime_pct": 99.5, "providers": "Free"}
    usage, wanted = Usage(1000, 0, **given[0]), Conditions(**given[1])
    assert (usage.cached_share, wanted.uptime_pct, wanted.providers) == (Decimal("0.5"), Decimal("99.5"), ("Free",))
    assert (
        "North"
        in frames.cheapest(history, MODEL, usage, wanted, as_of=at(30))
        .set_index("reasons")
        .loc["another provider", ["provider"]]
        .tolist()
    )


@pytest.mark.parametrize("given", [{"input_tokens": 1.5}, {"cached_share": "much"}, {"images": None}])
def test_what_is_no_number_is_refused_in_one_line(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"is no (whole )?number"):
        Usage(**{"input_tokens": 1, "output_tokens": 1} | given)


@pytest.mark.parametrize("time", ["0001-01-01T00:00+14:00", "0001-01-01", "9999-12-31", 7])
def test_a_time_at_the_edge_of_the_calendar_is_none(history: sa.Engine, time: Any) -> None:
    with pytest.raises(ValueError, match="is no time"):
        frames.daily_uptime(history, until=time)


def test_a_time_that_ends_before_it_begins_is_refused(history: sa.Engine) -> None:
    with pytest.raises(ValueError, match="until 2026-04-01 is not after since 2026-05-01"):
        frames.price_history(history, since="2026-05-01", until="2026-04-01")


def test_names_are_categories_wherever_they_stand(history: sa.Engine) -> None:
    offers = frames.cheapest(history, MODEL, Usage(1000, 0))
    moves = frames.lowest_price_moves(history)
    kinds = [offers[name].dtype for name in ("provider", "route", "variant", "quantization")]
    assert {str(kind) for kind in [*kinds, moves["before_provider"].dtype, moves["after_route"].dtype]} == {"category"}


def test_twins_of_two_variants_are_told_apart_in_samples(history: sa.Engine) -> None:
    free = an_endpoint("other", model_id="acme/other:free", uptime_last_30m=20)
    save(history, a_look(an_endpoint("other"), free, minute=90, target="acme/other", model="acme/other"))
    samples = frames.uptime_samples(history, "acme/other", since=at(90))
    assert values(samples, "variant", "uptime_30m_pct") == [("acme/other:free", 20.0), (MODEL, 99.5)]


FUNCTIONS = [
    function
    for name, function in vars(frames).items()
    if inspect.isfunction(function) and function.__module__ == frames.__name__ and name != "open_history"
]
NO_COLUMNS = {"price_history", "daily_uptime", "since", "until", "as_of", "after_"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_example_works_and_every_column_told_is_there(history: sa.Engine, function: Any) -> None:
    roll_up(history)
    _, _, rest = str(inspect.getdoc(function)).partition("\n")
    told, _, example = rest.partition("Example: ")
    tree = ast.parse(example.replace("openai/gpt-4o", MODEL).replace("Azure", "North"), mode="eval")
    names = vars(frames) | {"Decimal": Decimal, "history": history}
    eval(compile(tree, "the whole", "eval"), names)
    [call] = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == function.__name__
    ]
    columns = eval(ast.unparse(call), names).columns
    assert set(re.findall("`([a-z0-9_]+)`", told)) <= {*columns, *NO_COLUMNS}


def test_a_history_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="there is no database"):
        frames.open_history("sqlite:///nothing.db")
