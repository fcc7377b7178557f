"""A backfill that is killed at any moment, beside a collector, goes on and ends as if nobody had touched it.

KILLS says how many times each database is put to it; the figure is that of 20.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from endpoint_history.backfilling.job import Job, Origin, run_job
from endpoint_history.backfilling.result import BackfillResult
from endpoint_history.database.engine import opened, upgrade
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.loading.rebuild import verify
from endpoint_history.settings import Settings
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.reference.store import without_provenance
from tests.support.collecting import ARCHIVE, archive, collect, history, settings
from tests.support.factories import at
from tests.support.prefect_server import ROOT, until

JOB = Job.checked(Origin("files", ("saved",), target="name:{author}__{slug}__"), since=None, until=None, only=None)
KILLS = int(os.environ.get("KILLS", "1"))
HOURS = 100 if KILLS == 1 else 300
MARKET = Market(models=10)
PATHS = MARKET.paths()
AT_ONCE = 400

# The command itself, with a commit now and then: a kill can come between two.
COMMAND = f"""
from endpoint_history.cli import app as cli
from endpoint_history.backfilling import importer as importing

importing._BATCH = {AT_ONCE}
cli.main()
"""


@dataclass(frozen=True)
class Undisturbed:
    """What is loaded, and how the history comes out where nobody kills it: into `database`, in `seconds`."""

    saved: Path
    database: Path
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    saved, database = folder / "saved.zip", folder / "history.db"
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as file:
        for hour in range(HOURS):
            moment = at(60 * hour)
            for path in PATHS:
                name = f"{path.replace('/', '__')}__{moment:%Y%m%dT%H%M%SZ}.json"
                file.writestr(name, json.dumps(MARKET.body(path, moment)))
    upgrade(f"sqlite:///{database}")
    began = time.monotonic()
    with backfill(f"sqlite:///{database}", saved, folder / "archive") as process:
        out, _ = process.communicate()
    assert out.startswith(f"Read       {HOURS * len(PATHS)}: {HOURS * len(PATHS)} new")
    return Undisturbed(saved, database, time.monotonic() - began)


def backfill(url: str, saved: Path, archive_folder: Path) -> subprocess.Popen[str]:
    variables = {"DATABASE_URL": url, "ARCHIVE_URL": str(archive_folder), "PYTHONPATH": str(ROOT)}
    words = ["backfill", "files", str(saved), "--target", "name:{author}__{slug}__"]
    command = [sys.executable, "-c", COMMAND, *words]
    return subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True)


def start_and_kill(url: str, undisturbed: Undisturbed, chance: Random) -> None:
    """Kill it at any moment: when so many bodies are archived, and so long into what is done with them."""
    bodies = chance.randrange(HOURS * len(PATHS))
    most_seconds = undisturbed.seconds * AT_ONCE / HOURS / len(PATHS)
    left_over = parts()
    while not is_killed(
        backfill(url, undisturbed.saved, Path(ARCHIVE)), left_over, bodies, chance.uniform(0, most_seconds)
    ):
        bodies = 0  # its end came first, so there is little left to do


def is_killed(process: subprocess.Popen[str], left_over: set[Path], bodies: int, seconds: float) -> bool:
    with process:
        until(lambda: process.poll() is not None or archived(parts() - left_over) >= bodies, 120)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def parts() -> set[Path]:
    """What backfills that are under way, or were killed, have archived."""
    return set(Path(ARCHIVE).rglob(".*-backfill-*.part"))


def archived(parts: set[Path]) -> int:
    """How many bodies."""
    lines = 0
    for part in parts:
        with suppress(FileNotFoundError):
            lines += part.read_bytes().count(b"\n")
    return lines


@contextmanager
def a_collector(url: str, chance: Random) -> Iterator[None]:
    """Collect over and over, at times before, between, after, and the very same as those of the bodies that come in."""
    stop = threading.Event()
    now = [at(0)]

    def run() -> int:
        number = 0
        # What it sees is that of a day later: at the same second it contradicts.
        with serving(Simulator(MARKET, clock=lambda: now[0] + timedelta(days=1))) as base_url:
            while not stop.is_set():
                minute = 60 * chance.randrange(-2, HOURS + 2) + chance.choice((0, 0, 5, 30))
                now[0] = at(minute)
                collected = collect(settings(url, base_url), PATHS, minute)
                assert (collected.exit_code, collected.troubles) == (0, [])
                number += 1
                stop.wait(0.2)
        return number

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            stop.set()
        assert running.result() > 0


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_backfill_killed_at_any_moment_ends_as_an_undisturbed_one(
    undisturbed: Undisturbed, database_url: str, number: int
) -> None:
    chance = Random(number)
    upgrade(database_url)
    with a_collector(database_url, Random(number)):
        for _ in range(chance.choice((1, 2))):
            start_and_kill(database_url, undisturbed, chance)
        with backfill(database_url, undisturbed.saved, Path(ARCHIVE)) as process:
            process.communicate()
    assert process.returncode == 0
    with opened(database_url) as engine:
        assert verify(engine, archive())[1] == []
    assert [str(path) for path in Path(ARCHIVE).rglob(".*")] == []

    shutil.copy(undisturbed.database, "undisturbed.db")
    with opened("sqlite:///undisturbed.db") as engine:
        names = [name for name in archive().bundles() if "-collect-" in name]
        assert load_bundles(engine, archive(), names).damaged == {}
    assert without_provenance(history(database_url)) == without_provenance(history("sqlite:///undisturbed.db"))


# Dies just before a function is called for the n-th time.
BACKFILLER = """
import os, pkgutil, signal, sys
from datetime import UTC, datetime
from endpoint_history.backfilling import importer as importing
from endpoint_history.backfilling.job import Job, Origin, run_job
from endpoint_history.settings import Settings

