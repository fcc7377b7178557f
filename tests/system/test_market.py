"""The simulated market: prices, offers and uptime of the shapes that the real one has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from statistics import mean, median
from typing import Any

import pytest

from endpoint_history.parsing.body import read_observation
from simulator.market import Market
from simulator.outages import Outage
from tests.support.factories import MORNING, a_look, at

MARKET = Market(models=40)
LARGE = Market(models=200)
HOURS = 31
Timeline = list[dict[str, Any] | None]
Timelines = dict[tuple[str, str, int], Timeline]


def endpoints(market: Market, path: str, minute: float = 0) -> list[dict[str, Any]]:
    body = market.body(path, at(minute))
    assert body
    return list(body["data"]["endpoints"])


def bodies(market: Market, minute: float = 0) -> list[dict[str, Any] | None]:
    return [market.body(path, at(minute)) for path in market.paths()]


@pytest.fixture(scope="module")
def timelines() -> Timelines:
    """Each endpoint of a large market over 60 days, looked at every 31 hours; None while it is not listed."""
    minutes = range(0, 60 * 24 * 60, HOURS * 60)
    found: Timelines = {}
    for number, minute in enumerate(minutes):
        for path in LARGE.paths():
            for item in endpoints(LARGE, path, minute):
                key = (path, item["tag"], item["context_length"])
                found.setdefault(key, [None] * len(minutes))[number] = item
    return found


@pytest.fixture(scope="module")
def untimed(timelines: Timelines) -> list[Timeline]:
    """Those whose price is not another one at night."""
    return [timeline for timeline in timelines.values() if not is_timed(timeline)]


def items(timelines: Timelines) -> Iterator[dict[str, Any]]:
    return (item for timeline in timelines.values() for item in timeline if item)


def is_timed(timeline: Timeline) -> bool:
    return any("utc_start" in entry for item in timeline if item for entry in item["pricing"].get("overrides", ()))


def list_price(item: dict[str, Any]) -> Decimal:
    return Decimal(item["pricing"]["prompt"]) / (1 - Decimal(str(item["pricing"]["discount"])))


def list_prices(timeline: Timeline) -> list[Decimal]:
    return [list_price(item) for item in timeline if item]


def test_the_same_seed_and_time_give_the_same_bodies() -> None:
    assert bodies(Market(20, seed=3), 777) == bodies(Market(20, seed=3), 777)


def test_another_seed_is_another_market() -> None:
    assert Market(20, seed=3).paths() != Market(20, seed=4).paths()


def test_bodies_differ_between_instants() -> None:
    assert bodies(MARKET) != bodies(MARKET, minute=60 * 24 * 3)


@pytest.mark.parametrize("models", [1, 40, 600])
def test_a_market_has_as_many_models_as_asked(models: int) -> None:
    listed = [entry["id"] for entry in Market(models).listing()]
    assert len(set(listed)) == len(listed) == models + 1
    assert [name for name in listed if name.endswith(":free")] == [f"{listed[0]}:free"]


def test_an_older_name_shows_the_model_of_today() -> None:
    older = MARKET.older_names()
    assert len(older) == 4
    assert all(MARKET.body(name, at(0)) == MARKET.body(model, at(0)) for name, model in older.items())


def test_every_body_of_thirty_days_is_read_whole() -> None:
    for day in range(30):
        for path in MARKET.paths():
            body = MARKET.body(path, at(day * 1493)) or {}
            reading = read_observation(a_look(target=path, body=json.dumps(body).encode()))
            assert (reading.outcome, reading.trouble, reading.complete, reading.drift) == (
                "ok",
                None,
                True,
                frozenset(),
            )
            assert reading.listing
            assert len(reading.listing.endpoints) == len(body["data"]["endpoints"])


def test_endpoints_leave_and_come_back(timelines: Timelines) -> None:
    listed = ["".join("-" if item is None else "+" for item in timeline) for timeline in timelines.values()]
    shapes = Counter("".join(mark for mark, _ in groupby(marks)) for marks in listed)
    assert {"+", "+-", "-+", "+-+"} <= shapes.keys()
    assert shapes["+"] > 0.8 * len(listed)


@pytest.mark.parametrize("condition", [{"min_prompt_tokens"}, {"utc_start", "utc_end"}])
def test_overrides_have_tiers_and_time_windows(timelines: Timelines, condition: set[str]) -> None:
    overrides = [entry for item in items(timelines) for entry in item["pricing"].get("overrides", ())]
    assert any(condition == entry.keys() - {"prompt", "completion"} for entry in overrides)


def test_a_tier_begins_within_the_context_and_costs_more(timelines: Timelines) -> None:
    for item in items(timelines):
        for entry in item["pricing"].get("overrides", ()):
            if "min_prompt_tokens" in entry:
                assert entry["min_prompt_tokens"] < item["context_length"]
                assert Decimal(entry["prompt"]) > Decimal(item["pricing"]["prompt"]) or ":free" in item["model_id"]


def test_some_uptimes_are_null_and_some_are_not(timelines: Timelines) -> None:
    nulls = [item["uptime_last_30m"] is None for item in items(timelines)]
    assert 0.1 < sum(nulls) / len(nulls) < 0.3


def test_outages_show_in_uptime_and_status(timelines: Timelines) -> None:
    down = [item["uptime_last_5m"] for item in items(timelines) if item["status"] == -5]
    degraded = [item["uptime_last_5m"] for item in items(timelines) if item["status"] == -2]
    assert 0 <= min(down) <= max(down) <= 80 < min(degraded) <= max(degraded) <= 95


def test_an_outage_falls_stays_and_comes_back_slowly() -> None:
    outage = Outage(begins=0, falls=60, stays=120, recovers=90, depth=80)
    lost = [round(outage.lost(minute) - outage.lost(minute - 1)) for minute in range(-10, 300)]
    fall, stay, recovery = lost[10:70], lost[72:188], lost[190:280]
    assert (lost[0], set(stay), lost[-1]) == (0, {80}, 0)
    assert (fall, recovery) == (sorted(fall), sorted(recovery, reverse=True))
    assert len(set(fall)) > 40 < len(set(recovery))


def test_some_providers_are_worse_than_others(timelines: Timelines) -> None:
    lost: dict[str, list[float]] = {}
    for item in items(timelines):
        if item["uptime_last_30m"] is not None:
            lost.setdefault(item["provider_name"], []).append(100 - item["uptime_last_30m"])
    losses = {provider: mean(values) for provider, values in lost.items()}
    assert max(losses, key=losses.__getitem__) == "Tidal"
    assert losses["Tidal"] > 1.5 * median(losses.values())


def test_an_outage_of_a_provider_hits_all_its_offers(timelines: Timelines) -> None:
    looks = zip(*(t for (_, tag, _), t in timelines.items() if tag.startswith("tidal")), strict=True)
    shares = [
        sum(item["status"] == -5 for item in look if item and item["uptime_last_5m"] is not None)
        / sum(item["uptime_last_5m"] is not None for item in look if item)
        for look in looks
    ]
    assert max(shares) == 1
    assert sum(share < 0.1 for share in shares) > len(shares) / 2


def test_a_price_moves_in_steps_and_rarely_several_times_a_month(untimed: list[Timeline]) -> None:
    moves = [len(list(groupby(list_prices(timeline)))) - 1 for timeline in untimed]
    assert 0.3 < moves.count(0) / len(moves) < 0.7
    assert 0.5 < mean(moves) < 3
    assert max(moves) < 10


def test_a_price_goes_up_and_down_but_never_far(untimed: list[Timeline]) -> None:
    pairs = [pair for timeline in untimed for pair in pairwise(list_prices(timeline)) if pair[0]]
    ratios = {after / before for before, after in pairs}
    assert Decimal("0.5") < min(ratios) < Decimal("0.8") < Decimal("1.2") < max(ratios) < 2


def test_prices_do_not_all_move_at_once(untimed: list[Timeline]) -> None:
    moved: Counter[int] = Counter()
    for timeline in untimed:
        for number, (before, after) in enumerate(pairwise(timeline)):
            moved[number] += bool(before and after and before["pricing"] != after["pricing"])
    assert max(moved.values()) < len(untimed) / 10


def test_a_promotion_takes_its_discount_off_for_some_days(untimed: list[Timeline]) -> None:
    spans = [
        (discount, len(list(looks)))
        for timeline in untimed
        for discount, looks in groupby(item["pricing"]["discount"] for item in timeline if item)
        if discount
    ]
    assert {discount for discount, _ in spans} == {0.1, 0.2, 0.25, 0.3, 0.5}
    assert max(looks for _, looks in spans) <= 10 * 24 / HOURS
    assert mean(looks for _, looks in spans) > 2 * 24 / HOURS


def test_a_promotion_leaves_the_list_price_alone(untimed: list[Timeline]) -> None:
    begun = [
        (list_price(before), list_price(after))
        for timeline in untimed
        for before, after in pairwise(timeline)
        if before and after and not before["pricing"]["discount"] and after["pricing"]["discount"]
    ]
    assert sum(before == after for before, after in begun) > 0.8 * len(begun) > 10


def test_in_a_time_window_the_price_on_top_is_that_of_the_window(timelines: Timelines) -> None:
    found = set()
    for path, tag, context_length in [key for key, timeline in timelines.items() if is_timed(timeline)]:
        for hour in range(24):
            for item in endpoints(LARGE, path, hour * 60):
                windows = [entry for entry in item["pricing"].get("overrides", ()) if "utc_start" in entry]
                if (item["tag"], item["context_length"]) == (tag, context_length) and item["pricing"]["prompt"] != "0":
                    hhmm = (MORNING + timedelta(hours=hour)).hour * 100
                    start, end = windows[0]["utc_start"], windows[0]["utc_end"]
                    within = start <= hhmm < end if start < end else not end <= hhmm < start
                    assert (item["pricing"]["prompt"] == windows[0]["prompt"]) == within
                    found.add((start < end, within))
    assert found == {(False, False), (False, True), (True, False), (True, True)}


def test_twins_share_one_tag_and_differ_in_context_and_price() -> None:
    one, other = endpoints(LARGE, "aurora/quill-mini")
    assert one["tag"] == other["tag"] == "northwind/fp4"
    assert one["context_length"] != other["context_length"]
    assert one["pricing"]["prompt"] != other["pricing"]["prompt"]


def test_the_longer_the_window_the_later_it_shows_an_outage() -> None:
    looks = [
        (item["uptime_last_5m"], item["uptime_last_30m"], item["uptime_last_1d"])
        for minute in range(0, 30 * 24 * 60, 10)
        for item in endpoints(LARGE, "fjord/nova-7b", minute)
        if item["provider_name"] == "Tidal"
    ]
    first = next(number for number, (now, _, _) in enumerate(looks) if now < 80)
    assert looks[first][0] < looks[first][1] < looks[first][2]
    lowest = min(range(first, first + 6 * 24), key=lambda number: looks[number][2])
    assert looks[lowest][0] > 95 > looks[lowest][2]
