"""Where an export goes: what is refused, and what lies elsewhere than in a local folder."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from endpoint_history.analysis.export import write as exporting
from endpoint_history.errors import ConfigurationError, HistoryError
from tests.support.exporting import MAY, content, counts, export_to, load
from tests.support.factories import a_look, an_endpoint

REMOTE = "memory://user:pass@word@host/export"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "export"


def stored() -> dict[str, bytes]:
    return {path.partition("/export/")[2]: file.getvalue() for path, file in MemoryFileSystem.store.items()}


def test_a_remote_export_is_that_of_a_folder_with_all_its_steps(memory: None, history_url: str, out: Path) -> None:
    export_to(REMOTE, history_url)
    export_to(out, history_url)
    assert stored() == content(out)
    load(history_url, [a_look(an_endpoint(prompt="0.000007"), minute=MAY + 15)])
    assert counts(export_to(REMOTE, history_url)) == counts(export_to(out, history_url))
    assert stored() == content(out)
    assert counts(export_to(REMOTE, history_url))[::2] == (0, 0)


def test_a_remote_export_that_was_cut_short_is_mended(
    memory: None, history_url: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, left = MemoryFileSystem.put_file, 5

    def fails(files: MemoryFileSystem, start: str, end: str, **options: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise ConnectionResetError("the line to pass@word is cut")
        put(files, start, end, **options)

    with monkeypatch.context() as away:
        away.setattr(MemoryFileSystem, "put_file", fails)
        with pytest.raises(HistoryError, match=r"^can't write .* to memory://\*\*\*@host/export: the line to \*\*\*"):
            export_to(REMOTE, history_url)
    assert not json.loads(stored()["manifest.json"])["complete"]
    export_to(REMOTE, history_url)
    export_to(out, history_url)
    assert stored() == content(out)


def test_a_remote_target_that_takes_nothing_is_refused(
    memory: None, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError("not with pass@word")

    monkeypatch.setattr(MemoryFileSystem, "put_file", forbidden)
    with pytest.raises(ConfigurationError, match=r"^can't write manifest.json to .*: not with \*\*\*$"):
        export_to(REMOTE, history_url)
    assert stored() == {}


@pytest.mark.parametrize("url", ["https://example.org/export", "moon://base", ""])
def test_a_url_that_nothing_can_be_written_to_is_refused(history_url: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^DEST"):
        export_to(url, history_url)


def test_a_file_in_the_way_is_refused(history_url: str, out: Path) -> None:
    out.write_text("mine")
    for target in (out, out / "below"):
        with pytest.raises(ConfigurationError, match=f"^can't write to {target}: "):
            export_to(target, history_url)
    assert out.read_text() == "mine"


def test_a_folder_that_is_no_export_stays_untouched(history_url: str, out: Path) -> None:
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"is not an export: it holds files, and no manifest.json$"):
        export_to(out, history_url)
    assert content(out) == {"sub/notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("{}", "it can't be read"),
        ("[1]", "it can't be read"),
        ('{"kind": "other"}', "it is not of an export"),
        ('{"kind": "endpoint-history export", "version": 99}', "another version of endpoint-history made it"),
        ('{"kind": "endpoint-history export", "version": 1, "format": "csv"', "it can't be read"),
    ],
)
def test_a_strange_manifest_is_refused(history_url: str, out: Path, manifest: str, reason: str) -> None:
    out.mkdir()
    (out / "manifest.json").write_text(manifest)
    with pytest.raises(ConfigurationError, match=f"is not an export: of its manifest.json, {reason}$"):
        export_to(out, history_url)
    assert content(out) == {"manifest.json": manifest.encode()}


def test_an_export_of_the_other_format_is_refused(history_url: str, out: Path) -> None:
    export_to(out, history_url, "csv")
    before = content(out)
    with pytest.raises(ConfigurationError, match=r"is an export as csv; name another folder for parquet$"):
        export_to(out, history_url)
    assert content(out) == before


def test_two_exports_to_one_folder_do_not_meet(history_url: str, out: Path) -> None:
    out.mkdir()
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(HistoryError, match=f"^another export to {out} is under way$"):
            export_to(out, history_url)
    finally:
        os.close(folder)
    assert counts(export_to(out, history_url))[0] > 0


def test_what_strangers_put_beside_an_export_stays(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    (out / "uptime_samples" / "README").write_text("mine")
    (out / "mine").mkdir()
    (out / "mine" / "data.parquet").write_bytes(b"mine")
    (out / "runs" / "month=1999-01").mkdir()
    (out / "runs" / "month=1999-01" / "data.parquet").write_bytes(b"left by a table that was")
    assert counts(export_to(out, history_url))[::2] == (0, 1)
    assert (out / "uptime_samples" / "README").exists()
    assert (out / "mine" / "data.parquet").exists()


def test_a_file_that_is_gone_or_cut_is_written_again(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    before = content(out)
    (out / "runs" / "month=2026-05" / "data.parquet").write_bytes(b"PAR1")
    (out / "models" / "data.parquet").unlink()
    assert counts(export_to(out, history_url))[::2] == (2, 0)
    assert content(out) == before


def test_a_full_disk_is_told_and_the_export_stands(
    history_url: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    export_to(out, history_url)
    before = content(out)
    monkeypatch.setattr(exporting, "_writer", lambda _: type("full", (), {"write": staticmethod(full)}))
    with pytest.raises(HistoryError, match=r"^can't make a file in .*: No space left on device$"):
        export_to(out, history_url)
    assert content(out) == before
