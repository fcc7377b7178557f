"""Real processes, killed in the middle of an export: the next one leaves what an undisturbed one would have left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporting import JUNE, MAY, content, counts, export_to, load
from tests.support.factories import a_look, an_endpoint

ROOT = Path(__file__).parents[3]

# Dies just before a function is called for the n-th time.
EXPORTER = """
import os, signal, sys
from pathlib import Path
from tests.support.exporting import export_to

owner = {"os": os, "Path": Path}[sys.argv[3]]
name, left = sys.argv[4], int(sys.argv[5])
step = getattr(owner, name)

def deadly(*args, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **options)

setattr(owner, name, deadly)
export_to(sys.argv[2], sys.argv[1])
"""


@pytest.fixture(scope="module")
def later(short_history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after late data for May and June."""
    path = tmp_path_factory.mktemp("later") / "history.db"
    shutil.copy(short_history, path)
    load(f"sqlite:///{path}", [a_look(an_endpoint(prompt="0.000007"), minute=MAY + 15), a_look(minute=JUNE + 90)])
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "export"


def killed(database: Path, out: Path, step: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", EXPORTER, f"sqlite:///{database}", str(out), *step.split()]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL


def undisturbed(database: Path, tmp_path: Path) -> dict[str, bytes]:
    export_to(tmp_path / "undisturbed", f"sqlite:///{database}")
    return content(tmp_path / "undisturbed")


@pytest.mark.slow_unless(step=["os replace 9"])
@pytest.mark.parametrize(
    "step", ["os fsync 1", "os replace 1", "os replace 2", "os replace 9", "os fsync 12", "Path write_bytes 2"]
)
def test_a_first_export_killed_anywhere_is_finished_by_the_next(
    short_history: Path, out: Path, tmp_path: Path, step: str
) -> None:
    killed(short_history, out, step)
    exported = export_to(out, f"sqlite:///{short_history}")
    assert content(out) == undisturbed(short_history, tmp_path)
    assert exported.written + exported.unchanged == len(content(out)) - 1


@pytest.mark.slow_unless(step=["os replace 4"])
@pytest.mark.parametrize("step", ["os replace 2", "os replace 4", "Path write_bytes 2"])
def test_a_later_export_killed_anywhere_is_finished_by_the_next(
    short_history: Path, later: Path, out: Path, tmp_path: Path, step: str
) -> None:
    export_to(out, f"sqlite:///{short_history}")
    killed(later, out, step)
    assert not json.loads((out / "manifest.json").read_text())["complete"]
    exported = export_to(out, f"sqlite:///{later}", since="2026-07")
    assert exported.mended
    assert content(out) == undisturbed(later, tmp_path)


def test_what_a_killed_export_had_written_does_not_pass_for_what_the_manifest_told_before(
    short_history: Path, later: Path, out: Path
) -> None:
    export_to(out, f"sqlite:///{short_history}")
    before = content(out)
    killed(later, out, "Path write_bytes 2")
    assert content(out) != before
    export_to(out, f"sqlite:///{short_history}")
    assert content(out) == before


def test_what_a_killed_export_had_finished_is_not_written_again(short_history: Path, out: Path) -> None:
    killed(short_history, out, "Path write_bytes 2")  # all but the last manifest
    written, unchanged, removed = counts(export_to(out, f"sqlite:///{short_history}"))
    assert (written, removed) == (0, 0)
    assert unchanged > 20
