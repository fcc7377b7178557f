"""What a run brought, asked of both databases after several runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.collecting.changes import EndpointName, PriceMove
from endpoint_history.collecting.summary import RunSummary, TargetOutcome, summarize_run
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.dimensions import run_ids
from endpoint_history.store.writer import store
from models.observation import Observation, Run
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

ALIAS = "acme/swift-1-20260101"
OTHER = "acme/heron-2"
NORTH = EndpointName(MODEL, "North", "north/fp8", MODEL)
SOUTH = EndpointName(MODEL, "North", "south", MODEL)
TIER = {"min_prompt_tokens": 200_000, "prompt": "0.000003"}


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


def a_run(minute: float) -> Run:
    return Run(f"{at(minute):%Y%m%dT%H%M%SZ}-collect-{int(minute):06x}", "collect", "live", 1800)


def collect(engine: sa.Engine, minute: float, *looks: Observation) -> RunSummary:
    """Store these looks as those of a run that began so many minutes after MORNING, and give what it brought."""
    later = timedelta(minutes=minute)
    mine = [replace(look, run=a_run(minute), observed_at=look.observed_at + later) for look in looks]
    return stored_as(engine, a_run(minute), mine)


def stored_as(engine: sa.Engine, run: Run, looks: list[Observation]) -> RunSummary:
    read = [(look, read_observation(look)) for look in looks]
    with writing(engine) as connection:
        run_ids(connection, [run])
        store(connection, read)
    with engine.connect() as connection:
        seen = [TargetOutcome(look.target, reading.outcome, reading.trouble) for look, reading in read]
        return summarize_run(connection, run.name, seen)


def moved(summary: RunSummary) -> list[tuple[str, Decimal | None, Decimal | None]]:
    return [(move.key, move.before, move.after) for move in summary.price_moves]


def test_a_run_where_nothing_changed_is_no_news(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(pricing={"video": "1"})))
    again = collect(engine, 30, a_look(an_endpoint(pricing={"video": "1"})))
    assert not again.changed
    assert (again.ok, again.endpoints, again.new_prices, again.repriced) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"prompt": "0.0000015"}, [("prompt", Decimal("0.000001"), Decimal("0.0000015"))]),
        ({}, {"completion": "0"}, [("completion", Decimal("0.000002"), Decimal(0))]),
        ({}, {"prompt": "-1"}, [("prompt", Decimal("0.000001"), None)]),
        ({}, {"request": "0.01"}, [("request", None, Decimal("0.01"))]),
        ({"web_search": "0.01"}, {}, [("web_search", Decimal("0.01"), None)]),
        ({"discount": 0.25}, {"discount": 0.5}, [("discount", Decimal("0.25"), Decimal("0.5"))]),
        ({"overrides": [TIER]}, {}, [("conditions", None, None)]),
        ({}, {"video": "0.5"}, [("conditions", None, None)]),
        (
            {"overrides": [TIER]},
            {"prompt": "0.000005", "discount": 0.1},
            [("prompt", Decimal("0.000001"), Decimal("0.000005")), ("discount", None, Decimal("0.1"))],
        ),
    ],
)
def test_every_moved_price_has_its_before_and_after(
    engine: sa.Engine, before: dict[str, Any], after: dict[str, Any], expected: list[Any]
) -> None:
    collect(engine, 0, a_look(an_endpoint(pricing=before)))
    summary = collect(engine, 30, a_look(an_endpoint(pricing=after)))
    assert (moved(summary), summary.repriced, summary.new_prices) == (expected, 1, 0)


def test_a_move_names_the_endpoint_that_moved(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(), an_endpoint("south")))
    summary = collect(engine, 30, a_look(an_endpoint(), an_endpoint("south", prompt="0.1")))
    assert summary.price_moves == [PriceMove(SOUTH, "prompt", Decimal("0.000001"), Decimal("0.1"))]


def test_before_is_the_price_of_the_run_just_before(engine: sa.Engine) -> None:
    for minute, price in ((0, "0.1"), (30, "0.2")):
        collect(engine, minute, a_look(an_endpoint(prompt=price)))
    assert moved(collect(engine, 60, a_look(an_endpoint(prompt="0.3")))) == [("prompt", Decimal("0.2"), Decimal("0.3"))]


def test_moves_of_earlier_and_later_runs_stay_theirs(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(prompt="0.1")))
    collect(engine, 60, a_look(an_endpoint(prompt="0.3")))
    assert moved(collect(engine, 30, a_look(an_endpoint(prompt="0.2")))) == [("prompt", Decimal("0.1"), Decimal("0.2"))]


def test_a_model_never_seen_before_is_a_first_look_only(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    bird = a_look(an_endpoint(), an_endpoint("south"), target=OTHER, model=OTHER)
    summary = collect(engine, 30, a_look(an_endpoint()), bird)
    assert (summary.new_models, summary.listing_changes, summary.changed, summary.new_prices) == (1, [], False, 2)


def test_a_new_endpoint_of_a_known_model_is_new(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    summary = collect(engine, 30, a_look(an_endpoint(), an_endpoint("south")))
    assert (summary.listing_changes, summary.new_models, summary.new_prices) == ([("new", SOUTH)], 0, 1)
    assert summary.changed


def test_an_endpoint_left_out_is_gone(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(), an_endpoint("south")))
    summary = collect(engine, 30, a_look(an_endpoint()))
    assert (summary.listing_changes, summary.price_moves) == ([("gone", SOUTH)], [])


def test_a_model_that_is_gone_takes_its_endpoints_along(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(), an_endpoint("south")))
    summary = collect(engine, 30, a_gone_look())
    assert summary.listing_changes == [("gone", NORTH), ("gone", SOUTH)]
    assert (summary.ok, summary.gone, summary.endpoints) == (0, 1, 0)


def test_an_endpoint_that_came_back_is_returned(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    collect(engine, 30, a_gone_look())
    summary = collect(engine, 60, a_look(an_endpoint(prompt="0.5")))
    assert (summary.listing_changes, summary.price_moves, summary.new_prices) == ([("returned", NORTH)], [], 1)


def test_other_terms_of_a_listed_endpoint_are_told(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    summary = collect(engine, 30, a_look(an_endpoint(context_length=8192)))
    assert (summary.listing_changes, summary.repriced) == ([("terms changed", NORTH)], 0)


def test_failed_targets_are_named_with_their_reasons(engine: sa.Engine) -> None:
    summary = collect(engine, 0, a_failed_look(target=OTHER), a_look(body=b"<html>", target=ALIAS), a_look())
    assert [name for name, _ in summary.failed] == [OTHER, ALIAS]
    assert summary.failed[0][1] == "connection refused"
    assert all(reason for _, reason in summary.failed)


def test_a_target_read_in_part_is_ok_and_unread(engine: sa.Engine) -> None:
    summary = collect(engine, 0, a_look(an_endpoint(), an_endpoint("south", prompt="nonsense")))
    assert (summary.ok, summary.endpoints, summary.failed) == (1, 1, [])
    assert summary.unread == [(MODEL, "endpoint 2 unread: prompt is not a number: 'nonsense'")]


def test_a_second_path_to_a_model_is_named_not_counted(engine: sa.Engine) -> None:
    summary = collect(engine, 0, a_look(an_endpoint()), a_look(an_endpoint(), target=ALIAS))
    assert (summary.same_model, summary.ok, summary.endpoints) == ([(ALIAS, MODEL)], 2, 1)


def test_a_second_path_of_another_run_is_not_named(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), a_look(an_endpoint(), target=ALIAS))
    assert collect(engine, 30, a_look(an_endpoint())).same_model == []


def test_drift_is_only_what_no_earlier_run_saw(engine: sa.Engine) -> None:
    first = collect(engine, 0, a_look(an_endpoint(novelty=1)))
    second = collect(engine, 30, a_look(an_endpoint(novelty=2, quantization="fp1")))
    assert first.drift == [("endpoint.novelty", "")]
    assert second.drift == [("endpoint.quantization", "fp1")]


def test_endpoints_are_counted_of_this_run_only(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(), an_endpoint("south"), an_endpoint("east")))
    birds = [a_look(an_endpoint(), minute=minute, target=OTHER, model=OTHER) for minute in (0, 2)]
    collect(engine, 31, a_look(an_endpoint(), an_endpoint("south")))
    assert collect(engine, 30, a_look(an_endpoint()), *birds).endpoints == 3


def test_looks_known_through_another_run_still_count_as_seen(engine: sa.Engine) -> None:
    looks = [a_look(an_endpoint()), a_failed_look(target=OTHER)]
    stored_as(engine, a_run(0), [replace(look, run=a_run(0)) for look in looks])
    again = stored_as(engine, a_run(5), [replace(look, run=a_run(5)) for look in looks])
    assert (again.ok, again.failed, again.changed) == (1, [(OTHER, "connection refused")], False)
    assert (again.endpoints, again.new_prices, again.new_models) == (0, 0, 0)


def test_what_was_not_stored_is_not_told(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        run_ids(connection, [a_run(0)])
        summary = summarize_run(connection, a_run(0).name, [])
    assert (summary.ok, summary.gone, summary.failed, summary.endpoints, summary.changed) == (0, 0, [], 0, False)


def test_a_new_model_first_shown_by_another_path_is_no_news(engine: sa.Engine) -> None:
    summary = collect(engine, 0, a_look(an_endpoint(), target=ALIAS), a_look(an_endpoint(), minute=1 / 60))
    assert (summary.new_models, summary.listing_changes) == (1, [])
