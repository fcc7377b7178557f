"""Bundles of the archive come into the database whole, again, damaged, and in any order, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.loading import bundles as loading
from endpoint_history.loading.bundles import (
    Loaded,
    interrupted_bundles,
    load_bundles,
    load_missing_bundles,
    pending_bundles,
)
from endpoint_history.store.dimensions import run_ids
from models.observation import Run
from models.tables import observations, runs
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import archive, collect, history, settings
from tests.support.factories import a_look, an_endpoint, at
from tests.support.three_runs import (
    FIRST,
    NAMES,
    SECOND,
    THIRD,
    bundle,
    damage,
    emptied,
    full_archive,
    path_of,
    tables,
)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


@pytest.fixture
def full() -> Archive:
    return full_archive()


def load(engine: sa.Engine, given: Archive, *names: str) -> Loaded:
    return load_bundles(engine, given, names)


def begin(engine: sa.Engine, *begun: Run) -> None:
    with writing(engine) as connection:
        run_ids(connection, begun)


def test_the_end_of_a_run_is_its_own_second(engine: sa.Engine) -> None:
    load_bundles(engine, full_archive(), NAMES)
    with engine.connect() as connection:
        ended = connection.execute(sa.select(runs.c.name).where(runs.c.finished_at == at(0))).scalars().all()
    assert ended == [FIRST.name]


def test_an_empty_archive_has_nothing_to_load(engine: sa.Engine) -> None:
    assert (interrupted_bundles(engine, archive()), pending_bundles(engine, archive())) == ([], [])


def test_a_fresh_database_has_all_bundles_unloaded(engine: sa.Engine, full: Archive) -> None:
    assert (pending_bundles(engine, full), interrupted_bundles(engine, full)) == (NAMES, [])


def test_runs_that_were_begun_and_not_ended_are_unfinished(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, FIRST.name)
    begin(engine, THIRD, SECOND)
    assert interrupted_bundles(engine, full) == [SECOND.name, THIRD.name]
    assert pending_bundles(engine, full) == [SECOND.name, THIRD.name]


def test_an_unfinished_run_without_a_bundle_is_left_alone(engine: sa.Engine) -> None:
    begin(engine, FIRST)
    assert interrupted_bundles(engine, archive()) == []


def test_what_was_loaded_is_loaded_and_finished(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    assert (pending_bundles(engine, full), interrupted_bundles(engine, full)) == ([], [])


def test_a_load_tells_its_progress_look_by_look_to_the_end(engine: sa.Engine, full: Archive) -> None:
    told: list[tuple[int, int]] = []
    loaded = load_bundles(engine, full, NAMES, progress=lambda done, total: told.append((done, total)))
    assert (loaded.bundles, loaded.read, loaded.new, loaded.fresh) == (3, 6, 6, set(NAMES))
    assert (len(told), told[-1][0], told) == (6, told[-1][1], sorted(told))


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_a_batch_may_end_anywhere_in_a_bundle(
    engine: sa.Engine, full: Archive, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(engine, full, *NAMES)
    whole = tables(engine)
    emptied(engine)
    monkeypatch.setattr(loading, "_BATCH", batch)
    load(engine, full, *NAMES)
    assert tables(engine) == whole


def test_loading_twice_gives_the_same_tables(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    before = tables(engine)
    again = load(engine, full, *NAMES)
    assert (again.read, again.new, again.damaged) == (6, 0, {})
    assert tables(engine) == before


def test_bundles_in_reverse_give_the_same_tables(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    in_order = tables(engine)
    emptied(engine)
    load(engine, full, *reversed(NAMES))
    assert tables(engine) == in_order
    assert all(in_order[name] for name in ("pricing_snapshots", "listing_changes", "uptime_samples", "drift"))


def test_a_run_stored_in_part_is_completed(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    whole = tables(engine)
    with writing(engine) as connection:
        lost = observations.c.outcome == "failed"
        connection.execute(observations.delete().where(lost))
        connection.execute(runs.update().where(runs.c.name == SECOND.name).values(finished_at=None, ok=0, failed=0))
    load(engine, full, *interrupted_bundles(engine, full))
    assert tables(engine) == whole


def test_small_batches_give_the_same_tables(engine: sa.Engine, full: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    load(engine, full, *NAMES)
    at_once = tables(engine)
    emptied(engine)
    monkeypatch.setattr(loading, "_BATCH", 1)
    load(engine, full, *NAMES)
    assert tables(engine) == at_once


def test_a_damaged_bundle_loads_what_can_be_read(engine: sa.Engine, full: Archive) -> None:
    damage(FIRST, 1)
    loaded = load(engine, full, *NAMES)
    assert (loaded.bundles, loaded.read, loaded.new) == (3, 5, 5)


def test_the_damage_of_a_bundle_is_named(engine: sa.Engine, full: Archive) -> None:
    damage(FIRST, 2)
    told = load(engine, full, *NAMES).damaged[FIRST.name]
    assert told.origin.endswith(f"/{FIRST.name}.jsonl.gz")
    assert re.fullmatch(r"line 2 at byte \d+: its checksum is wrong", told.reason)


def test_a_bundle_that_is_no_gzip_stops_no_other(engine: sa.Engine, full: Archive) -> None:
    path_of(FIRST).write_bytes(b"not gzip at all")
    loaded = load(engine, full, *NAMES)
    assert (loaded.bundles, loaded.read, list(loaded.damaged)) == (3, 4, [FIRST.name])


def test_a_loaded_run_ends_with_its_last_look(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    with engine.connect() as connection:
        columns = (runs.c.started_at, runs.c.finished_at, runs.c.cadence_seconds, runs.c.ok, runs.c.gone, runs.c.failed)
        found = [tuple(row) for row in connection.execute(sa.select(*columns).order_by(runs.c.name))]
    assert found == [
        (at(0), at(0), 1800, 2, 0, 0),
        (at(30), at(31), 1800, 1, 0, 1),
        (at(60), at(62), None, 1, 1, 0),
    ]


def test_looks_that_two_runs_share_count_for_both(engine: sa.Engine) -> None:
    given = archive()
    bundle(given, FIRST, a_look(an_endpoint()))
    bundle(given, SECOND, a_look(an_endpoint()), a_look(an_endpoint(), minute=40))
    assert load(engine, given, FIRST.name, SECOND.name).new == 2
    with engine.connect() as connection:
        assert connection.execute(sa.select(runs.c.ok).order_by(runs.c.name)).scalars().all() == [1, 2]


@pytest.mark.parametrize("order", [[FIRST, SECOND], [SECOND, FIRST]], ids=["in order", "reversed"])
def test_a_run_ends_with_its_last_look_whichever_run_proves_that(engine: sa.Engine, order: list[Run]) -> None:
    given = archive()
    bundle(given, FIRST, a_look(an_endpoint(), minute=40))
    bundle(given, SECOND, a_look(an_endpoint(), minute=35), a_look(an_endpoint(), minute=40))
    load(engine, given, *(run.name for run in order))
    with engine.connect() as connection:
        assert connection.execute(sa.select(runs.c.finished_at)).scalars().all() == [at(40), at(40)]


def test_the_archive_gives_the_counts_of_the_live_run(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    market = Market(models=5)
    with serving(Simulator(market, clock=lambda: at(0))) as base_url:
        collect(settings(database_url, base_url), [*market.paths(), "acme/unknown"], cadence_seconds=900)
    live = history(database_url)
    rebuilt = f"sqlite:///{tmp_path}/rebuilt.db"
    upgrade(rebuilt)
    with opened(rebuilt) as engine:
        load(engine, archive(), *pending_bundles(engine, archive()))
    assert history(rebuilt)["runs"] == live["runs"]


def test_a_damaged_bundle_is_told_until_it_is_mended(engine: sa.Engine, full: Archive) -> None:
    begin(engine, FIRST)
    damage(FIRST, 1)
    assert [len(load_missing_bundles(engine, full, at(600))) for _ in range(2)] == [1, 1]


def test_damage_that_came_later_takes_nothing_back(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, *NAMES)
    before = tables(engine)
    damage(FIRST, 1)
    assert load(engine, full, FIRST.name).damaged
    assert tables(engine) == before
