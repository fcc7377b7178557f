"""Alerts asked of real databases: as a collector that runs on asks, and of all that is there."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.alerts.history import AlertHistory
from endpoint_history.alerts.rule_events import alert_payload
from endpoint_history.alerts.rules import Rule
from endpoint_history.database.engine import opened, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.run_end import finish_run
from endpoint_history.store.writer import store
from models.observation import Observation, Outcome, Run
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

STEP = 30
MODELS = [MODEL, "acme/heron-2", "zeta/owl"]
NIGHT = {"utc_start": 0, "utc_end": 600, "prompt": "0.000009"}
Told = tuple[str, str, float]


def a_rule(on: str = "price", hold: int = 0, rearm: int = 0, **fields: Any) -> Rule:
    direction = {"listing": "gone"}.get(on, "both")
    given: dict[str, Any] = {"name": f"{on} {hold} {rearm}", "on": on, "hold_minutes": hold, "rearm_minutes": rearm}
    return Rule(**{"direction": direction} | given | fields)


RULES = [
    *(
        a_rule(on, hold, rearm)
        for on in ("price", "listing", "incident", "stale")
        for hold, rearm in [(0, 0), (45, 200)]
    ),
    a_rule("price", 60, 400, direction="up", threshold_pct=150),
    a_rule("listing", 0, 100, direction="both"),
    a_rule("incident", 90, 1000, models=("acme/*",), providers=("nor*",)),
]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    with opened(database_url) as engine:
        yield engine


def collect(engine: sa.Engine, minute: float, *looks: Observation, shard: str = "") -> None:
    """Store looks as a collect does, or a shard of it, that began at this minute."""
    run = Run(f"{at(minute):%Y%m%dT%H%M%SZ}-collect-abc123{shard}", "collect", "live", STEP * 60)
    read = [(look, read_observation(look)) for look in (replace(look, run=run) for look in looks)]
    counts = Counter[Outcome](reading.outcome for _, reading in read)
    with writing(engine) as connection:
        store(connection, read)
        finish_run(connection, run.name, counts, max(look.observed_at for look in looks))
    roll_up(engine)


def asked(engine: sa.Engine, rules: Iterable[Rule], since: datetime, until: datetime) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = AlertHistory(connection, since, until).alerts(rules)
    return sorted(map(alert_payload, found), key=lambda payload: (payload["at"], payload["text"]))


def told(engine: sa.Engine, rule: Rule, since: float = -10_000, until: float = 10_000) -> list[Told]:
    """What was told: fired or returned, of which provider, how many steps after the first look."""
    payloads = asked(engine, [rule], at(since), at(until))
    minutes = ((datetime.fromisoformat(found["at"]) - at(0)) / timedelta(minutes=STEP) for found in payloads)
    return [(found["kind"], found["provider"], minute) for found, minute in zip(payloads, minutes, strict=True)]


def some_looks(chance: random.Random, minute: float) -> Iterator[Observation]:
    """One look at each model: repricing, outages, absences, failures, bodies that can be read only in part."""
    for number, model in enumerate(MODELS):
        when = minute + number
        fate = chance.random()
        if fate < 0.1 or (chance.random() < 0.3 and minute % 480 < 150):
            yield a_failed_look(when, target=model)
        elif fate < 0.13:
            yield a_gone_look(when, target=model)
        else:
            offers: list[Any] = [
                an_endpoint(
                    tag,
                    prompt=chance.choice(["0.000001", "0.000001", "0.000001", "0.000002", "0.000004"]),
                    model_id=model,
                    uptime_last_30m=chance.choice([90, 50, 99, 99, None]),
                )
                for tag in ("north/fp8", "south")
                if chance.random() < 0.9
            ]
            broken: list[Any] = ["not an endpoint"] if chance.random() < 0.1 else []
            yield a_look(*offers, *broken, minute=when, target=model, model=model)


@pytest.mark.slow_unless(database_url=["sqlite"], seed=[1])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_collector_that_runs_on_tells_what_one_pass_over_all_tells(engine: sa.Engine, seed: int) -> None:
    chance = random.Random(seed)
    live: list[dict[str, Any]] = []
    ends = [at(-1)]
    for tick in range(32):
        collect(engine, STEP * tick, *some_looks(chance, STEP * tick))
        ends.append(at(STEP * tick + 2))
        live += asked(engine, RULES, ends[-2], ends[-1])
    whole = asked(engine, RULES, ends[0], ends[-1])
    assert without_worst(live) == without_worst(whole)
    assert {(found["on"], found["kind"]) for found in whole} >= {
        (on, kind) for on in ("price", "listing", "incident") for kind in ("fired", "returned")
    }
    cut = [ends[0], *sorted(chance.sample(ends[1:-1], 4)), ends[-1]]
    assert [found for span in pairwise(cut) for found in asked(engine, RULES, *span)] == whole


def without_worst(payloads: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(found["at"], found["text"]) for found in payloads]


def prices(engine: sa.Engine, *prompts: str | None, start: int = 0, **fields: Any) -> None:
    """One collect for each of these prices, half an hour apart; None: the look fails."""
    for tick, prompt in enumerate(prompts, start):
        look = (
            a_look(an_endpoint(prompt=prompt, **fields), minute=STEP * tick) if prompt else a_failed_look(STEP * tick)
        )
        collect(engine, STEP * tick, look)


def test_a_price_that_moves_and_returns(engine: sa.Engine) -> None:
    prices(engine, "1", "1.05", "2", "2", "1")
    assert told(engine, a_rule()) == [("fired", "North", 2), ("returned", "North", 4)]
    [fired, returned] = asked(engine, [a_rule()], at(-1), at(10_000))
    assert (fired["before"], fired["after"], fired["percent"]) == (
        {"prompt": "1.05"},
        {"prompt": "2"},
        {"prompt": 90.48},
    )
    assert returned["text"].endswith("back to normal: prompt $2000000/M -> $1000000/M (-50 %)")


def test_a_price_that_holds_is_told_at_the_first_good_look_after_a_failure(engine: sa.Engine) -> None:
    prices(engine, "1", "1", "1", "2", None, None, None, "2")
    assert told(engine, a_rule(hold=60)) == [("fired", "North", 7)]
    assert told(engine, a_rule(hold=60), since=STEP * 6, until=STEP * 7) == [("fired", "North", 7)]


@pytest.mark.parametrize(("unread", "expected"), [("north/fp8", []), ("south", [("fired", "North", 4)])])
def test_a_body_read_in_part_speaks_for_what_could_be_read(
    engine: sa.Engine, unread: str, expected: list[Told]
) -> None:
    prices(engine, "1", "1", "1", "2")
    broken = an_endpoint(unread) | {"pricing": None}
    offers = [broken] if unread == "north/fp8" else [broken, an_endpoint(prompt="2")]
    collect(engine, STEP * 4, a_look(*offers, minute=STEP * 4))
    assert told(engine, a_rule(hold=30)) == expected


def test_what_waits_for_its_rule_is_told_though_nothing_changes_then(engine: sa.Engine) -> None:
    prices(engine, "1", "2", "1", "2", "2", "2", "2")
    rule = a_rule(rearm=100)
    assert told(engine, rule) == [("fired", "North", 1), ("returned", "North", 2), ("fired", "North", 5)]
    assert told(engine, rule, since=STEP * 4, until=STEP * 5) == [("fired", "North", 5)]
    assert told(engine, rule, since=STEP * 5, until=STEP * 6) == []


def test_the_price_of_an_open_window_sends_no_alert(engine: sa.Engine) -> None:
    morning = NIGHT | {"utc_start": 930, "utc_end": 1000}  # the second collect is in it
    prices(engine, "0.000003", "0.000009", "0.000003", "0.000006", pricing={"overrides": [morning]})
    assert told(engine, a_rule()) == [("fired", "North", 3)]


def test_a_plain_price_that_moves_to_that_of_a_closed_window_sends_an_alert(engine: sa.Engine) -> None:
    prices(engine, "0.000003", "0.000009", "0.000003", pricing={"overrides": [NIGHT]})
    assert told(engine, a_rule()) == [("fired", "North", 1), ("returned", "North", 2)]


def test_a_plain_price_that_equals_that_of_a_closed_window_is_compared(engine: sa.Engine) -> None:
    prices(engine, "0.000009", "0.00002", pricing={"overrides": [NIGHT]})
    assert told(engine, a_rule()) == [("fired", "North", 1)]


def test_a_price_that_varies_alerts_nobody(engine: sa.Engine) -> None:
    prices(engine, "0.000003", "-1", "0.000003")
    assert told(engine, a_rule()) == []


def test_an_optional_price_that_begins_to_be_charged_moves_from_free(engine: sa.Engine) -> None:
    prices(engine, "1", "1")
    prices(engine, "1", start=2, pricing={"request": "0.01"})
    [fired] = asked(engine, [a_rule(prices=("request",))], at(-1), at(1000))
    assert (fired["before"], fired["after"], fired["percent"]) == (
        {"request": "0"},
        {"request": "0.01"},
        {"request": None},
    )


def test_an_endpoint_that_leaves_and_one_that_comes(engine: sa.Engine) -> None:
    north, south = an_endpoint(), an_endpoint("south", provider_name="South")
    for tick, listed in enumerate([[north], [north, south], [south], [north, south]]):
        collect(engine, STEP * tick, a_look(*listed, minute=STEP * tick))
    assert told(engine, a_rule("listing")) == [("fired", "North", 2), ("returned", "North", 3)]
    assert told(engine, a_rule("listing", direction="listed")) == [("fired", "South", 1), ("fired", "North", 3)]


def test_a_late_look_that_changes_the_past_alerts_nobody(engine: sa.Engine) -> None:
    prices(engine, "1", "1", "1")
    with writing(engine) as connection:
        late = a_look(an_endpoint(prompt="5"), minute=STEP * 1.5)
        store(connection, [(late, read_observation(late))])
    prices(engine, "1", start=3)
    assert told(engine, a_rule(), since=STEP * 2, until=STEP * 3) == []
    assert told(engine, a_rule()) == [("fired", "North", 1.5), ("returned", "North", 2)]


def test_an_incident_is_told_once_it_has_lasted_and_once_it_is_over(engine: sa.Engine) -> None:
    for tick, uptime in enumerate([99, 90, 90, 90, 99, 99, 99]):
        collect(engine, STEP * tick, a_look(an_endpoint(uptime_last_30m=uptime), minute=STEP * tick))
    assert told(engine, a_rule("incident")) == [("fired", "North", 2), ("returned", "North", 6)]
    assert told(engine, a_rule("incident", hold=60)) == [("fired", "North", 3), ("returned", "North", 6)]
    with engine.connect() as connection:
        [(_, known)] = AlertHistory(connection, at(STEP * 5), at(STEP * 6)).incidents()
        assert AlertHistory(connection, at(STEP * 2), at(STEP * 5)).incidents() == []
    assert (known.ended_by, known.worst_uptime_pct) == ("recovered", 90)


def test_most_targets_failing_is_told_of_the_collector(engine: sa.Engine) -> None:
    for tick, good in enumerate([True, False, False, True, True]):
        look = a_look(an_endpoint(), minute=STEP * tick) if good else a_failed_look(STEP * tick)
        collect(engine, STEP * tick, look)
    [fired, returned] = asked(engine, [a_rule("stale", hold=30)], at(-1), at(1000))
    assert fired["text"] == "stale 30 0: collect: most targets fail"
    assert (fired["kind"], returned["kind"]) == ("fired", "returned")
    assert "model" not in fired


def test_the_shards_of_a_collect_are_judged_together(engine: sa.Engine) -> None:
    for tick in range(3):
        good = (a_look(an_endpoint(), minute=STEP * tick, target=f"acme/m{n}", model=f"acme/m{n}") for n in range(3))
        collect(engine, STEP * tick, *good, shard="-1-a")
        collect(engine, STEP * tick, a_failed_look(STEP * tick + 1, target="acme/m3"), shard="-2-b")
    assert asked(engine, [a_rule("stale")], at(-1), at(1000)) == []


def test_rules_are_about_their_models_and_providers(engine: sa.Engine) -> None:
    prices(engine, "1", "2")
    assert told(engine, a_rule(models=("zeta/*",))) == []
    assert told(engine, a_rule(providers=("south*",))) == []
    assert told(engine, a_rule(models=("acme/*",), providers=("NORTH",))) == [("fired", "North", 1)]
