"""A part of the archive, then all of it; damaged, copied from elsewhere, tried before; on both databases."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fsspec.implementations.memory import MemoryFileSystem

from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.replay import replay, try_replay
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading import bundles as loading
from endpoint_history.loading.bundles import interrupted_bundles, load_missing_bundles, pending_bundles
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.store.dimensions import run_ids
from endpoint_history.targets import TargetList
from models.observation import Run
from models.tables import observations
from tests.support.archived import files_in
from tests.support.collecting import archive
from tests.support.factories import a_look, an_endpoint, at
from tests.support.three_runs import (
    FIRST,
    OTHER,
    RUNS,
    SECOND,
    THIRD,
    bundle,
    damage,
    emptied,
    full_archive,
    path_of,
    tables,
)

PARTS = {
    "since": Wanted(since=at(31)),
    "until": Wanted(until=at(31)),
    "between": Wanted(since=at(30), until=at(31)),
    "only": Wanted(targets=TargetList.given([OTHER])),
    "nothing": Wanted(since=at(1000)),
}


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


@pytest.fixture
def full() -> Archive:
    return full_archive()


def load(
    engine: sa.Engine, given: Archive, wanted: Wanted = PARTS["nothing"], *, everything: bool = False
) -> BackfillResult:
    return replay(engine, given, wanted, everything=everything)


def load_all(engine: sa.Engine, given: Archive, *, everything: bool = False) -> BackfillResult:
    return load(engine, given, Wanted(), everything=everything)


def attempt(
    engine: sa.Engine, given: Archive, wanted: Wanted | None = None, *, everything: bool = False
) -> BackfillResult:
    return try_replay(engine, given, wanted or Wanted(), everything=everything, at=at(1000))


def counts(imported: BackfillResult) -> tuple[int, ...]:
    """New, known, unwanted, refused."""
    return imported.new, imported.known, imported.unwanted, imported.refusals


def whole(engine: sa.Engine, given: Archive) -> dict[str, list[str]]:
    """What the tables hold when all is loaded at once; they are empty again then."""
    load_all(engine, given)
    held = tables(engine)
    emptied(engine)
    return held


def test_all_is_loaded_and_told(engine: sa.Engine, full: Archive) -> None:
    imported = load_all(engine, full)
    assert (imported.bundles, counts(imported), imported.run, imported.conflicts) == (3, (6, 0, 0, 0), None, 0)
    held = tables(engine)
    assert imported.changed == len(held["pricing_snapshots"]) + len(held["listing_changes"])
    assert pending_bundles(engine, full) == []


def test_what_is_held_whole_is_not_read_again(engine: sa.Engine, full: Archive) -> None:
    load_all(engine, full)
    before = tables(engine)
    again = load_all(engine, full)
    assert (again.bundles, counts(again), again.exit_code) == (0, (0, 0, 0, 0), 0)
    assert tables(engine) == before


def test_all_again_is_all_known(engine: sa.Engine, full: Archive) -> None:
    load_all(engine, full)
    before = tables(engine)
    again = load_all(engine, full, everything=True)
    assert (again.bundles, counts(again), again.changed) == (3, (0, 6, 0, 0), 0)
    assert tables(engine) == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [("since", (3, 0, 3, 0)), ("until", (3, 0, 3, 0)), ("between", (1, 0, 5, 0)), ("only", (3, 0, 3, 0))],
)
def test_a_part_is_what_was_asked_for(engine: sa.Engine, full: Archive, name: str, expected: tuple[int, ...]) -> None:
    imported = load(engine, full, PARTS[name])
    assert counts(imported) == expected
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(observations)).scalar() == expected[0]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_and_then_all_ends_in_the_same_tables(engine: sa.Engine, full: Archive, name: str) -> None:
    expected = whole(engine, full)
    load(engine, full, PARTS[name])
    rest = load_all(engine, full)
    assert rest.unwanted == 0
    assert tables(engine) == expected
    assert pending_bundles(engine, full) == []


def test_parts_in_any_order_end_in_the_same_tables(engine: sa.Engine, full: Archive) -> None:
    expected = whole(engine, full)
    for order in itertools.islice(itertools.permutations(PARTS), 0, None, 25):
        for name in order:
            load(engine, full, PARTS[name])
        load_all(engine, full)
        assert tables(engine) == expected
        emptied(engine)


def test_a_run_of_which_all_was_wanted_is_held_whole(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, PARTS["since"])
    assert pending_bundles(engine, full) == [FIRST.name, SECOND.name]


def test_a_part_twice_is_the_same(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, PARTS["only"])
    before = tables(engine)
    assert counts(load(engine, full, PARTS["only"])) == (0, 3, 3, 0)
    assert tables(engine) == before


def test_what_nobody_wanted_is_not_taken_up_by_a_collect(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, PARTS["only"])
    before = tables(engine)
    assert (interrupted_bundles(engine, full), load_missing_bundles(engine, full, at(600))) == ([], [])
    assert tables(engine) == before


def test_what_a_crash_left_is_loaded_whole_whatever_part_is_wanted(engine: sa.Engine, full: Archive) -> None:
    with writing(engine) as connection:
        run_ids(connection, [SECOND])
    assert counts(load(engine, full, PARTS["nothing"])) == (2, 0, 4, 0)
    assert pending_bundles(engine, full) == [FIRST.name, THIRD.name]


def test_a_load_killed_within_a_bundle_goes_on_and_ends_the_same(
    engine: sa.Engine, full: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if len(tables(engine)["observations"]) == 3:
            raise KilledError

    expected = whole(engine, full)
    monkeypatch.setattr(loading, "_BATCH", 1)
    with pytest.raises(KilledError):
        replay(engine, full, Wanted(), everything=False, progress=kill)
    assert interrupted_bundles(engine, full) == [SECOND.name]
    assert counts(load_all(engine, full)) == (3, 1, 0, 0)
    assert tables(engine) == expected


def test_the_rest_of_a_damaged_bundle_is_used_and_the_damage_is_named(engine: sa.Engine, full: Archive) -> None:
    damage(FIRST, 2)
    imported = load_all(engine, full)
    assert (counts(imported), imported.exit_code) == ((5, 0, 0, 1), 3)
    (refused,) = imported.refused.examples
    assert refused.origin == str(path_of(FIRST))
    offset = gzip.decompress(path_of(FIRST).read_bytes()).index(b"\n") + 1
    assert refused.reason == f"line 2 at byte {offset}: its checksum is wrong"
    assert pending_bundles(engine, full) == [FIRST.name]


def test_the_damage_of_a_part_is_named_too(engine: sa.Engine, full: Archive) -> None:
    damage(FIRST, 1)
    assert counts(load(engine, full, PARTS["since"])) == (3, 0, 2, 1)
    assert [refused.origin for refused in attempt(engine, full, PARTS["since"]).refused.examples] == [
        str(path_of(FIRST))
    ]


def test_a_mended_bundle_ends_in_the_same_tables(engine: sa.Engine, full: Archive) -> None:
    expected = whole(engine, full)
    sound = path_of(FIRST).read_bytes()
    damage(FIRST, 1)
    load(engine, full, PARTS["only"])
    load_all(engine, full)
    path_of(FIRST).write_bytes(sound)
    assert counts(load_all(engine, full)) == (1, 1, 0, 0)
    assert tables(engine) == expected


def test_a_bundle_that_cannot_be_opened_stops_no_other(engine: sa.Engine, full: Archive) -> None:
    path = path_of(SECOND)
    path.unlink()
    path.mkdir()
    imported = load_all(engine, full)
    assert (counts(imported), imported.exit_code) == ((4, 0, 0, 1), 3)
    assert str(imported.refused.examples[0]) == f"{path}: it can't be read: Is a directory"


def test_an_archive_that_goes_away_ends_the_load(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    given = Archive("memory://me:sesame@host/archive", spool=Path("spool"))
    for run, looks in RUNS.items():
        bundle(given, run, *looks)

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no way to me:sesame@host")

    with monkeypatch.context() as away:
        away.setattr(MemoryFileSystem, "_open", unreachable)
        away.setattr(MemoryFileSystem, "exists", unreachable)
        with pytest.raises(HistoryError, match=f"can't look for {FIRST.name} in .*: no way to ..."):
            load_all(engine, given)
    assert counts(load_all(engine, given)) == (6, 0, 0, 0)


def test_where_nothing_can_be_read_nothing_could_be_done(engine: sa.Engine) -> None:
    bundle(archive(), FIRST, *RUNS[FIRST])
    path_of(FIRST).write_bytes(b"not gzip at all")
    assert load_all(engine, archive()).exit_code == 1


def test_an_archive_without_a_bundle_is_the_wrong_one(engine: sa.Engine) -> None:
    for work in (load_all, attempt, rebuild, verify):
        with pytest.raises(ConfigurationError, match="there is no bundle in the archive /"):
            work(engine, archive())


def test_looks_that_contradict_each_other_are_counted(engine: sa.Engine, full: Archive) -> None:
    load_all(engine, full)
    rival = Run("20260516T090500Z-collect-dddddd", "collect", "live")
    bundle(full, rival, a_look(an_endpoint(prompt="0.7")), a_look(an_endpoint(), minute=5))
    imported = load_all(engine, full)
    assert (imported.new, imported.conflicts) == (2, 1)


def test_a_dry_run_writes_nothing(engine: sa.Engine, full: Archive, tmp_path: Path) -> None:
    load(engine, full, PARTS["until"])
    engine.dispose()
    before, rows = kept(tmp_path), tables(engine)
    imported = attempt(engine, full)
    engine.dispose()
    assert (imported.is_dry, imported.bundles, counts(imported)) == (True, 2, (3, 1, 0, 0))
    assert kept(tmp_path) == before
    assert tables(engine) == rows


def kept(folder: Path) -> dict[str, bytes]:
    """All files with their content but the shared memory of SQLite, which readers write too."""
    return {name: (folder / name).read_bytes() for name in files_in(folder) if not name.endswith(("-shm", "-wal"))}


def test_a_dry_run_leaves_the_lines_of_a_killed_run_where_they_are(engine: sa.Engine, full: Archive) -> None:
    part = Path("archive/2026/05") / f".{FIRST.name.replace('aaaaaa', 'eeeeee')}.jsonl.part"
    part.write_bytes(gzip.decompress(path_of(FIRST).read_bytes()).replace(b"aaaaaa", b"eeeeee"))
    attempt(engine, full)
    assert part.exists()


def test_a_dry_run_shows_the_first_changes(engine: sa.Engine, full: Archive) -> None:
    load(engine, full, PARTS["until"])
    imported = attempt(engine, full)
    assert imported.summary
    assert {(move.endpoint.model, move.key) for move in imported.summary.price_moves} == {("acme/swift-1", "prompt")}
    assert [(kind, endpoint.route) for kind, endpoint in imported.summary.listing_changes] == [
        ("gone", "north/fp8"),
        ("returned", "south"),
    ]
    assert imported.changed == load_all(engine, full).changed


def test_a_dry_run_of_a_part_counts_that_part(engine: sa.Engine, full: Archive) -> None:
    assert counts(attempt(engine, full, PARTS["only"])) == (3, 0, 3, 0)
    assert counts(attempt(engine, full, PARTS["nothing"])) == (0, 0, 6, 0)


def test_a_dry_run_knows_failed_and_gone_looks(engine: sa.Engine, full: Archive) -> None:
    load_all(engine, full)
    assert counts(attempt(engine, full, everything=True)) == (0, 6, 0, 0)


def test_progress_counts_what_the_bundles_take_up_to_its_end(engine: sa.Engine, full: Archive) -> None:
    told: list[tuple[int, int]] = []
    replay(engine, full, Wanted(), everything=False, progress=lambda *place: told.append(place))
    size = -(-sum(path_of(run).stat().st_size for run in RUNS) // 1000)
    assert (len(told), told[-1]) == (6, (size, size))
    assert told == sorted(told)
    assert told[0][0] < size


def test_bundles_copied_from_elsewhere_are_loaded_and_hold_in_a_rebuild(engine: sa.Engine, full: Archive) -> None:
    load_all(engine, full)
    elsewhere = Archive("elsewhere")
    theirs = Run("20260516T085900Z-collect-ffffff", "collect", "live", 3600)
    # They saw one look as we did, as the same answer came out of a cache, and one we did not.
    bundle(elsewhere, theirs, RUNS[FIRST][0], a_look(an_endpoint(prompt="0.3"), minute=15))
    (copied,) = Path("elsewhere").rglob("*.gz")
    copied.rename(path_of(FIRST).parent / copied.name)
    assert counts(load_all(engine, full)) == (1, 1, 0, 0)
    before = tables(engine)
    assert verify(engine, full)[1] == []
    rebuild(engine, full)
    assert tables(engine) == before
