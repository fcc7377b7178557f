"""A clock that is years ahead or behind falsifies nothing: what it saw is archived, set aside, and proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count as counting

import pytest
import sqlalchemy as sa

from endpoint_history.backfilling.job import Job, Origin, run_job
from endpoint_history.backfilling.replay import replay, try_replay
from endpoint_history.backfilling.result import Wanted
from endpoint_history.collecting import batch as walk_module
from endpoint_history.database.engine import opened, writing
from endpoint_history.errors import ClockError, HistoryError
from endpoint_history.loading.bundles import load_bundles, load_missing_bundles, pending_bundles
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.loading.withdrawal import restore, withdraw
from endpoint_history.monitoring.health import read_health
from endpoint_history.rollups.maintenance import maintain
from endpoint_history.store.dimensions import run_ids
from flows.schedules import read_schedules
from models.observation import Run
from models.tables import observations, runs
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import archive, collect, history, settings
from tests.support.factories import a_look, an_endpoint, at
from tests.support.three_runs import NAMES, bundle, full_archive

MARKET = Market(models=8)
DECADE = 3652 * 24 * 60
YEAR_9000 = datetime(9000, 1, 1, tzinfo=UTC)
AHEAD = Run("90000101T000000Z-collect-dddddd", "collect", "live", 1800)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(MARKET, clock=lambda: at(0), date=lambda: at(0))


@pytest.fixture
def base_url(simulator: Simulator) -> Iterator[str]:
    with serving(simulator) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    with opened(database_url) as opened_engine:
        yield opened_engine


@pytest.mark.parametrize("minute", [DECADE, -DECADE], ids=["ahead", "behind"])
def test_a_collect_by_a_wrong_clock_stores_nothing_and_keeps_the_answers(
    database_url: str, base_url: str, minute: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoint_history.database.clock.clock_ahead", lambda *_: None)
    with pytest.raises(
        ClockError, match=r"^nothing was stored: this machine's clock said \d{4}-.* set the clock that is"
    ):
        collect(settings(database_url, base_url), MARKET.paths(), minute)
    assert not any(history(database_url).values())
    given = archive()
    assert given.bundles() == []
    [(name, note)] = given.notes().items()
    assert (note.source, "the answer is dated 2026-05-16 09:00 UTC" in note.reason) == ("live", True)
    assert all(look.body for look in given.load(name))
    collect(settings(database_url, base_url), MARKET.paths(), 0)
    before = history(database_url)
    with opened(database_url) as engine:
        assert verify(engine, given)[1] == []
        restore(engine, given, [name])  # what somebody brings back proves nothing all the same
        newest = sa.select(sa.func.count()).where(observations.c.is_evidence, observations.c.observed_at != at(0))
        with engine.connect() as connection:
            assert connection.execute(newest).scalar_one() == 0
        withdraw(engine, given, [name], "again", at=at(0))
    assert history(database_url) == before


def test_one_answer_with_a_wrong_date_fails_alone(
    database_url: str, base_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_module, "_GIVE_UP_AFTER", 3)
    numbers = counting()
    simulator.date = lambda: at(0) + timedelta(days=3 * (next(numbers) == 5))
    targets = MARKET.paths()
    ended = collect(settings(database_url, base_url, max_connections=1), targets)
    [(_, reason)] = ended.summary.failed
    assert (ended.exit_code, ended.observed, "the answer is dated 2026-05-19" in reason) == (3, len(targets) - 1, True)
    with opened(database_url) as engine:
        assert verify(engine, archive())[1] == []


def test_a_clock_ahead_of_the_database_begins_nothing(postgres_url: str, base_url: str, simulator: Simulator) -> None:
    given = settings(postgres_url, base_url)
    job = Job.checked(Origin("files", ("nowhere",)))
    told = "this machine's clock says 9000-01-01 00:00 UTC, the database's "
    with pytest.raises(ClockError, match=f"nothing was done: {told}"):
        collect(given, MARKET.paths(), (YEAR_9000 - at(0)).total_seconds() / 60)
    with pytest.raises(ClockError, match=f"nothing was done: {told}"):
        run_job(given, job, at=YEAR_9000)
    with pytest.raises(ClockError, match=f"nothing was done: {told}"):
        maintain(given, YEAR_9000)
    assert any(told in problem for problem in read_health(given, YEAR_9000, read_schedules).problems)
    assert (simulator.requests, archive().bundles(), any(history(postgres_url).values())) == ([], [], False)


def test_a_bundle_from_the_future_is_named_and_not_loaded(engine: sa.Engine) -> None:
    given = full_archive()
    bundle(given, AHEAD, a_look(an_endpoint(), observed_at=YEAR_9000))
    loaded = load_bundles(engine, given, given.bundles())
    told = "line 1 is dated 9000-01-01 00:00 UTC, more than a day ahead of the database's clock"
    assert (list(loaded.damaged), told in loaded.damaged[AHEAD.name].reason) == ([AHEAD.name], True)
    assert pending_bundles(engine, given) == [AHEAD.name]
    assert list(verify(engine, given)[0].damaged) == [AHEAD.name]
    with pytest.raises(HistoryError) as refusal:
        rebuild(engine, given)
    command = f"endpoint-history runs withdraw {AHEAD.name} --reason TEXT"
    advice = f"; if a clock was wrong: {command}"
    assert str(refusal.value) == f"nothing was changed: {given.path(AHEAD.name)}: {told}{advice}"
    withdraw(engine, given, [AHEAD.name], "clock", at=at(0))
    assert verify(engine, given)[1] == []


def test_a_dry_run_refuses_a_bundle_from_the_future_as_the_load_does(engine: sa.Engine) -> None:
    given = archive()
    looks = [a_look(an_endpoint(), observed_at=YEAR_9000), a_look(an_endpoint("south"), observed_at=YEAR_9000)]
    bundle(given, AHEAD, *looks)
    dry = try_replay(engine, given, Wanted(), everything=False, at=at(0))
    loaded = replay(engine, given, Wanted(), everything=False)
    assert (dry.new, dry.exit_code) == (loaded.new, loaded.exit_code) == (0, 1)
    assert dry.refused.examples == loaded.refused.examples
    assert dry.refusals == 1


def test_a_run_of_the_future_does_not_hide_what_was_missed(engine: sa.Engine) -> None:
    given = full_archive()
    load_bundles(engine, given, NAMES[:1])
    with writing(engine) as connection:  # as an earlier version left it
        run_ids(connection, [AHEAD])
        connection.execute(runs.update().where(runs.c.name == AHEAD.name).values(finished_at=YEAR_9000))
    assert load_missing_bundles(engine, given, at(180)) == []
    assert pending_bundles(engine, given) == []


def test_status_names_the_run_that_lies_in_the_future(database_url: str, base_url: str) -> None:
    collect(settings(database_url, base_url), MARKET.paths(), 0)
    [name] = archive().bundles()
    problems = read_health(settings(database_url, base_url), at(-DECADE), read_schedules).problems
    assert any(f"if that run's was wrong: endpoint-history runs withdraw {name}" in problem for problem in problems)
