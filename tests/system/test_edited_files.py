"""The files that users are told to edit, in a real git repository with the project's own Makefile and .gitignore."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.prefect_server import ROOT

EDITED = ("targets.toml", "alerts.toml")
EXAMPLES = ("targets.example.toml", "alerts.example.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", ".gitignore", *EXAMPLES):
        shutil.copy(ROOT / name, tmp_path)
    run(tmp_path, "git", "init", "--quiet")
    commit(tmp_path)
    run(tmp_path, "make", *EDITED)
    return tmp_path


def run(folder: Path, *words: str) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message", "Change")


def test_they_begin_as_the_examples(checkout: Path) -> None:
    assert [(checkout / name).read_text() for name in EDITED] == [(ROOT / name).read_text() for name in EXAMPLES]


def test_edits_are_no_changes_for_git_and_survive_new_examples(checkout: Path) -> None:
    for name in EDITED:
        (checkout / name).write_text("# mine\n")
    assert run(checkout, "git", "status", "--porcelain") == ""
    for name in EXAMPLES:
        (checkout / name).write_text("# a newer example\n")
    commit(checkout)
    run(checkout, "make", *EDITED)
    assert [(checkout / name).read_text() for name in EDITED] == ["# mine\n", "# mine\n"]


def test_make_run_makes_them(checkout: Path) -> None:
    for name in EDITED:
        (checkout / name).unlink()
    (checkout / ".venv").mkdir()
    for name in ("requirements.lock", "pyproject.toml", ".venv/runtime"):
        (checkout / name).touch()
    planned = run(checkout, "make", "--dry-run", "run")
    assert planned.splitlines()[:2] == [f"cp {example} {name}" for example, name in zip(EXAMPLES, EDITED, strict=True)]
