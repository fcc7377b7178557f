"""An alert is delivered once, however late, and nobody loses sight of one that is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from prefect.blocks.webhook import Webhook
from pydantic import SecretStr

from endpoint_history.alerts import outbox as alert_outbox
from endpoint_history.alerts.collect_events import COLLECTED, STALE, event
from endpoint_history.alerts.outbox import Waiting, deliver_waiting, discard_waiting, read_waiting, record_alerts
from endpoint_history.alerts.rule_events import FIRED
from endpoint_history.database.engine import opened, writing
from flows.alert_receiver import _call
from models.tables import alerts
from tests.support.factories import at
from tests.support.webhook import receiving


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setattr(alert_outbox, "_BACKOFF_SECONDS", 0)
    with opened(database_url) as engine:
        yield engine


def record(engine: sa.Engine, *texts: str, name: str = FIRED, minute: float = 0) -> None:
    events = [event(name, None, {"text": text}, text) for text in texts]
    with writing(engine) as connection:
        record_alerts(connection, events, at(minute))


def deliver(engine: sa.Engine, url: str, minute: float = 0, times: int = 1) -> Waiting | None:
    """Send what waits, at this minute, in so many collects at once."""

    async def send(message: dict[str, Any]) -> None:
        await _call(Webhook(url=SecretStr(url)), message)

    async def sent() -> list[Waiting | None]:
        return await asyncio.gather(*(deliver_waiting(engine, send, lambda: at(minute)) for _ in range(times)))

    return asyncio.run(sent())[-1]


def texts(came: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in came]


def test_a_receiver_that_was_away_gets_each_alert_once_when_it_is_back(engine: sa.Engine) -> None:
    record(engine, "a", "b")
    answers = [503] * 5
    with receiving(answers) as (url, came):
        waiting = deliver(engine, url)
        assert waiting is not None
        assert (waiting.alerts, waiting.error, answers, came) == (2, "HTTP 503", [], [])
        record(engine, "c", minute=30)
        assert deliver(engine, url, 30) is None
        assert deliver(engine, url, 60) is None
    assert sorted(texts(came)) == ["a", "b", "c"]
    assert {message["event"] for message in came} == {FIRED}
    assert len({message["id"] for message in came}) == 3


def test_a_receiver_that_fails_for_a_moment_gets_it_by_the_retry(engine: sa.Engine) -> None:
    record(engine, "a")
    with receiving([500, 429]) as (url, came):
        assert deliver(engine, url) is None
    assert texts(came) == ["a"]


def test_two_collects_at_once_send_an_alert_once(engine: sa.Engine) -> None:
    record(engine, *"abcdef")
    with receiving() as (url, came):
        deliver(engine, url, times=3)
    assert sorted(texts(came)) == [*"abcdef"]


def test_what_may_have_been_delivered_is_not_sent_again_and_again(engine: sa.Engine) -> None:
    record(engine, "a")
    with receiving([0] * 9) as (url, came):
        for minute in (0, 30, 60, 90):
            waiting = deliver(engine, url, minute)
    assert texts(came) == ["a"] * 3
    assert len({message["id"] for message in came}) == 1
    assert waiting is not None
    again = (
        "1 alert may have been delivered and is not sent again: no answer came to 3 attempts; to clear this message:"
        " endpoint-history alerts discard"
    )
    assert waiting.error == "the connection was closed without an answer"
    assert list(waiting.problems) == [again]
    record(engine, "b", "c", minute=90)
    with engine.connect() as connection:
        found = read_waiting(connection)
    assert found is not None
    assert (found.alerts, found.unconfirmed) == (3, 1)
    waits, gives_up = found.problems
    assert waits.startswith("2 alerts are not delivered, the first since 2026-05-16 10:30 UTC: ")
    assert gives_up == again


def test_an_alert_of_a_process_that_died_is_sent_by_another(engine: sa.Engine) -> None:
    record(engine, "a")
    with engine.connect() as connection:
        (event_id,) = connection.execute(sa.select(alerts.c.event_id)).one()
    assert alert_outbox._take(engine, event_id, at(0))
    with receiving() as (url, came):
        assert deliver(engine, url, 1) is not None
        assert came == []
        assert deliver(engine, url, 6) is None
    assert texts(came) == ["a"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/hunter2", "connection refused"),
        ("nothing://hunter2", "the address in the block is not http or https"),
    ],
)
def test_where_nobody_listens_the_reason_holds_no_address(engine: sa.Engine, url: str, reason: str) -> None:
    record(engine, "a")
    waiting = deliver(engine, url)
    assert waiting is not None
    assert list(waiting.problems) == [
        f"1 alert is not delivered, the first since 2026-05-16 09:00 UTC: {reason}; the next collect tries again; to"
        " test the receiver: endpoint-history alerts send-test, to give up: alerts discard"
    ]


def test_only_alerts_are_sent_each_once_and_stale_targets_once_a_day(engine: sa.Engine) -> None:
    record(engine, "nothing", name=COLLECTED)
    for _ in range(2):
        record(engine, "a")
    stale: list[tuple[str, float]] = [("one", 0), ("two", 30), ("three", 1439), ("four", 1441)]
    for text, minute in stale:
        record(engine, text, name=STALE, minute=minute)
    with receiving() as (url, came):
        deliver(engine, url)
    assert sorted(texts(came)) == ["a", "four", "one"]


def test_what_waits_can_be_given_up(engine: sa.Engine) -> None:
    record(engine, "a", "b")
    with writing(engine) as connection:
        assert discard_waiting(connection) == 2
        assert read_waiting(connection) is None


def test_waiting_alerts_are_counted_in_plain_words() -> None:
    since: datetime = at(0)
    assert next(Waiting(2, 0, since, None).problems).startswith(
        "2 alerts are not delivered, the first since 2026-05-16 09:00 UTC: not"
    )
