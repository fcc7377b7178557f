from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from endpoint_history.archive.bundles import Archive
from endpoint_history.archive.withdrawal_note import WithdrawalNote
from endpoint_history.errors import HistoryError
from tests.support.archived import BUNDLE, RUN, files_in, look, write


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return Archive("memory://user:pass@word@host/archive", spool=tmp_path / "spool")


def stored() -> list[str]:
    return sorted(MemoryFileSystem.store)


def test_a_remote_bundle_comes_under_its_name_when_all_of_it_is_there(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, before = MemoryFileSystem.mv, []

    def watched(files: MemoryFileSystem, start: str, end: str, **options: Any) -> None:
        before.extend(stored())
        move(files, start, end, **options)

    monkeypatch.setattr(MemoryFileSystem, "mv", watched)
    added = write(archive, look(1), look(2))
    assert [path.rpartition("/")[2] for path in before] == [f".{RUN.name}.jsonl.gz.tmp"]
    assert [path.endswith(f"archive/{BUNDLE}") for path in stored()] == [True]
    assert files_in(tmp_path / "spool") == []
    assert list(archive.load(RUN.name)) == added
    assert archive.bundles() == [RUN.name]
    assert archive.has(RUN.name)
    assert archive.size_bytes() == sum(len(file.getvalue()) for file in MemoryFileSystem.store.values())


def test_an_archive_without_folder_works_at_the_root(archive: Archive, tmp_path: Path) -> None:
    root = Archive("memory://", spool=tmp_path / "spool")
    added = write(root, look(1))
    assert stored() == [f"/{BUNDLE}"]
    assert (root.bundles(), list(root.load(RUN.name))) == ([RUN.name], added)


def test_an_object_store_is_not_asked_to_move(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "protocol", ("s3", "s3a"))
    monkeypatch.delattr(MemoryFileSystem, "_rm")
    added = write(archive, look(1))
    assert list(archive.load(RUN.name)) == added


def test_what_can_not_be_uploaded_waits_in_the_spool(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise RuntimeError("no way to user:pass@word@host\nfor now, pass@word")

    with monkeypatch.context() as away:
        for name in ("put_file", "exists"):
            away.setattr(MemoryFileSystem, name, unreachable)
        with pytest.raises(HistoryError, match=r"its lines wait in .*\.part: no way to \*\*\*@host for now, \*\*\*$"):
            write(archive, look(1))
        with pytest.raises(HistoryError, match="its lines wait in "):
            archive.recover()
        with pytest.raises(
            HistoryError, match=r"^can't look for .* in the archive memory://\*\*\*@host/archive: no way"
        ):
            archive.has(RUN.name)
    assert stored() == []
    assert [name.endswith(".part") for name in files_in(tmp_path / "spool")] == [True]
    assert archive.recover() == [RUN.name]
    assert [o.target.slug for o in archive.load(RUN.name)] == ["gpt-1"]
    assert files_in(tmp_path / "spool") == []


def test_an_upload_that_came_in_part_keeps_the_lines(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(files: MemoryFileSystem, start: str, end: str, **_: object) -> None:
        files.pipe_file(end, Path(start).read_bytes()[:50])

    with monkeypatch.context() as cut:
        cut.setattr(MemoryFileSystem, "put_file", half)
        with pytest.raises(HistoryError, match="did not arrive whole"):
            write(archive, look(1))
    assert len(files_in(tmp_path / "spool")) == 1
    with pytest.raises(HistoryError, match="differ: look at both and remove one"):
        archive.recover()
    MemoryFileSystem.store.clear()
    assert archive.recover() == [RUN.name]


def test_a_spool_of_another_archive_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    other = Archive("memory://elsewhere", spool=tmp_path / "spool")
    bundle = archive.open_bundle(RUN)
    bundle.__enter__().add(look(1))
    assert other.recover() == []
    bundle.__exit__(None, None, None)
    assert other.bundles() == []
    assert archive.bundles() == [RUN.name]


def test_a_remote_archive_that_can_not_be_listed_is_not_an_empty_one(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError("not with pass@word")

    monkeypatch.setattr(MemoryFileSystem, "ls", forbidden)
    with pytest.raises(HistoryError, match=r"^can't list .*: not with \*\*\*$"):
        archive.bundles()


def test_the_location_of_a_remote_archive_shows_no_credentials(archive: Archive) -> None:
    assert archive.location == "memory://***@host/archive"


def test_a_remote_run_is_withdrawn_by_one_file_and_restored_without_it(archive: Archive, tmp_path: Path) -> None:
    added = write(archive, look(1))
    note = WithdrawalNote(run=RUN.name, reason="wrong dates", withdrawn_at=look(1).observed_at)
    for _ in range(2):
        archive.withdraw(note)
        assert (archive.bundles(), archive.has(RUN.name), archive.holds(RUN.name)) == ([], False, True)
    assert (len(stored()), archive.notes(), files_in(tmp_path / "spool")) == (2, {RUN.name: note}, [])
    for _ in range(2):
        archive.restore(RUN.name)
        assert (archive.bundles(), list(archive.load(RUN.name))) == ([RUN.name], added)
    assert len(stored()) == 1


def test_a_note_that_cannot_be_written_withdraws_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    write(archive, look(1))
    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "put_file", _away)
        with pytest.raises(HistoryError, match=f"can't withdraw {RUN.name} in the archive .*: the storage is away"):
            archive.withdraw(WithdrawalNote(run=RUN.name, reason="wrong", withdrawn_at=None))
    assert (archive.bundles(), archive.withdrawn()) == ([RUN.name], set())


def _away(*_: object) -> None:
    raise OSError("the storage is away")
