"""The database is derived: built anew from the archive it is the same, and what was tampered with is found."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.database.shadow_tables import shadow_tables
from endpoint_history.errors import HistoryError
from endpoint_history.loading import rebuild as rebuild_module
from endpoint_history.loading.bundles import interrupted_bundles
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.store.dimensions import run_ids
from models.observation import Run
from models.tables import metadata, pricing_snapshots, runs, uptime_samples
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.reference.store import visible
from tests.support.collecting import archive, collect, history, settings
from tests.support.factories import a_look, an_endpoint, at

DAY = 24 * 60
MARKET = Market(models=8)


@pytest.fixture
def collected(database_url: str) -> str:
    """A database and an archive of three days; yields the database's URL."""
    upgrade(database_url)
    clock = [at(0)]
    with serving(Simulator(MARKET, clock=lambda: clock[0])) as base_url:
        for day in range(3):
            clock[0] = at(day * DAY)
            collect(settings(database_url, base_url), [*MARKET.paths(), "acme/unknown"], day * DAY)
    return database_url


def left_over(url: str) -> list[str]:
    with opened(url) as engine:
        files = [str(path) for path in Path().rglob("*rebuilt*")]
        return files + [name for name in sa.inspect(engine).get_schema_names() if name.startswith("rebuilt")]


def test_what_is_built_anew_is_what_was_there(collected: str) -> None:
    before = history(collected)
    with opened(collected) as engine:
        loaded = rebuild(engine, archive())
    assert (loaded.bundles, loaded.read) == (3, 3 * (len(MARKET.paths()) + 1))
    assert history(collected) == before
    assert left_over(collected) == []


def test_nothing_differs_after_collecting(collected: str) -> None:
    with opened(collected) as engine:
        assert verify(engine, archive())[1] == []
    assert left_over(collected) == []


def test_a_price_that_somebody_changed_is_found_and_mended(collected: str) -> None:
    before = history(collected)
    with opened(collected) as engine:
        first = sa.select(sa.func.min(pricing_snapshots.c.endpoint_id)).scalar_subquery()
        with writing(engine) as connection:
            change = pricing_snapshots.update().where(pricing_snapshots.c.endpoint_id == first)
            connection.execute(change.values(prompt_usd=pricing_snapshots.c.completion_usd))
        (difference,) = verify(engine, archive())[1]
        assert (difference.table, difference.only_database > 0) == ("pricing_snapshots", True)
        assert difference.only_database == difference.only_archive
        told = r"\S+ \S+ \S+ \d+ .*\+00:00: pricing_snapshots_prompt_usd [\d.]+ here, [\d.]+ by the archive"
        assert re.fullmatch(told, difference.examples[0])
        rebuild(engine, archive())
    assert history(collected) == before


def test_a_row_that_somebody_removed_is_found(collected: str) -> None:
    with opened(collected) as engine:
        with writing(engine) as connection:
            last = sa.select(sa.func.max(uptime_samples.c.observed_at)).scalar_subquery()
            connection.execute(uptime_samples.delete().where(uptime_samples.c.observed_at == last))
        (difference,) = verify(engine, archive())[1]
    assert (difference.table, difference.only_database) == ("uptime_samples", 0)
    assert difference.only_archive > 0
    assert difference.examples[0].endswith(": only by the archive")


def test_ids_go_on_after_a_rebuild(collected: str) -> None:
    with opened(collected) as engine:
        rebuild(engine, archive())
    with serving(Simulator(MARKET, clock=lambda: at(3 * DAY))) as base_url:
        assert collect(settings(collected, base_url), MARKET.paths(), 3 * DAY).exit_code == 0
    with opened(collected) as engine:
        assert verify(engine, archive())[1] == []


def test_a_run_that_the_archive_lacks_keeps_all_as_it_was(collected: str) -> None:
    before = history(collected)
    lost = archive().bundles()[1]
    next(Path("archive").rglob(f"{lost}*")).unlink()
    with opened(collected) as engine, pytest.raises(HistoryError, match=f"nothing was changed: the run {lost} is in"):
        rebuild(engine, archive())
    assert history(collected) == before
    assert left_over(collected) == []


def test_a_run_that_the_archive_lacks_is_named_and_the_good_copy_is_not_blamed(collected: str) -> None:
    lost = archive().bundles()[1]
    next(Path("archive").rglob(f"{lost}*")).unlink()
    with opened(collected) as engine:
        loaded, differences, _ = verify(engine, archive())
    reason = "it is not in the archive, but the database holds observations of this run"
    assert ({name: found.reason for name, found in loaded.damaged.items()}, differences) == ({lost: reason}, [])


@pytest.mark.slow_unless(database_url=["sqlite"])
@pytest.mark.parametrize("note", ["", "{", '{"run": "another", "reason": "x", "withdrawn_at": null}'])
def test_a_run_that_only_a_note_withdraws_is_named_and_the_database_is_not_blamed(collected: str, note: str) -> None:
    name = archive().bundles()[1]
    bundle = next(Path("archive").rglob(f"{name}*"))
    bundle.with_name(f"{name}.withdrawn.json").write_text(note)
    with opened(collected) as engine:
        loaded, differences, _ = verify(engine, archive())
    assert (list(loaded.damaged), differences) == ([name], [])
    assert f"endpoint-history runs restore {name}" in loaded.damaged[name].reason


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_lines(path: Path) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))


