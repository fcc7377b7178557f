from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import resource
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from endpoint_history.archive import spool as part
from endpoint_history.archive.bundles import Archive, ArchiveDamage
from endpoint_history.errors import ConfigurationError, HistoryError
from models.observation import Observation, Run
from tests.support.archived import BUNDLE, PART, RUN, files_in, look, write

LATER = Run("20270101T000000Z-backfill-wayback-00ff", "backfill", "wayback")
NOT_NAMES = [
    "",
    "x",
    "../../etc/passwd",
    f"../{RUN.name}",
    f"{RUN.name}/x",
    f"{RUN.name}\n",
    "20261323T201500Z-collect-1",
]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@contextmanager
def disk_with_room_for(file_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond this: the operating system then writes what fits and fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def noise(size: int) -> bytes:
    """Text that gzip can't make much smaller."""
    return random.Random(size).randbytes(size // 2).hex().encode()


def test_a_run_leaves_one_bundle_with_a_line_for_each_observation(archive: Archive, folder: Path) -> None:
    given = [look(1), look(2, body=b"\xff"), look(3, body=None, status=None, error="timed out")]
    added = write(archive, *given)
    assert [o.archive_line for o in added] == [1, 2, 3]
    assert files_in(folder) == [BUNDLE]
    assert list(archive.load(RUN.name)) == added
    lines = gzip.decompress((folder / BUNDLE).read_bytes()).splitlines()
    assert [json.loads(line)["slug"] for line in lines] == ["gpt-1", "gpt-2", "gpt-3"]


def test_equal_runs_make_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(Archive(str(tmp_path / name)), look(1), look(2))
    assert (tmp_path / "a" / BUNDLE).read_bytes() == (tmp_path / "b" / BUNDLE).read_bytes()


def test_a_run_that_saw_nothing_leaves_no_file(archive: Archive, folder: Path) -> None:
    assert write(archive) == []
    assert files_in(folder) == []
    assert archive.bundles() == []


def test_what_was_seen_before_an_error_is_kept(archive: Archive) -> None:
    bundle = archive.open_bundle(RUN)
    bundle.__enter__().add(look(1))
    interrupt = KeyboardInterrupt()
    assert not bundle.__exit__(KeyboardInterrupt, interrupt, None)
    assert [o.target.slug for o in archive.load(RUN.name)] == ["gpt-1"]


def test_each_line_is_with_the_operating_system_before_the_next(archive: Archive, folder: Path) -> None:
    with archive.open_bundle(RUN) as bundle:
        for count in range(1, 4):
            bundle.add(look(count))
            assert (folder / PART).read_bytes().count(b"\n") == count
        assert archive.bundles() == []


def test_threads_can_add_to_one_bundle(archive: Archive) -> None:
    added: list[Observation] = []
    with archive.open_bundle(RUN) as bundle:
        threads = [
            threading.Thread(target=lambda own=n: added.extend(bundle.add(look(own * 50 + i)) for i in range(50)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(added, key=lambda o: o.archive_line or 0) == list(archive.load(RUN.name))


def test_an_observation_of_another_run_is_refused(archive: Archive) -> None:
    with pytest.raises(ValueError, match="for the bundle of 2026"), archive.open_bundle(RUN) as bundle:
        bundle.add(look(run=LATER))


def test_nothing_can_be_added_after_the_end(archive: Archive) -> None:
    with archive.open_bundle(RUN) as bundle:
        bundle.add(look(1))
        bundle.sync()
    with pytest.raises(HistoryError, match=r"can't write .*: Bad file descriptor"):
        bundle.add(look(2))


def test_a_body_too_long_for_a_line_stops_nobody(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "MAX_LINE_BYTES", 1000)
    added = write(archive, look(1, body=b"x" * 2000), look(2))
    assert (added[0].body, added[0].error) == (None, "the body of 2000 bytes is too long for the archive")
    assert list(archive.load(RUN.name)) == added


def test_bundles_are_listed_by_time_and_foreign_files_are_not(archive: Archive, folder: Path) -> None:
    write(archive, look(run=LATER), run=LATER)
    write(archive, look(1))
    for foreign in ("README", "2026/11/notes.jsonl.gz", f"2026/12/{RUN.name}.jsonl.gz", "2026/11/x/y.jsonl.gz", "2025"):
        (folder / foreign).parent.mkdir(parents=True, exist_ok=True)
        (folder / foreign).write_text("not ours")
    assert archive.bundles() == [RUN.name, LATER.name]
    bundles = (folder / BUNDLE, folder / "2027/01" / f"{LATER.name}.jsonl.gz")
    assert archive.size_bytes() == sum(path.stat().st_size for path in bundles)


def test_an_archive_that_is_not_there_yet_is_empty(archive: Archive, folder: Path) -> None:
    assert (archive.bundles(), archive.recover(), archive.size_bytes()) == ([], [], 0)
    assert not folder.exists()


def test_a_bundle_is_never_rewritten(archive: Archive, folder: Path) -> None:
    write(archive, look(1))
    before = (folder / BUNDLE).read_bytes()
    with pytest.raises(HistoryError, match="is there already, and none is ever rewritten"):
        write(archive, look(2))
    assert (folder / BUNDLE).read_bytes() == before
    assert files_in(folder) == [BUNDLE]


def test_two_runs_of_one_name_can_not_mix(archive: Archive) -> None:
    with archive.open_bundle(RUN) as bundle:
        with pytest.raises(HistoryError, match=r"can't write the archive bundle .*: File exists"):
            write(archive, look(2))
        bundle.add(look(1))
    assert [o.target.slug for o in archive.load(RUN.name)] == ["gpt-1"]


def test_a_new_part_taken_for_one_left_behind_is_made_again(
    archive: Archive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the part and locking it, a recovery elsewhere may find it empty, and remove it."""
    lock, meanwhile = fcntl.flock, [archive.recover]

    def after_a_recovery(descriptor: int, operation: int) -> None:
        if meanwhile:
            meanwhile.pop()()
            assert not (folder / PART).exists()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_recovery)
    added = write(archive, look(1))
    assert list(archive.load(RUN.name)) == added


@pytest.mark.parametrize("name", NOT_NAMES)
def test_no_name_leads_out_of_the_archive(archive: Archive, folder: Path, name: str) -> None:
    assert not archive.has(name)
    with pytest.raises(HistoryError, match="is not the name of a run"):
        archive.load(name)
    with pytest.raises(HistoryError, match="is not the name of a run"):
        write(archive, run=Run(name, "collect", "live"))
    assert not folder.exists()


def test_a_bundle_that_is_not_there_is_told_from_a_damaged_one(archive: Archive, folder: Path) -> None:
    assert not archive.has(RUN.name)
    with pytest.raises(HistoryError, match=f"can't read {folder / BUNDLE}: No such file or directory") as caught:
        list(archive.load(RUN.name))
    assert not isinstance(caught.value, ArchiveDamage)


def test_a_damaged_bundle_is_named_with_its_file(archive: Archive, folder: Path) -> None:
    write(archive, look(1), look(2))
    assert archive.has(RUN.name)
    (folder / BUNDLE).write_bytes((folder / BUNDLE).read_bytes()[:-1])
    loaded = archive.load(RUN.name)
    assert [next(loaded).archive_line, next(loaded).archive_line] == [1, 2]
    with pytest.raises(ArchiveDamage, match=f"^{folder / BUNDLE}, line 3 at byte .*: the file is cut off here$"):
        next(loaded)


def test_files_and_folders_are_closed_to_others(archive: Archive, folder: Path) -> None:
    before = os.umask(0)
    try:
        with archive.open_bundle(RUN) as bundle:
            bundle.add(look(1))
            assert stat.S_IMODE((folder / PART).stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / BUNDLE).stat().st_mode) == 0o600
    folders = (folder, folder / "2026", folder / "2026/11")
    assert [stat.S_IMODE(path.stat().st_mode) for path in folders] == [0o700] * 3


def test_a_full_disk_costs_only_the_line_that_did_not_fit(archive: Archive, folder: Path) -> None:
    with archive.open_bundle(RUN) as bundle, disk_with_room_for(5000):
        bundle.add(look(1, body=noise(2000)))
        with pytest.raises(HistoryError, match=f"^can't write {folder / PART}: File too large$"):
            bundle.add(look(2, body=noise(4000)))
        assert (folder / PART).stat().st_size == 5000
        assert bundle.add(look(3)).archive_line == 2
    assert [(o.target.slug, o.archive_line) for o in archive.load(RUN.name)] == [("gpt-1", 1), ("gpt-3", 2)]


def test_a_disk_too_full_to_finish_a_bundle_leaves_its_lines_for_later(archive: Archive, folder: Path) -> None:
    with disk_with_room_for(2**20):
        bundle = archive.open_bundle(RUN)
        added = bundle.__enter__().add(look(1, body=noise(20_000)))
    lines_wait = f"can't finish the bundle {RUN.name}, its lines wait in {folder / PART}: File too large"
    with disk_with_room_for(5000), pytest.raises(HistoryError, match=f"^{lines_wait}$"):
        bundle.__exit__(None, None, None)
    assert files_in(folder) == [PART]
    with disk_with_room_for(5000), pytest.raises(HistoryError, match=f"^{lines_wait}$"):
        archive.recover()
    assert files_in(folder) == [PART]
    assert archive.recover() == [RUN.name]
    assert list(archive.load(RUN.name)) == [added]


def test_a_disk_too_full_does_not_hide_what_ended_the_run(archive: Archive, folder: Path) -> None:
    bundle = archive.open_bundle(RUN)
    bundle.__enter__().add(look(1, body=noise(20_000)))
    interrupt = KeyboardInterrupt()
    with disk_with_room_for(5000):
        assert not bundle.__exit__(KeyboardInterrupt, interrupt, None)
    assert interrupt.__notes__[0].startswith(f"can't finish the bundle {RUN.name}, its lines wait in {folder / PART}")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere", "/dev/full"])
def test_a_place_that_takes_no_folder_is_told_in_one_line(tmp_path: Path, place: str) -> None:
    if place.startswith("/proc") and sys.platform != "linux":
        pytest.skip("/proc is Linux")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HistoryError, match=f"^can't write the archive bundle .*{place}") as caught:
        write(Archive(str(tmp_path / place)), look(1))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_that_can_not_be_listed_is_not_an_empty_archive(archive: Archive, folder: Path) -> None:
    folder.mkdir()
    (folder / "2026").symlink_to("2026")
    with pytest.raises(HistoryError, match=r"can't list .*/2026: Too many levels of symbolic links"):
        archive.bundles()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "ARCHIVE_URL: nothing can be written to ''"),
        ("https://example.org/archive", "ARCHIVE_URL: nothing can be written to 'https://example.org/archive'"),
        ("moon://base", "ARCHIVE_URL moon://base: Protocol not known: moon"),
        ("s3://key:sec@ret@bucket/x", r"ARCHIVE_URL s3://\*\*\*@bucket/x: Install s3fs to access S3"),
    ],
)
def test_a_url_that_can_be_no_archive_is_a_bad_configuration(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigurationError, match=f"^{why}$"):
        Archive(url)


def test_a_local_archive_is_shown_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for url in ("a@b/x", "~/a@b/x", f"file://{tmp_path}/a@b/x/"):
        assert Archive(url).location == f"{tmp_path}/a@b/x"
