"""Real processes, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from endpoint_history.archive.bundle_format import encode_line
from endpoint_history.archive.bundles import Archive
from endpoint_history.errors import HistoryError
from tests.support.archived import BUNDLE, PART, RUN, files_in, look, write

ROOT = Path(__file__).parents[2]
TEMPORARY = f"2026/11/.{RUN.name}.jsonl.gz.tmp"

COLLECTOR = """
import sys
from endpoint_history.archive.bundles import Archive
from tests.support.archived import RUN, look

with Archive(sys.argv[1]).open_bundle(RUN) as bundle:
    for number in range(1, 4):
        bundle.add(look(number))
    print("added", flush=True)
    if sys.stdin.readline():
        bundle.add(look(4))
"""

# Dies just before a function is called for the n-th time.
RECOVERER = """
import os, signal, sys, zlib
from pathlib import Path
from endpoint_history.archive.bundles import Archive

owner = {"os": os, "zlib": zlib, "Path": Path}[sys.argv[2]]
name, left = sys.argv[3], int(sys.argv[4])
step = getattr(owner, name)

def deadly(*args, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **options)

setattr(owner, name, deadly)
Archive(sys.argv[1]).recover()
"""


@contextmanager
def collector(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has added three lines and waits."""
    with start(COLLECTOR, str(folder)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "added\n"
        try:
            yield process
        finally:
            process.kill()


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def archive(folder: Path) -> Archive:
    return Archive(str(folder))


def slugs(archive: Archive) -> list[str]:
    return [observation.target.slug for observation in archive.load(RUN.name)]


def left_behind(folder: Path, name: str = RUN.name, content: bytes | None = None) -> Path:
    """The part of a run that was killed after three lines."""
    part = folder / PART.replace(RUN.name, name)
    part.parent.mkdir(parents=True, exist_ok=True)
    run = replace(RUN, name=name)
    lines = b"".join(encode_line(look(number, run=run)) for number in range(1, 4))
    part.write_bytes(lines if content is None else content)
    return part


def test_a_killed_run_loses_nothing_that_was_added(archive: Archive, folder: Path) -> None:
    with collector(folder) as process:
        process.kill()
    assert archive.bundles() == []
    assert archive.recover() == [RUN.name]
    assert archive.recover() == []
    assert [(o.archive_line, o) for o in archive.load(RUN.name)] == [(n, look(n, archive_line=n)) for n in range(1, 4)]
    assert files_in(folder) == [BUNDLE]


def test_a_living_run_is_left_alone(archive: Archive, folder: Path) -> None:
    with collector(folder) as process:
        assert archive.recover() == []
        process.communicate("go on\n")
    assert process.returncode == 0
    assert slugs(archive) == ["gpt-1", "gpt-2", "gpt-3", "gpt-4"]


def test_a_living_run_of_the_same_process_is_left_alone(archive: Archive) -> None:
    with archive.open_bundle(RUN) as bundle:
        bundle.add(look(1))
        assert archive.recover() == []
        bundle.add(look(2))
    assert slugs(archive) == ["gpt-1", "gpt-2"]


def test_a_line_cut_by_the_crash_is_dropped(archive: Archive, folder: Path) -> None:
    part = left_behind(folder)
    with part.open("ab") as file:
        file.write(b'{"format":1,"run":' + b"x" * 3_000_000)
    assert archive.recover() == [RUN.name]
    assert slugs(archive) == ["gpt-1", "gpt-2", "gpt-3"]


@pytest.mark.parametrize("content", [b"", b'{"format":1', b"\0" * 5000])
def test_a_part_without_a_whole_line_leaves_nothing(archive: Archive, folder: Path, content: bytes) -> None:
    left_behind(folder, content=content)
    assert archive.recover() == []
    assert files_in(folder) == []


@pytest.mark.parametrize(
    ("step", "leaves"),
    [
        ("zlib compressobj 1", [PART]),
        ("os fsync 1", [TEMPORARY, PART]),
        ("Path rename 1", [TEMPORARY, PART]),
        ("os fsync 2", [PART, BUNDLE]),
        ("Path unlink 1", [PART, BUNDLE]),
        ("Path unlink 2", [PART, BUNDLE]),
        ("os close 2", [BUNDLE]),
    ],
)
def test_a_crash_at_any_step_of_recovery_loses_nothing(
    archive: Archive, folder: Path, step: str, leaves: list[str]
) -> None:
    left_behind(folder)
    with start(RECOVERER, str(folder), *step.split()) as process:
        assert process.wait() == -signal.SIGKILL
    assert files_in(folder) == sorted(leaves)
    archive.recover()
    assert files_in(folder) == [BUNDLE]
    assert slugs(archive) == ["gpt-1", "gpt-2", "gpt-3"]
    assert archive.recover() == []


@pytest.mark.parametrize("bundle", ["of other lines", "damaged"])
def test_a_part_that_differs_from_its_bundle_is_shown_and_both_are_kept(
    archive: Archive, folder: Path, bundle: str
) -> None:
    write(archive, look(1), look(2))
    if bundle == "damaged":
        (folder / BUNDLE).write_bytes(b"\x1f\x8b")
    before, part = (folder / BUNDLE).read_bytes(), left_behind(folder)
    content = part.read_bytes()
    with pytest.raises(HistoryError, match=f"^{part} and {folder / BUNDLE} differ: look at both and remove one$"):
        archive.recover()
    assert ((folder / BUNDLE).read_bytes(), part.read_bytes()) == (before, content)


def test_parts_that_can_not_be_finished_do_not_keep_the_others(archive: Archive, folder: Path) -> None:
    first, second, third, fourth = (RUN.name.replace("1a2b3c", token) for token in ("a", "b", "c", "d"))
    for name in (first, second, third, fourth):
        left_behind(folder, name)
    for name in (first, third):
        (folder / BUNDLE.replace(RUN.name, name)).write_bytes(b"")
    with pytest.raises(HistoryError, match=r"differ: look at both and remove one \(and 1 more bundles\)$"):
        archive.recover()
    assert len(list(archive.load(second))) == len(list(archive.load(fourth))) == 3


def test_a_foreign_file_is_not_taken_for_a_part(archive: Archive, folder: Path) -> None:
    left_behind(folder, "notes")
    assert archive.recover() == []
    assert files_in(folder) == ["2026/11/.notes.jsonl.part"]
