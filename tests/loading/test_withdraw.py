"""A withdrawn run leaves the history of the others, a restored one brings all back, in any order, on both databases."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.replay import replay
from endpoint_history.backfilling.result import Wanted
from endpoint_history.database.engine import opened, writing
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading import rebuild as rebuild_module
from endpoint_history.loading import withdrawal as withdraw_module
from endpoint_history.loading.bundles import load_bundles, load_missing_bundles, pending_bundles
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.loading.withdrawal import restore, withdraw
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.retention import remove_old_samples
from endpoint_history.store.dimensions import run_ids
from endpoint_history.store.writer import store
from models.observation import Run
from models.tables import observations, pricing_snapshots, runs
from models.views import current_prices
from tests.support.collecting import archive
from tests.support.factories import a_gone_look, a_look, an_endpoint, at
from tests.support.three_runs import FIRST, NAMES, SECOND, THIRD, bundle, damage, full_archive, path_of, tables

AHEAD = Run("20360516T090000Z-collect-dddddd", "collect", "live", 1800)
LATER = at(20_000)
DECADE = 10 * 365 * 24 * 60
Tables = dict[str, list[str]]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    with opened(database_url) as opened_engine:
        yield opened_engine


@pytest.fixture
def full(engine: sa.Engine) -> Archive:
    """The archive of three runs, which the database holds."""
    given = full_archive()
    load_bundles(engine, given, NAMES)
    return given


@pytest.fixture
def built_from(sqlite_template: Path) -> Callable[..., Tables]:
    """The history of a database that has only ever seen the bundles of these runs."""

    def build(*names: str) -> Tables:
        Path("expected.db").unlink(missing_ok=True)
        shutil.copy(sqlite_template, "expected.db")
        with opened("sqlite:///expected.db") as other:
            load_bundles(other, archive(), names)
            return tables(other)

    return build


def take_back(engine: sa.Engine, given: Archive, *names: str) -> None:
    withdraw(engine, given, names, "wrong dates", at=LATER)


def is_settled(engine: sa.Engine, given: Archive) -> bool:
    """Whether nothing that loads would change anything, and nothing differs."""
    before = tables(engine)
    assert load_missing_bundles(engine, given, LATER) == []
    assert replay(engine, given, Wanted(), everything=True).new == 0
    assert verify(engine, given)[1] == []
    rebuild(engine, given)
    return tables(engine) == before


@pytest.mark.slow_unless(database_url=["sqlite"])
@pytest.mark.parametrize("name", NAMES)
def test_a_withdrawn_run_never_happened(
    engine: sa.Engine, full: Archive, built_from: Callable[..., Tables], name: str
) -> None:
    take_back(engine, full, name)
    assert tables(engine) == built_from(*(other for other in NAMES if other != name))
    assert is_settled(engine, full)


def test_runs_come_and_go_in_any_order(engine: sa.Engine, full: Archive, built_from: Callable[..., Tables]) -> None:
    whole = tables(engine)
    take_back(engine, full, SECOND.name)
    take_back(engine, full, FIRST.name)
    restore(engine, full, [SECOND.name])
    assert tables(engine) == built_from(SECOND.name, THIRD.name)
    restore(engine, full, [FIRST.name])
    assert tables(engine) == whole
    assert is_settled(engine, full)


def test_all_runs_can_be_withdrawn(engine: sa.Engine, full: Archive) -> None:
    whole = tables(engine)
    take_back(engine, full, *NAMES)
    assert not any(tables(engine).values())
    assert is_settled(engine, full)
    restore(engine, full, NAMES)
    assert tables(engine) == whole


def test_what_another_run_also_observed_stays_and_is_proved_by_that(
    engine: sa.Engine, built_from: Callable[..., Tables]
) -> None:
    given = archive()
    bundle(given, FIRST, a_look(an_endpoint()), a_look(an_endpoint(prompt="0.5"), minute=10))
    bundle(given, SECOND, a_look(an_endpoint()), a_gone_look(20))
    load_bundles(engine, given, [FIRST.name, SECOND.name])
    take_back(engine, given, FIRST.name)
    assert tables(engine) == built_from(SECOND.name)
    with engine.connect() as connection:
        query = sa.select(runs.c.name).select_from(observations.join(runs)).order_by(observations.c.observed_at)
        assert connection.execute(query).scalars().all() == [SECOND.name] * 2


def test_prices_of_a_clock_that_was_ahead_are_current_no_more(engine: sa.Engine, full: Archive) -> None:
    bundle(full, AHEAD, a_look(an_endpoint(prompt="0.9"), minute=DECADE))
    with writing(engine) as connection:  # as an earlier version stored it
        load_of_the_future(connection)
    take_back(engine, full, AHEAD.name)
    with engine.connect() as connection:
        newest = connection.execute(sa.select(sa.func.max(current_prices.c.valid_from))).scalar_one()
        assert newest < LATER
        assert connection.execute(sa.select(sa.func.max(pricing_snapshots.c.observed_at))).scalar_one() < LATER
    assert is_settled(engine, full)


def load_of_the_future(connection: sa.Connection) -> None:
    look = a_look(an_endpoint(prompt="0.9"), minute=DECADE, run=AHEAD, archive_line=1)
    store(connection, [(look, read_observation(look))])


def test_withdrawing_twice_changes_nothing_more(engine: sa.Engine, full: Archive) -> None:
    take_back(engine, full, FIRST.name)
    once, note = tables(engine), full.notes()[FIRST.name]
    done = withdraw(engine, full, [FIRST.name], "another reason", at=LATER)
    assert (done.names, done.loaded, tables(engine), full.notes()) == ([FIRST.name], None, once, {FIRST.name: note})


def test_the_bundle_is_neither_moved_nor_rewritten(engine: sa.Engine, full: Archive) -> None:
    bytes_before = path_of(FIRST).read_bytes()
    take_back(engine, full, FIRST.name)
    assert path_of(FIRST).read_bytes() == bytes_before
    note = path_of(FIRST).with_name(f"{FIRST.name}.withdrawn.json")
    assert (note.stat().st_mode & 0o777, '"reason":"wrong dates"' in note.read_text()) == (0o600, True)
    restore(engine, full, [FIRST.name])
    assert not note.exists()
    assert path_of(FIRST).read_bytes() == bytes_before


def test_a_withdrawal_killed_before_the_database_changed_is_finished_by_the_next(
    engine: sa.Engine, full: Archive, monkeypatch: pytest.MonkeyPatch, built_from: Callable[..., Tables]
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(withdraw_module, "rebuild", lambda *_: None)
        take_back(engine, full, FIRST.name)
    take_back(engine, full, FIRST.name)
    assert tables(engine) == built_from(SECOND.name, THIRD.name)


def test_a_withdrawal_that_cannot_be_done_changes_nothing(engine: sa.Engine, full: Archive) -> None:
    before = tables(engine)
    damage(SECOND, 1)
    with pytest.raises(HistoryError, match=f"as the archive is damaged: .*{SECOND.name}.* line 1 at byte"):
        take_back(engine, full, FIRST.name)
    assert (tables(engine), full.withdrawn()) == (before, set())


def test_a_damaged_bundle_can_be_withdrawn(engine: sa.Engine, full: Archive, built_from: Callable[..., Tables]) -> None:
    damage(SECOND, 1)
    take_back(engine, full, SECOND.name)
    assert tables(engine) == built_from(FIRST.name, THIRD.name)


def test_a_run_whose_bundle_was_removed_can_be_withdrawn(
    engine: sa.Engine, full: Archive, built_from: Callable[..., Tables]
) -> None:
    path_of(SECOND).unlink()
    with pytest.raises(HistoryError, match=f"endpoint-history runs withdraw {SECOND.name} --reason TEXT"):
        rebuild(engine, full)
    take_back(engine, full, SECOND.name)
    assert tables(engine) == built_from(FIRST.name, THIRD.name)
    with pytest.raises(HistoryError, match=r"put it back first: .*\.jsonl\.gz"):
        restore(engine, full, [SECOND.name])
    assert full.withdrawn() == {SECOND.name}


def test_a_run_that_is_not_loaded_is_withdrawn_without_a_rebuild(engine: sa.Engine, full: Archive) -> None:
    before = tables(engine)
    bundle(full, AHEAD, a_look(an_endpoint(), minute=DECADE))
    assert withdraw(engine, full, [AHEAD.name], "clock", at=LATER).loaded is None
    assert (tables(engine), pending_bundles(engine, full)) == (before, [])


def test_a_walk_stands_for_its_shards(engine: sa.Engine, built_from: Callable[..., Tables]) -> None:
    given, walk = archive(), "20260516T110000Z-collect-eeeeee"
    shards = [Run(f"{walk}-{number}-ffffff", "collect", "live", 1800) for number in (1, 2)]
    bundle(given, FIRST, a_look(an_endpoint()))
    for number, run in enumerate(shards):
        bundle(given, run, a_look(an_endpoint(prompt=f"0.{number + 1}"), minute=120 + number))
    load_bundles(engine, given, given.bundles())
    take_back(engine, given, shards[0].name)
    assert tables(engine) == built_from(FIRST.name, shards[1].name)
    take_back(engine, given, walk)
    assert tables(engine) == built_from(FIRST.name)
    assert restore(engine, given, [walk])[0] == [run.name for run in shards]
    assert tables(engine) == built_from(FIRST.name, *(run.name for run in shards))


@pytest.mark.parametrize(
    "name", ["20260516T090000Z-collect-aaaaab", "20260516T090000Z", "20260516T090000Z-collect", "x"]
)
def test_a_run_that_nobody_knows_is_refused(engine: sa.Engine, full: Archive, name: str) -> None:
    before = tables(engine)
    with pytest.raises(ConfigurationError, match=f"there is no run {name}.* All runs: endpoint-history runs"):
        take_back(engine, full, FIRST.name, name)
    with pytest.raises(ConfigurationError, match=f"there is no run {name}"):
        restore(engine, full, [name])
    assert (tables(engine), full.withdrawn()) == (before, set())


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
def test_a_reason_that_says_nothing_is_refused(engine: sa.Engine, full: Archive, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="--reason: say why"):
        withdraw(engine, full, [FIRST.name], reason, at=LATER)


def test_a_run_under_way_is_refused(engine: sa.Engine, full: Archive) -> None:
    begun = Run("20260516T120000Z-collect-eeeeee", "collect", "live", 1800)
    with writing(engine) as connection:
        run_ids(connection, [begun])
    with full.open_bundle(begun) as writer:
        writer.add(a_look(an_endpoint(), minute=180, run=begun))
        with pytest.raises(HistoryError, match=f"the run {begun.name} is under way: withdraw it after its end"):
            take_back(engine, full, begun.name)
    take_back(engine, full, begun.name)
    assert full.withdrawn() == {begun.name}


def test_a_run_of_another_machine_that_has_no_end_yet_is_refused_for_a_day(engine: sa.Engine, full: Archive) -> None:
    begun = Run("20260516T120000Z-collect-eeeeee", "collect", "live", 1800)
    with writing(engine) as connection:
        run_ids(connection, [begun])
    with pytest.raises(HistoryError, match="has no end and no bundle: it is under way"):
        withdraw(engine, full, [begun.name], "lost", at=at(190))
    withdraw(engine, full, [begun.name, FIRST.name], "lost", at=at(180 + 24 * 60))
    with engine.connect() as connection:
        assert connection.execute(sa.select(runs.c.id).where(runs.c.name == begun.name)).first() is None


def test_a_collect_that_goes_on_meanwhile_is_kept(
    engine: sa.Engine, full: Archive, monkeypatch: pytest.MonkeyPatch, built_from: Callable[..., Tables]
) -> None:
    monkeypatch.setattr(rebuild_module, "_PAUSE_SECONDS", 0.05)
    begun, looks = (
        Run("20260516T120000Z-collect-eeeeee", "collect", "live", 1800),
        [a_look(an_endpoint("east"), minute=180)],
    )
    built, go_on = threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        built.set()
        assert go_on.wait(30)

    def take() -> None:
        withdraw(engine, full, [FIRST.name], "wrong", at=LATER, progress=hold)

    withdrawing = threading.Thread(target=take)
    withdrawing.start()
    assert built.wait(30)
    bundle(full, begun, *looks)
    load_bundles(engine, full, [begun.name])
    go_on.set()
    withdrawing.join()
    assert tables(engine) == built_from(SECOND.name, THIRD.name, begun.name)


def test_a_run_withdrawn_by_another_process_meanwhile_does_not_return(engine: sa.Engine, full: Archive) -> None:
    def withdraw_another(done: int, total: int) -> None:
        if done == total and not full.withdrawn() - {FIRST.name}:
            take_back(engine, archive(), SECOND.name)

    with pytest.raises(HistoryError, match=f"{SECOND.name} was withdrawn meanwhile; run the command again"):
        withdraw(engine, full, [FIRST.name], "wrong", at=LATER, progress=withdraw_another)
    assert full.withdrawn() == {SECOND.name}
    take_back(engine, full, FIRST.name)
    assert is_settled(engine, full)


def test_thinned_history_is_whole_again_after_a_withdrawal(
    engine: sa.Engine, full: Archive, built_from: Callable[..., Tables]
) -> None:
    assert remove_old_samples(engine, 1, at(10 * 24 * 60)) > 0
    take_back(engine, full, THIRD.name)
    assert tables(engine) == built_from(FIRST.name, SECOND.name)


def test_a_bundle_that_a_crash_left_on_the_disk_stays_withdrawn(engine: sa.Engine, full: Archive) -> None:
    part = path_of(FIRST).with_name(f".{FIRST.name}.jsonl.part")
    take_back(engine, full, FIRST.name)
    part.write_bytes(gzip.decompress(path_of(FIRST).read_bytes()))
    assert full.recover() == []
    assert (part.exists(), full.bundles()) == (False, NAMES[1:])


def test_a_note_that_somebody_damaged_still_withdraws_its_run(engine: sa.Engine, full: Archive) -> None:
    take_back(engine, full, FIRST.name)
    path_of(FIRST).with_name(f"{FIRST.name}.withdrawn.json").write_text("{")
    assert full.bundles() == NAMES[1:]
    assert full.notes()[FIRST.name].reason == "unknown, as the note can't be read"


def test_later_backfills_that_skipped_what_is_gone_now_are_named(engine: sa.Engine) -> None:
    given = archive()
    backfills = [Run(f"20260517T0{hour}0000Z-backfill-aaaaaa", "backfill", "files") for hour in range(3)]
    for minute, run in enumerate([*backfills, SECOND]):
        bundle(given, run, a_look(an_endpoint(), minute=minute))
    load_bundles(engine, given, given.bundles())
    done = withdraw(engine, given, [backfills[1].name], "wrong dates", at=LATER)
    assert done.later_backfills == [backfills[2].name]