def forbid(path: Path) -> None:
    """Make it unreadable, also for root."""
    path.unlink()
    path.symlink_to(path.name)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (cut_off, r"line \d+ at byte \d+: the file is cut off here"),
    "a flipped bit": (flip, r"line \d+ at byte \d+: "),
    "fewer lines": (lose_lines, "it holds fewer observations than the database has of this run"),
    "empty": (lambda path: path.write_bytes(b""), "line 1 at byte 0: the file is cut off here"),
    "no line": (lambda path: path.write_bytes(gzip.compress(b"")), "it holds no line"),
    "no gzip": (lambda path: path.write_bytes(b"{}\n"), "line 1 at byte 0: the compression is damaged"),
    "unreadable": (forbid, "it can't be read: Too many levels of symbolic links"),
}


@pytest.mark.slow_unless(database_url=["sqlite"], kind=["cut off", "fewer lines"])
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_bundle_is_named_and_nothing_is_overwritten(collected: str, kind: str) -> None:
    before, name = history(collected), archive().bundles()[1]
    damage, told = DAMAGES[kind]
    damage(next(Path("archive").rglob(f"{name}*")))
    with opened(collected) as engine:
        loaded, differences, _ = verify(engine, archive())
        assert (list(loaded.damaged), differences) == ([name], [])
        assert re.match(told, loaded.damaged[name].reason)
        with pytest.raises(HistoryError, match=rf"^nothing was changed.*{name}.*({told})"):
            rebuild(engine, archive())
    assert history(collected) == before


def test_every_damaged_and_missing_bundle_is_named(collected: str) -> None:
    first, second, third = archive().bundles()
    cut_off(next(Path("archive").rglob(f"{first}*")))
    flip(next(Path("archive").rglob(f"{second}*")))
    next(Path("archive").rglob(f"{third}*")).unlink()
    with opened(collected) as engine:
        assert sorted(verify(engine, archive())[0].damaged) == [first, second, third]


def test_a_run_that_goes_on_beside_is_not_waited_for_forever(collected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_module, "_PATIENCE_SECONDS", -1)
    with opened(collected) as engine:
        with writing(engine) as connection:
            connection.execute(runs.update().values(finished_at=None))
        next(Path("archive").rglob(f"{archive().bundles()[1]}*")).unlink()
        with pytest.raises(HistoryError, match="which is under way, or was cut off on another machine"):
            rebuild(engine, archive())
    assert left_over(collected) == []


def test_a_rebuild_waits_for_the_run_beside_it(collected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_module, "_PAUSE_SECONDS", 0.05)
    at_the_end, go_on = threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        if done == total:
            at_the_end.set()
            assert go_on.wait(30)

    def run() -> None:
        with serving(Simulator(MARKET, clock=lambda: at(3 * DAY))) as base_url:
            targets = [*MARKET.paths(), *(f"acme/m{n}" for n in range(70))]
            collect(settings(collected, base_url), targets, 3 * DAY, progress=hold)

    collecting = threading.Thread(target=run)
    collecting.start()
    assert at_the_end.wait(30)
    with opened(collected) as engine:
        rebuilding = threading.Thread(target=rebuild, args=(engine, archive()))
        rebuilding.start()
        go_on.set()
        collecting.join()
        rebuilding.join()
        assert verify(engine, archive())[1] == []
        with engine.connect() as connection:
            assert len(visible(connection)["runs"]) == 4


def test_every_table_is_known() -> None:
    assert len({table.name for table in metadata.sorted_tables}) == len(metadata.sorted_tables) == 21


def test_a_collect_that_has_stored_nothing_yet_keeps_its_run(collected: str) -> None:
    begun = Run("20260601T000000Z-collect-aaaaaa", "collect", "live", 1800)
    with opened(collected) as engine:
        with writing(engine) as connection:
            run_ids(connection, [begun])
        rebuild(engine, archive())
        with engine.connect() as connection:
            query = sa.select(runs.c.cadence_seconds, runs.c.finished_at).where(runs.c.name == begun.name)
            assert connection.execute(query).one() == (1800, None)
        assert verify(engine, archive())[1] == []
        with archive().open_bundle(begun) as bundle:
            bundle.add(a_look(an_endpoint(), run=begun))
        assert interrupted_bundles(engine, archive()) == [begun.name]


def test_what_a_killed_rebuild_left_is_removed_by_the_next(collected: str) -> None:
    with opened(collected) as engine:
        if engine.dialect.name == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{engine.url.database}.rebuilt_0a0b0c0d{suffix}").touch()
        else:
            with engine.begin() as connection:
                connection.execute(sa.schema.CreateSchema("rebuilt_0a0b0c0d"))
        with shadow_tables(engine) as other:
            assert len(left_over(collected)) >= 1
            assert "rebuilt_0a0b0c0d" not in " ".join(left_over(collected))
            with shadow_tables(engine), other.engine.connect() as connection:
                assert connection.execute(sa.select(sa.func.count()).select_from(runs)).scalar_one() == 0
    assert left_over(collected) == []
