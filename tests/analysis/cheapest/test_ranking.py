"""The cheapest offers that meet conditions, asked of both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import RankedOffer, Ranking, rank_offers
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.errors import ConfigurationError
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from models.observation import Observation, Run
from models.tables import uptime_samples
from tests.support.factories import MODEL, MORNING, RUN, a_failed_look, a_gone_look, a_look, an_endpoint, at

ALIAS = "acme/swift-1-20260101"
USAGE = Usage(100_000, 0, requests=10)  # a million tokens: a price of 0.000001 makes a dollar
FLOOR = Decimal("99.5")


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


def save(engine: sa.Engine, *looks: Observation) -> None:
    for look in looks:
        with writing(engine) as connection:
            store(connection, [(look, read_observation(look))])


def ask(
    engine: sa.Engine, model: str = MODEL, usage: Usage = USAGE, as_of: datetime | None = None, **wanted: Any
) -> Ranking:
    now = wanted.pop("now", at(24 * 60))
    with engine.connect() as connection:
        return rank_offers(connection, model, usage, Conditions(**wanted), as_of=as_of, now=now)


def ranked(answer: Ranking) -> list[tuple[str, Any]]:
    return [(offer.route, offer.cost_usd) for offer in answer.offers]


def left_out(answer: Ranking) -> dict[str, tuple[str, ...]]:
    return {offer.route: offer.reasons for offer in answer.left_out}


def only(answer: Ranking) -> RankedOffer:
    [offer] = answer.offers
    return offer


def half_hours(*uptimes: float | None) -> list[Observation]:
    """A look every half hour, from MORNING on, at one endpoint of these uptimes."""
    return [a_look(an_endpoint(uptime_last_30m=u), minute=30 * n) for n, u in enumerate(uptimes)]


def test_offers_are_ranked_by_cost_then_name(engine: sa.Engine) -> None:
    dear, west, east = an_endpoint("dear", "0.000002"), an_endpoint("west"), an_endpoint("east", "0.0000010")
    save(engine, a_look(dear, west, east))
    assert ranked(ask(engine)) == [("east", 1), ("west", 1), ("dear", 2)]


def test_a_free_offer_is_the_cheapest(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("paid"), an_endpoint("free", "0", pricing={"completion": "0"})))
    assert ranked(ask(engine)) == [("free", 0), ("paid", 1)]


def test_an_offer_whose_price_varies_is_told_apart(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("router", "-1"), an_endpoint("plain")))
    answer = ask(engine)
    assert ranked(answer) == [("plain", 1)]
    assert left_out(answer) == {"router": ("cost unknown: its price varies",)}


def test_the_answer_is_of_the_newest_look_where_no_instant_is_given(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_look(an_endpoint(prompt="0.000002"), minute=30), a_failed_look(60))
    answer = ask(engine)
    assert ranked(answer) == [("north/fp8", 2)]
    assert (answer.model, answer.as_of, answer.seen_at) == (MODEL, at(30), at(30))


@pytest.mark.parametrize(
    ("minute", "expected"), [(0, [("south", 9)]), (29.9, [("south", 9)]), (30, [("north/fp8", 1)]), (89, []), (90, [])]
)
def test_the_answer_of_an_instant_is_what_held_then(
    engine: sa.Engine, minute: float, expected: list[tuple[str, int]]
) -> None:
    looks = [
        a_look(an_endpoint("south", "0.000009")),
        a_look(an_endpoint(), minute=30),
        a_gone_look(60),
        a_look(an_endpoint(), minute=120),
    ]
    save(engine, *looks)
    assert ranked(ask(engine, as_of=at(minute))) == expected


def test_late_data_changes_the_answer_of_a_past_instant_and_no_later_one(engine: sa.Engine) -> None:
    early, late = a_look(an_endpoint(prompt="0.000003")), a_look(an_endpoint(), minute=60)
    between = a_look(an_endpoint(prompt="0.000002"), an_endpoint("south", "0.0000005"), minute=20)
    save(engine, late, early)
    assert ranked(ask(engine, as_of=at(30))) == [("north/fp8", 3)]
    save(engine, between)
    assert ranked(ask(engine, as_of=at(30))) == [("south", Decimal("0.5")), ("north/fp8", 2)]
    assert ranked(ask(engine, as_of=at(19))) == [("north/fp8", 3)]
    assert ranked(ask(engine)) == [("north/fp8", 1)]


def test_terms_are_those_of_the_instant(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(context_length=4096)), a_look(an_endpoint(), minute=30))
    assert only(ask(engine, usage=Usage(10, 10), as_of=at(10))).context_length == 4096


def test_an_offer_below_the_floor_is_left_out_with_its_uptime(engine: sa.Engine) -> None:
    good, bad = an_endpoint("good", uptime_last_30m=99.5), an_endpoint("bad", uptime_last_30m=99.49)
    save(engine, a_look(good, bad))
    answer = ask(engine, uptime_pct=FLOOR)
    assert ranked(answer) == [("good", 1)]
    assert left_out(answer) == {"bad": ("uptime of 99.490 %",)}


def test_uptime_is_that_of_the_span(engine: sa.Engine) -> None:
    save(engine, *half_hours(0, 0, 100, 90))
    assert only(ask(engine, over=timedelta(hours=1))).uptime_pct == 95
    assert only(ask(engine, over=timedelta(hours=1.5))).uptime_pct == pytest.approx(190 / 3)


def test_an_unknown_uptime_reaches_no_floor_and_says_why(engine: sa.Engine) -> None:
    save(engine, *half_hours(None, None))
    assert left_out(ask(engine, uptime_pct=Decimal(0))) == {"north/fp8": ("uptime unknown: none given at 2 looks",)}


def test_an_unknown_uptime_is_no_hindrance_where_no_floor_is_set(engine: sa.Engine) -> None:
    save(engine, *half_hours(None, None))
    assert "uptime unknown: none given at 2 looks" in only(ask(engine)).notes


def test_a_span_without_a_look_is_told(engine: sa.Engine) -> None:
    save(engine, *half_hours(100))
    answer = ask(engine, as_of=at(120), over=timedelta(hours=1), uptime_pct=FLOOR)
    assert left_out(answer) == {"north/fp8": ("uptime unknown: no samples",)}


def test_uptime_is_not_averaged_over_its_redefinition(engine: sa.Engine) -> None:
    eve = datetime(2026, 10, 7, 23, 45, tzinfo=UTC) - MORNING
    looks = [replace(look, observed_at=look.observed_at + eve) for look in half_hours(0, 100, 100)]
    save(engine, *looks)
    answer = ask(engine, now=looks[-1].observed_at, over=timedelta(hours=2))
    assert only(answer).uptime_pct == 100
    assert answer.uptime_since == datetime(2026, 10, 8, tzinfo=UTC)
    assert "uptime was redefined on 2026-10-08: only what came after counts here" in answer.notes


def test_an_uptime_just_below_the_floor_does_not_look_as_if_it_reached_it(engine: sa.Engine) -> None:
    save(engine, *half_hours(99.49999))
    assert left_out(ask(engine, uptime_pct=FLOOR)) == {"north/fp8": ("uptime of 99.499 %",)}


def test_thin_evidence_is_told(engine: sa.Engine) -> None:
    save(engine, *half_hours(100, 100))
    thin = "thin: uptime rests on 2 samples, 25.0% of the span"
    assert only(ask(engine, over=timedelta(hours=4))).notes == (thin,)


def test_two_samples_are_thin_evidence_for_a_short_span_too(engine: sa.Engine) -> None:
    save(engine, *half_hours(100, 100))
    assert only(ask(engine, over=timedelta(hours=1))).notes == ("thin: uptime rests on 2 samples, 100.0% of the span",)


@pytest.mark.parametrize(("minutes", "thin"), [(180, False), (181, True)])
def test_evidence_of_less_than_half_the_span_is_thin(engine: sa.Engine, minutes: int, thin: bool) -> None:
    save(engine, *half_hours(100, 100, 100))
    assert bool(only(ask(engine, over=timedelta(minutes=minutes))).notes) is thin


def test_full_evidence_gets_no_note(engine: sa.Engine) -> None:
    save(engine, *half_hours(100, 100, 100))
    answer = ask(engine, over=timedelta(hours=1.5), now=at(60 + 60))
    assert (only(answer).notes, answer.notes) == ((), ())


@pytest.mark.parametrize(("cadence", "minutes", "thin"), [(1800, 60, False), (1800, 61, True), (600, 21, True)])
def test_an_old_look_is_told_by_the_cadence_in_force(
    engine: sa.Engine, cadence: int, minutes: float, thin: bool
) -> None:
    run = Run("20260516T090000Z-collect-def456", "collect", "live", cadence)
    save(engine, replace(a_look(an_endpoint()), run=run))
    of_now, of_then = ask(engine, now=at(minutes)), ask(engine, as_of=at(minutes))
    assert [bool(answer.notes) for answer in (of_now, of_then)] == [thin, thin]


def test_how_old_the_look_is_is_told_in_words(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()))
    told = [
        ask(engine, now=MORNING + age).notes[0] for age in (timedelta(minutes=90), timedelta(hours=5), timedelta(3))
    ]
    old = [text.removeprefix("thin: the last look is ").partition(" old")[0] for text in told]
    assert old == ["90 minutes", "5 hours", "3 days"]


def test_an_offer_that_is_down_then_is_told(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(status=-5)), a_look(an_endpoint(), minute=30))
    then, now = only(ask(engine, as_of=at(29))), only(ask(engine))
    assert (then.status, "status -5 at the last look" in then.notes) == (-5, True)
    assert (now.status, any("status" in note for note in now.notes)) == (0, False)


def test_only_the_quantizations_asked_for_will_do(engine: sa.Engine) -> None:
    kinds = {"a": "fp8", "b": "bf16", "c": None}
    save(engine, a_look(*(an_endpoint(tag, quantization=kind) for tag, kind in kinds.items())))
    answer = ask(engine, quantizations=["BF16", "unknown"])
    assert [route for route, _ in ranked(answer)] == ["b", "c"]
    assert left_out(answer) == {"a": ("quantization fp8",)}


def test_an_unknown_quantization_is_refused_with_those_there_are(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("a"), an_endpoint("b", quantization=None)))
    with pytest.raises(ConfigurationError, match="--quantization: no offer has 'fp9'; they have: fp8, unknown"):
        ask(engine, quantizations=["fp8", "fp9"])


def test_a_provider_is_meant_by_its_name_or_its_tag(engine: sa.Engine) -> None:
    names = {"north/fp8": "North Star", "south": "South"}
    save(engine, a_look(*(an_endpoint(tag, provider_name=name) for tag, name in names.items())))
    for name in ("north star", "North"):
        answer = ask(engine, providers=[name])
        assert ([route for route, _ in ranked(answer)], left_out(answer)) == (
            ["north/fp8"],
            {"south": ("another provider",)},
        )


def test_an_unknown_provider_is_refused_with_the_nearest(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("a", provider_name="North Star"), an_endpoint("b", provider_name="South")))
    with pytest.raises(ConfigurationError, match=r"--provider: no offer is of 'nort star'; nearest: North Star$"):
        ask(engine, providers=["nort star"])
    with pytest.raises(ConfigurationError, match=r"no offer is of 'x'; they are of: North Star, South$"):
        ask(engine, providers=["x"])


def test_a_context_that_is_too_small_or_unknown_is_left_out_where_one_is_asked_for(engine: sa.Engine) -> None:
    contexts = {"large": 8192, "small": 8191, "zero": 0}
    save(engine, a_look(*(an_endpoint(tag, context_length=length) for tag, length in contexts.items())))
    answer = ask(engine, usage=Usage(10, 10), context_length=8192)
    assert [route for route, _ in ranked(answer)] == ["large"]
    assert left_out(answer) == {"small": ("context of 8191 tokens",), "zero": ("context length unknown",)}


def test_an_unknown_context_alone_is_no_hindrance(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(context_length=0)))
    assert "context length unknown" in only(ask(engine)).notes


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"context_length": 1499}, "the request is too long: 1500 tokens, at most 1499"),
        ({"max_prompt_tokens": 999}, "the prompt is too long: 1000 tokens, at most 999"),
        ({"max_completion_tokens": 499}, "the answer is too long: 500 tokens, at most 499"),
    ],
)
def test_an_offer_that_can_not_take_the_request_is_left_out(
    engine: sa.Engine, limits: dict[str, int], reason: str
) -> None:
    enough = {"context_length": 1500, "max_prompt_tokens": 1000, "max_completion_tokens": 500}
    save(engine, a_look(an_endpoint("fits", **enough), an_endpoint("tight", **enough | limits)))
    answer = ask(engine, usage=Usage(1000, 500))
    assert ([route for route, _ in ranked(answer)], left_out(answer)) == (["fits"], {"tight": (reason,)})


def test_every_reason_is_told(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("a", "-1", context_length=10, uptime_last_30m=1), an_endpoint("b")))
    assert len(left_out(ask(engine, uptime_pct=FLOOR))["a"]) == 3


DAY, WEEK = 24 * 60, 7 * 24 * 60
UNSEEN = "cost unknown: its price outside its time windows was never observed"


def until_ten(prompt: str, minute: float) -> Observation:
    """A look at one endpoint that takes half a dollar until 10:00, and shows that price for the prompt."""
    window = {"utc_start": 0, "utc_end": 1000, "prompt": "0.0000005"}
    return a_look(an_endpoint(prompt=prompt, pricing={"overrides": [window]}), minute=minute)


def test_a_price_of_another_time_of_day_is_that_which_was_seen_then(engine: sa.Engine) -> None:
    save(engine, until_ten("0.000001", -DAY + 300), until_ten("0.0000005", 0))
    assert ranked(ask(engine)) == [("north/fp8", Decimal("0.5"))]
    assert ranked(ask(engine, as_of=at(120))) == [("north/fp8", 1)]
    assert "costs something else at other times of day" in only(ask(engine)).notes


def test_a_price_of_another_time_of_day_that_was_never_seen_is_unknown(engine: sa.Engine) -> None:
    save(engine, until_ten("0.0000005", 0))
    assert left_out(ask(engine, as_of=at(120))) == {"north/fp8": (UNSEEN,)}


def test_what_was_seen_more_than_a_week_ago_tells_no_price_of_now(engine: sa.Engine) -> None:
    save(engine, until_ten("0.000001", 120), until_ten("0.0000005", WEEK))
    assert ranked(ask(engine, as_of=at(WEEK + 119), now=at(2 * WEEK))) == [("north/fp8", 1)]
    assert left_out(ask(engine, as_of=at(WEEK + 120), now=at(2 * WEEK))) == {"north/fp8": (UNSEEN,)}


def test_a_price_that_changed_before_the_week_and_was_seen_in_it_is_known(engine: sa.Engine) -> None:
    save(engine, until_ten("0.000001", -DAY), until_ten("0.000001", 120), until_ten("0.0000005", WEEK))
    assert ranked(ask(engine, as_of=at(WEEK + 110), now=at(WEEK + 110))) == [("north/fp8", 1)]


def test_a_plain_price_that_equals_that_of_the_window_is_known_once_it_was_seen(engine: sa.Engine) -> None:
    save(engine, *(until_ten("0.0000005", minute) for minute in (0, 120, DAY)))
    assert ranked(ask(engine, as_of=at(DAY + 120), now=at(2 * DAY))) == [("north/fp8", Decimal("0.5"))]


def test_changes_tell_the_plain_price_where_samples_are_gone(engine: sa.Engine) -> None:
    save(engine, until_ten("0.000001", -DAY + 300), until_ten("0.0000005", 0))
    with writing(engine) as connection:
        connection.execute(uptime_samples.delete())
    assert ranked(ask(engine, as_of=at(120))) == [("north/fp8", 1)]


def test_images_without_a_price_of_their_own_are_told(engine: sa.Engine) -> None:
    by_piece, by_token = {"image": "0.005"}, {"image": "0.000001"}
    ends = [an_endpoint(tag, pricing=p) for tag, p in {"a": by_piece, "b": by_token, "c": {}}.items()]
    save(engine, a_look(*ends))
    answer = ask(engine, usage=Usage(100_000, 0, images=1))
    told = {offer.route: any("images cost tokens" in note for note in offer.notes) for offer in answer.offers}
    assert told == {"a": False, "b": True, "c": True}


def test_twins_are_two_offers(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(prompt="0.000002"), an_endpoint(prompt="0.000001", context_length=2_000_000)))
    offers = ask(engine).offers
    assert [(offer.route, offer.cost_usd) for offer in offers] == [
        ("north/fp8", Decimal(1)),
        ("north/fp8", Decimal(2)),
    ]
    assert {offer.ordinal for offer in offers} == {0, 1}


def test_a_path_leads_to_the_model_it_shows(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(), target=ALIAS))
    answer = ask(engine, model=ALIAS)
    assert (answer.model, ranked(answer)) == (MODEL, [("north/fp8", 1)])


def test_a_path_that_moved_leads_to_the_model_it_showed_then(engine: sa.Engine) -> None:
    moved = a_look(an_endpoint("south", model_id="acme/swift-2"), minute=60, target=ALIAS, model="acme/swift-2")
    save(engine, a_look(an_endpoint(), target=ALIAS), moved, a_failed_look(90, target=ALIAS))
    assert ask(engine, model=ALIAS).model == "acme/swift-2"
    assert ask(engine, model=ALIAS, as_of=at(59)).model == MODEL


def test_a_variant_is_asked_for_by_its_own_id(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint("a"), an_endpoint("b", "0.0000005", model_id=f"{MODEL}:batch")))
    plain, batch = ask(engine), ask(engine, model=f"{MODEL}:batch")
    assert (plain.model, ranked(plain)) == (MODEL, [("a", 1)])
    assert left_out(plain) == {"b": (f"it is {MODEL}:batch",)}
    assert (batch.model, ranked(batch)) == (f"{MODEL}:batch", [("b", Decimal("0.5"))])


def test_an_unknown_model_is_refused_with_the_nearest_names(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(), target=ALIAS))
    with pytest.raises(ConfigurationError, match=f"'Swift-1' is not in this history; nearest: {MODEL}, {ALIAS}$"):
        ask(engine, model="Swift-1")
    with pytest.raises(ConfigurationError, match=r"'zzz' is not in this history$"):
        ask(engine, model="zzz")


def test_an_empty_history_says_what_to_run(engine: sa.Engine) -> None:
    with pytest.raises(ConfigurationError, match="nothing is kept yet; run: endpoint-history collect"):
        ask(engine)


def test_an_instant_before_history_begins_is_refused_with_its_beginning(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(), target=ALIAS))
    for name in (MODEL, ALIAS):
        with pytest.raises(ConfigurationError, match=f"the history of {name} begins at 2026-05-16 09:00:00 UTC"):
            ask(engine, model=name, as_of=at(-1))


def test_an_instant_in_the_future_is_refused(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()))
    with pytest.raises(ConfigurationError, match="--as-of: 2026-05-16 09:11:00 UTC lies in the future"):
        ask(engine, as_of=at(11), now=at(10))


def test_a_model_that_lists_nothing_has_no_offers(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_gone_look(30))
    answer = ask(engine, quantizations=["anything"], providers=["anybody"])
    assert (answer.offers, answer.left_out, answer.as_of) == ((), (), at(30))


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"uptime_pct": Decimal("100.1")}, "--uptime: 100.1 is no percentage"),
        ({"uptime_pct": Decimal(-1)}, "--uptime: -1 is no percentage"),
        ({"uptime_pct": Decimal("NaN")}, "--uptime: NaN is no percentage"),
        ({"uptime_pct": Decimal("1." + "1" * 30)}, "--uptime: more than 30 digits"),
        ({"uptime_pct": Decimal("1E-999999999")}, "--uptime: more than 30 digits"),
        ({"uptime_pct": Decimal("1E+999999999")}, "--uptime: .* is no percentage between 0 and 100"),
        ({"over": timedelta(0)}, "--over: a span is from 1m to 3660d"),
        ({"over": timedelta(days=3661)}, "--over: a span is from 1m to 3660d"),
        ({"context_length": -1}, "--context: -1 is negative"),
    ],
)
def test_conditions_that_can_not_be_are_refused(wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Conditions(**wanted)


def test_a_span_may_reach_back_before_history(engine: sa.Engine) -> None:
    save(engine, *half_hours(100))
    assert only(ask(engine, over=timedelta(days=3660))).covered_share < 1e-4


def test_the_run_of_the_cadence_is_that_of_then(engine: sa.Engine) -> None:
    later = Run("20260516T210000Z-collect-def456", "collect", "live", 60)
    save(engine, a_look(an_endpoint()), replace(a_look(an_endpoint(), minute=12 * 60), run=later))
    assert RUN.cadence_seconds == 1800
    assert ask(engine, as_of=at(45)).notes == ()
    assert "at a cadence of 1 minute" in ask(engine, as_of=at(12 * 60 + 3)).notes[0]