owner = pkgutil.resolve_name(sys.argv[1])
name, left = sys.argv[2], int(sys.argv[3])
step = getattr(owner, name)

def deadly(*args, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **options)

setattr(owner, name, deadly)
importing._BATCH = 20
job = Job.checked(Origin("files", ("saved",), target="name:{author}__{slug}__"), since=None, until=None, only=None)
run_job(Settings.read(), job, at=datetime.now(UTC))
"""


@pytest.mark.slow_unless(
    step=["endpoint_history.archive.spool:Spool append 30", "endpoint_history.backfilling.importer store 2"]
)
@pytest.mark.parametrize(
    "step",
    [
        "endpoint_history.archive.bundles:Archive open_bundle 1",
        "endpoint_history.archive.spool:Spool append 1",
        "endpoint_history.archive.spool:Spool append 30",
        "endpoint_history.archive.spool:Spool sync 2",
        "endpoint_history.backfilling.importer store 2",
        "endpoint_history.store.writer _add_samples 2",
        "endpoint_history.archive.spool:Spool compress 1",
        "endpoint_history.archive.spool:Spool remove 1",
        "endpoint_history.backfilling.importer finish_run 1",
    ],
)
def test_a_kill_at_any_step_loses_nothing_and_leaves_nothing(step: str) -> None:
    Path("saved").mkdir()
    for hour in range(6):
        for path in PATHS:
            file = Path("saved") / f"{path.replace('/', '__')}__{at(60 * hour):%Y%m%dT%H%M%SZ}.json"
            file.write_text(json.dumps(MARKET.body(path, at(60 * hour))))
    for url, folder in (("sqlite:///killed.db", ARCHIVE), ("sqlite:///undisturbed.db", "undisturbed")):
        upgrade(url)
        os.environ |= {"DATABASE_URL": url, "ARCHIVE_URL": folder, "PYTHONPATH": str(ROOT)}
        if folder == ARCHIVE:
            died = subprocess.run([sys.executable, "-c", BACKFILLER, *step.split()], check=False)
            assert died.returncode == -signal.SIGKILL
        imported = run_job(Settings.read(), JOB, at=datetime.now(UTC))
        assert isinstance(imported, BackfillResult)
        assert (imported.read, imported.refusals, imported.troubles) == (6 * len(PATHS), 0, [])
    with opened("sqlite:///killed.db") as engine:
        assert verify(engine, archive())[1] == []
    assert [str(path) for path in Path(ARCHIVE).rglob(".*")] == []
    assert without_provenance(history("sqlite:///killed.db")) == without_provenance(history("sqlite:///undisturbed.db"))
