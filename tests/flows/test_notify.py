"""What a live collect tells: events by stable names, against the simulated OpenRouter and a real database."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from endpoint_history.alerts.collect_events import CollectEvent, change_events, collected_event
from endpoint_history.alerts.engine import Alert
from endpoint_history.alerts.history import RuleAlert
from endpoint_history.alerts.observations import Subject
from endpoint_history.alerts.rule_events import alert_events
from endpoint_history.alerts.rules import Rule
from endpoint_history.collecting.changes import EndpointName, PriceMove
from endpoint_history.collecting.not_found import NotFound
from endpoint_history.collecting.run import Collected
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.settings import Settings
from flows.backfill import BACKFILLED_EVENT
from flows.notify import events_of, last_collect_end
from models.tables import runs
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.reporting.test_collect_report import HOSTILE, collected
from tests.support import collecting
from tests.support.factories import a_body, an_endpoint, at

ROOT = Path(__file__).parents[2]
URL = "sqlite:///history.db"
MODEL = "acme/swift-1"
RULE = '[[rule]]\nname = "any"\non = "price"\nhold_minutes = 0\n'


@dataclass
class Teller:
    """Collects as the flow does, and gives what each collect tells."""

    simulator: Simulator
    settings: Settings

    def collect(self, minute: float, *endpoints: Any) -> list[CollectEvent]:
        self.simulator.answers[MODEL] = faults.answer(200, a_body(*endpoints, model=MODEL))
        return self._told(minute)

    def fail(self, minute: float) -> list[CollectEvent]:
        self.simulator.answers[MODEL] = faults.KINDS["html"]
        return self._told(minute)

    def _told(self, minute: float) -> list[CollectEvent]:
        since = asyncio.run(last_collect_end(self.settings))
        done = collecting.collect(self.settings, [MODEL], minute, cadence_seconds=1800)
        return asyncio.run(events_of(self.settings, done, since))

    def again(self, done: Collected, since: datetime | None) -> list[CollectEvent]:
        return asyncio.run(events_of(self.settings, done, since))


@pytest.fixture
def teller() -> Iterator[Teller]:
    upgrade(URL)
    simulator = Simulator(Market(models=1), clock=lambda: at(0))
    with serving(simulator) as base_url:
        yield Teller(simulator, collecting.settings(URL, base_url))


def names(events: Sequence[CollectEvent]) -> list[str]:
    return [event.name.removeprefix("endpoint-history.") for event in events]


def test_the_first_collect_tells_its_end_and_no_news(teller: Teller) -> None:
    [event] = teller.collect(0, an_endpoint())
    assert event.name == "endpoint-history.collected"
    assert {**event.payload, "run": ""} == {
        "run": "",
        "targets": 1,
        "ok": 1,
        "gone": 0,
        "not_found": 0,
        "failed": 0,
        "endpoints": 1,
        "prices_new": 1,
        "prices_changed": 0,
        "changes_left_out": 0,
    }


def test_an_alert_is_told_first_and_then_what_changed(teller: Teller) -> None:
    Path("alerts.toml").write_text(RULE)
    teller.collect(0, an_endpoint(), an_endpoint("south"))
    events = teller.collect(30, an_endpoint(prompt="0.000002"), an_endpoint("east"))
    assert names(events) == ["alert.fired", "price.changed", "endpoint.listed", "endpoint.gone", "collected"]
    fired, changed, listed, gone, _ = events
    assert fired.resource["endpoint-history.rule"] == "any"
    assert changed.payload["prices"] == [{"price": "prompt", "before": "0.000001", "after": "0.000002"}]
    assert changed.payload["text"] == "acme/swift-1 at North (north/fp8): prompt $1/M -> $2/M"
    assert (listed.payload["kind"], listed.payload["route"]) == ("new", "east")
    assert (gone.payload["kind"], gone.payload["route"]) == ("gone", "south")
    assert names(teller.collect(60, an_endpoint(prompt="0.000002"), an_endpoint("east"))) == ["collected"]


def test_incidents_are_told_when_they_are_seen(teller: Teller) -> None:
    told = [
        names(teller.collect(30 * tick, an_endpoint(uptime_last_30m=uptime)))
        for tick, uptime in enumerate([99, 90, 90, 99, 99, 99])
    ]
    assert [found[:-1] for found in told] == [[], [], ["incident.opened"], [], [], ["incident.closed"]]


def test_most_targets_stale_is_told_by_each_collect_while_it_lasts(teller: Teller) -> None:
    teller.collect(0, an_endpoint())
    told = [names(teller.fail(30 * tick)) for tick in range(1, 6)]
    assert told == [["collected"]] * 3 + [["collect.stale", "collected"]] * 2


def test_what_an_earlier_collect_left_is_told_by_the_next(teller: Teller) -> None:
    Path("alerts.toml").write_text(RULE)
    teller.collect(0, an_endpoint())
    teller.collect(30, an_endpoint(prompt="0.000002"))
    with opened(URL) as engine, writing(engine) as connection:
        newest = runs.c.started_at == at(30)
        connection.execute(runs.update().where(newest).values(finished_at=None, ok=0))  # as a crash leaves it
    assert names(teller.collect(60, an_endpoint(prompt="0.000002"))) == ["alert.fired", "collected"]


def test_rules_that_can_not_be_read_are_told(teller: Teller) -> None:
    Path("alerts.toml").write_text("[[rule]]\n")
    done = collecting.collect(teller.settings, ["*"])
    with pytest.raises(Exception, match=r"alerts\.toml: rule 1: on: expected one of"):
        teller.again(done, None)


def moves(count: int) -> list[PriceMove]:
    return [
        PriceMove(EndpointName(f"acme/m{n}", "North", "north"), "prompt", Decimal(1), Decimal(2)) for n in range(count)
    ]


def test_a_target_that_was_not_found_is_not_told_as_gone() -> None:
    done = replace(collected(gone=3), not_found=[NotFound("acme/x", None), NotFound("acme/y", None)])
    payload = collected_event(done, 0).payload
    assert (payload["gone"], payload["not_found"], done.gone) == (1, 2, 1)


def test_the_prices_of_one_endpoint_are_one_event() -> None:
    endpoint = EndpointName(MODEL, "North", "north", MODEL, 1)
    both = [PriceMove(endpoint, key, Decimal(1), Decimal(2)) for key in ("prompt", "completion")]
    [event] = change_events(collected(price_moves=both).summary)
    assert [price["price"] for price in event.payload["prices"]] == ["prompt", "completion"]
    assert event.resource["prefect.resource.id"] == "endpoint-history.endpoint.acme/swift-1@north#1"


def test_more_changes_than_anybody_reads_are_counted(teller: Teller) -> None:
    teller.collect(0, an_endpoint())
    done = collecting.collect(teller.settings, [MODEL], 30)
    done = replace(done, summary=replace(done.summary, price_moves=moves(203)))
    events = teller.again(done, None)
    assert names(events).count("price.changed") == 200
    assert events[-1].payload["changes_left_out"] == 3


def test_the_same_has_the_same_id_and_nothing_else_has_it() -> None:
    first, second = ([event.id for event in change_events(collected(price_moves=moves(5)).summary)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 5


def an_alert(number: int = 0, endpoint: EndpointName | None = None) -> RuleAlert:
    who = endpoint or EndpointName(f"acme/m{number}", "North", "north")
    subject = Subject(number, number, who.model, who.model, who.provider, who.route, 0, at(0))
    alert = Alert("fired", at(30), {"prompt": Decimal(1)}, {"prompt": Decimal(2)})
    return RuleAlert(Rule(name="any", on="price", hold_minutes=0), subject, alert)


def test_of_one_rule_so_many_alerts_come_at_once_and_the_rest_is_counted() -> None:
    events = list(alert_events(an_alert(number) for number in range(23)))
    assert names(events) == ["alert.fired"] * 20 + ["alert.more"]
    assert events[-1].payload["more"] == 3
    assert len({event.id for event in events}) == 21


LINKS = [
    "https://evil.example/pay",
    "www.evil.example",
    "evil.example",
    "[click](https://evil.example)",
    "mailto:a@b.c",
]


@pytest.mark.parametrize("name", [*HOSTILE, "<!channel>", "<@U123>", "@everyone", "{{ 7 * 7 }}", *LINKS])
def test_no_name_of_a_stranger_calls_anybody(name: str) -> None:
    endpoint = EndpointName(name, name, name)
    for event in (
        *alert_events([an_alert(0, endpoint)]),
        *change_events(collected(price_moves=[PriceMove(endpoint, "prompt", None, Decimal(1))]).summary),
    ):
        said = event.payload["text"]
        assert not any(sign in said.replace("->", "") for sign in "<>@[]")
        assert not re.search(r"://|mailto:|\.[a-z]", said)
        assert len(said.splitlines()) == 1
        assert event.payload["model"] == name
        assert json.loads(json.dumps(event.payload, allow_nan=False)) == event.payload


def test_every_event_that_is_told_is_documented() -> None:
    folder = ROOT / "endpoint_history" / "alerts"
    source = "".join((folder / name).read_text() for name in ("collect_events.py", "rule_events.py"))
    told = {f"endpoint-history.{name}" for name in re.findall(r"\{PREFIX\}\.([a-z.]+)\"", source)}
    told |= {f"endpoint-history.{name}" for name in re.findall(r"\(\"(endpoint\.[a-z]+)\"", source)}
    told.add(BACKFILLED_EVENT)
    page = (ROOT / "docs" / "alerts.md").read_text()
    assert set(re.findall(r"^\| `(endpoint-history\.[a-z.]+)`", page, re.MULTILINE)) == told - {
        "endpoint-history.collect"
    }
