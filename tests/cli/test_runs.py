"""`endpoint-history runs` as people type it: the list, what goes and comes back, and its line for what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from endpoint_history.database.engine import opened
from endpoint_history.loading.bundles import load_bundles
from models.observation import Run
from tests.cli.test_app import Command, command
from tests.support.collecting import archive, history
from tests.support.factories import a_look, an_endpoint
from tests.support.three_runs import FIRST, NAMES, SECOND, THIRD, bundle, damage, full_archive, path_of

__all__ = ["command"]

URL = "sqlite:///history.db"
REASON = "the dates are those of the commits"


@pytest.fixture(autouse=True)
def _stored(monkeypatch: pytest.MonkeyPatch, sqlite_template: Path) -> None:
    """Two runs that are stored, and a third that is not loaded yet."""
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ARCHIVE_URL", "archive")
    shutil.copy(sqlite_template, "history.db")
    with opened(URL) as engine:
        load_bundles(engine, full_archive(), NAMES[:2])


def test_runs_are_listed_newest_first(command: Command) -> None:
    code, out, err = command("runs")
    head, third, second, first, total = out.splitlines()
    assert (code, err, total) == (0, "", "3 of 3 runs")
    assert head.split() == ["run", "state", "source", "finished", "ok", "gone", "failed", "observed"]
    assert third.split() == [THIRD.name, "not", "loaded"]
    observed = ["2026-05-16", "09:30", "to", "2026-05-16", "09:31"]
    assert second.split() == [SECOND.name, "stored", "live", "2026-05-16", "09:31", "1", "0", "1", *observed]
    assert first.split()[:2] == [FIRST.name, "stored"]


def test_only_the_newest_are_listed(command: Command) -> None:
    assert command("runs", "--limit", "1")[1].splitlines()[1:] == [f"{THIRD.name}  not loaded", "1 of 3 runs"]
    assert len(command("runs", "--limit", "0")[1].splitlines()) == 5


def test_a_program_gets_the_list_as_json(command: Command) -> None:
    before = json.loads(command("runs", "--json")[1])["runs"][2]
    command("runs", "withdraw", FIRST.name, "--reason", REASON)
    found = json.loads(command("runs", "--json")[1])
    observed = ("first_observed_at", "last_observed_at")
    assert [found["runs"][2][name] for name in observed] == [before[name] for name in observed] != [None, None]
    assert [(run["name"], run["state"], run["ok"], run["reason"]) for run in found["runs"]] == [
        (THIRD.name, "stored", 1, None),  # a rebuild loads all that is there
        (SECOND.name, "stored", 1, None),
        (FIRST.name, "withdrawn", 2, REASON),
    ]
    assert (found["total"], found["runs"][1]["last_observed_at"]) == (3, "2026-05-16T09:31:00+00:00")


def test_a_run_goes_and_comes_back(command: Command) -> None:
    before = history(URL)
    code, out, _ = command("runs", "withdraw", FIRST.name, "--reason", REASON)
    assert (code, out.splitlines()) == (
        0,
        [
            f"Withdrawn  {FIRST.name}",
            f"Database   {URL}, rebuilt from the other runs: 4 observations of 2 bundles",
            f"Undo       endpoint-history runs restore {FIRST.name}",
        ],
    )
    assert command("runs")[1].splitlines()[3].endswith(f"  {REASON}")
    assert command("backfill", "archive", "--verify")[0] == 0
    code, out, _ = command("runs", "restore", FIRST.name)
    assert (code, out) == (0, f"Restored   {FIRST.name}\nRead       2 observations: 2 new, 0 known\n")
    command("runs", "withdraw", THIRD.name, "--reason", REASON)
    assert history(URL) == before


def test_nothing_is_restored_that_is_there(command: Command) -> None:
    code, out, _ = command("runs", "restore", FIRST.name)
    assert (code, out) == (0, "Restored   nothing: the database holds all of these runs\n")


def test_what_of_a_restored_run_cannot_be_read_is_named(command: Command) -> None:
    command("runs", "withdraw", FIRST.name, "--reason", REASON)
    damage(FIRST, 2)
    code, out, _ = command("runs", "restore", FIRST.name)
    assert (code, out.splitlines()[0].startswith(f"Damaged    {path_of(FIRST)}: line 2 at byte ")) == (3, True)


def test_a_reason_cannot_command_the_terminal(command: Command) -> None:
    command("runs", "withdraw", FIRST.name, "--reason", "bad\x1b[2J dates")
    out = command("runs")[1]
    assert ("\x1b" in out, "bad\ufffd[2J dates" in out) == (False, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("withdraw", FIRST.name), "Missing option '--reason'"),
        (("withdraw", FIRST.name, "--reason", " "), "--reason: say why, in 1 to 500 characters"),
        (("withdraw", "--reason", REASON), "Missing argument 'RUN...'"),
        (
            ("withdraw", f"{FIRST.name}x", "--reason", REASON),
            f"; did you mean {FIRST.name}? All runs: endpoint-history runs\n",
        ),
        (("restore", "../../etc/passwd"), "there is no run ../../etc/passwd. All runs: endpoint-history runs\n"),
        (("--limit", "-1"), "Invalid value for '--limit'"),
    ],
)
def test_wrong_usage_changes_nothing(command: Command, words: tuple[str, ...], told: str) -> None:
    before = history(URL)
    code, out, err = command("runs", *words)
    assert (code, out, told in err, err.count("\n")) == (2, "", True, 1)
    assert (history(URL), list(Path("archive").rglob("*.json"))) == (before, [])


def test_a_damaged_archive_changes_nothing(command: Command) -> None:
    damage(SECOND, 1)
    code, out, err = command("runs", "withdraw", FIRST.name, "--reason", REASON)
    told = f"endpoint-history: nothing was changed, as the archive is damaged: {path_of(SECOND)}: line 1 at byte 0: "
    assert (code, out, err.splitlines()[-1].startswith(told)) == (1, "", True)
    assert "withdrawn" not in command("runs")[1]


def test_a_removed_bundle_is_seen_in_the_list(command: Command) -> None:
    path_of(FIRST).unlink()
    assert command("runs")[1].splitlines()[3].split()[1:3] == ["no", "bundle"]


def test_a_backfill_is_told_what_it_skipped(command: Command) -> None:
    files = Run("20260517T000000Z-backfill-dddddd", "backfill", "files")
    bundle(archive(), files, a_look(an_endpoint(), minute=90))
    with opened(URL) as engine:
        load_bundles(engine, archive(), [files.name])
    lines = command("runs", "withdraw", FIRST.name, "--reason", REASON)[1].splitlines()
    assert lines[2].startswith("Backfills  these skipped what the withdrawn runs had brought before;")
    assert lines[3] == f"  {files.name}"
