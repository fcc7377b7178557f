"""What a look leaves in the tables, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store import writer as store_module
from endpoint_history.store.writer import Stored, store
from models.observation import Observation, Run
from models.tables import observations, pricing_snapshots, uptime_samples
from tests.reference.store import history_of, stored_history, visible
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

ALIAS = "acme/swift-1-20260101"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


def save(engine: sa.Engine, *looks: Observation) -> Stored:
    with writing(engine) as connection:
        return store(connection, [(look, read_observation(look)) for look in looks])


def rows(engine: sa.Engine, table: sa.Table, *columns: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        query = sa.select(*(table.c[name] for name in columns)).order_by(table.c.observed_at)
        return [tuple(row) for row in connection.execute(query)]


def prices(engine: sa.Engine) -> list[tuple[Any, ...]]:
    return rows(engine, pricing_snapshots, "observed_at", "listed", "prompt_usd")


def test_the_first_look_makes_the_first_snapshot(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(prompt="0.00000010000000000000000001")))
    assert prices(engine) == [(at(0), True, Decimal("0.00000010000000000000000001"))]


def test_an_unchanged_price_adds_no_snapshot_but_a_sample(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()))
    save(engine, a_look(an_endpoint(prompt="0.0000010"), minute=30))
    assert len(prices(engine)) == 1
    assert len(rows(engine, uptime_samples, "observed_at")) == 2


def test_a_price_that_left_and_came_back_is_two_changes(engine: sa.Engine) -> None:
    for minute, price in ((0, "0.1"), (30, "0.2"), (60, "0.1")):
        save(engine, a_look(an_endpoint(prompt=price), minute=minute))
    assert [price for _, _, price in prices(engine)] == [Decimal("0.1"), Decimal("0.2"), Decimal("0.1")]


def test_a_late_look_between_two_changes_moves_only_what_it_proves(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(prompt="0.1")), a_look(an_endpoint(prompt="0.2"), minute=60))
    save(engine, a_look(an_endpoint(prompt="0.2"), minute=30))
    assert [(when, price) for when, _, price in prices(engine)] == [(at(0), Decimal("0.1")), (at(30), Decimal("0.2"))]


def test_an_endpoint_that_is_no_longer_listed_closes(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_look(minute=30))
    assert prices(engine) == [(at(0), True, Decimal("0.000001")), (at(30), False, None)]


def test_a_model_that_is_gone_closes_its_endpoints(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_gone_look(30))
    assert [listed for _, listed, _ in prices(engine)] == [True, False]


def test_a_gone_before_anything_was_seen_proves_nothing(engine: sa.Engine) -> None:
    save(engine, a_gone_look(0))
    assert rows(engine, observations, "outcome", "is_evidence", "model_id") == [("gone", False, None)]


def test_a_failed_look_closes_nothing_and_is_kept(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_failed_look(30), a_look(an_endpoint(), minute=60))
    assert len(prices(engine)) == 1
    assert rows(engine, observations, "outcome", "error")[1] == ("failed", "connection refused")


def test_an_endpoint_that_cannot_be_read_is_neither_seen_nor_absent(engine: sa.Engine) -> None:
    good, bad = an_endpoint(), an_endpoint("south", prompt="nonsense")
    save(engine, a_look(good, an_endpoint("south")), a_look(good, bad, minute=30))
    assert all(listed for _, listed, _ in prices(engine))
    assert rows(engine, observations, "complete", "error")[1] == (
        False,
        "endpoint 2 unread: prompt is not a number: 'nonsense'",
    )


@pytest.mark.parametrize("uptime", [None, 0, 100, 99.87654321])
def test_no_uptime_none_and_all_are_three_facts(engine: sa.Engine, uptime: float | None) -> None:
    save(engine, a_look(an_endpoint(uptime_last_30m=uptime)))
    assert rows(engine, uptime_samples, "uptime_30m_pct") == [(uptime,)]


def test_two_paths_to_one_model_are_stored_once(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint()), a_look(an_endpoint(), minute=1, target=ALIAS))
    assert len(rows(engine, uptime_samples, "observed_at")) == 1
    assert rows(engine, observations, "is_evidence") == [(True,), (False,)]


def test_a_path_that_moved_lets_the_old_model_be(engine: sa.Engine) -> None:
    save(engine, a_look(an_endpoint(), target=ALIAS), a_look(model="acme/swift-2", minute=60, target=ALIAS))
    save(engine, a_gone_look(90, target=ALIAS))
    assert [listed for _, listed, _ in prices(engine)] == [True]


def test_the_same_looks_again_are_known_and_change_nothing(engine: sa.Engine) -> None:
    looks = [a_look(an_endpoint()), a_gone_look(30), a_failed_look(60), a_look(an_endpoint("south"), minute=90)]
    assert save(engine, *looks) == Stored(new=4, known=0)
    with engine.connect() as connection:
        before = visible(connection)
    assert save(engine, *looks) == Stored(new=0, known=4)
    with engine.connect() as connection:
        assert visible(connection) == before


def test_of_two_runs_that_tell_of_one_look_our_own_proves_it(engine: sa.Engine) -> None:
    own, imported = a_look(an_endpoint()), Run("20200101T000000Z-backfill-aaaaaa", "backfill", "files")
    save(engine, replace(own, run=imported, origin="a.json", archive_line=7))
    save(engine, replace(own, archive_line=3))
    save(engine, replace(own, run=imported, origin="b.json", archive_line=1))
    assert rows(engine, observations, "origin", "archive_line", "elapsed_ms") == [(None, 3, 120)]


def test_twins_of_one_tag_are_two_endpoints_whatever_their_order(engine: sa.Engine) -> None:
    small, large = an_endpoint(context_length=8192), an_endpoint(context_length=131072, prompt="0.000003")
    save(engine, a_look(small, large))
    save(engine, a_look(large, small, minute=30))
    assert len(prices(engine)) == 2


def test_a_batch_that_fails_leaves_nothing(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(store_module, "_add_samples", broken)
    with pytest.raises(RuntimeError):
        save(engine, a_look(an_endpoint()))
    with engine.connect() as connection:
        assert not any(visible(connection).values())


def test_two_writers_at_once_neither_fail_nor_double(engine: sa.Engine) -> None:
    looks = [
        a_look(an_endpoint(prompt=f"0.{1 + minute // 20}"), minute=minute, target=path)
        for minute in range(0, 120, 5)
        for path in (MODEL, ALIAS)
    ]
    troubles: list[BaseException] = []

    def write(mine: list[Observation]) -> None:
        try:
            for start in range(0, len(mine), 3):
                save(engine, *mine[start : start + 3])
        except BaseException as error:  # noqa: BLE001 - the thread's failure is the test's
            troubles.append(error)

    threads = [threading.Thread(target=write, args=(part,)) for part in (looks, looks[::-1], looks[10:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    with engine.connect() as connection:
        assert stored_history(connection) == history_of(looks)


def test_a_thousand_looks_fit_into_one_batch(engine: sa.Engine) -> None:
    looks = [
        a_look(an_endpoint(model_id=f"acme/m{n}"), target=f"acme/m{n}", model=f"acme/m{n}") for n in range(1000)
    ] + [a_gone_look(30, target=f"acme/m{n}") for n in range(1000)]
    assert save(engine, *looks) == Stored(new=2000, known=0)
    assert len(prices(engine)) == 2000
