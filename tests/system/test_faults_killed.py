"""A collect that is killed at any moment: no line that was written is lost, and history is that of what was had."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from endpoint_history.database.engine import opened, upgrade
from endpoint_history.loading.rebuild import verify
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import ARCHIVE, archive, archived, is_told_by_its_archive
from tests.support.factories import at
from tests.support.prefect_server import ROOT

MARKET = Market(models=6)
PATHS = MARKET.paths()
KILLS = int(os.environ.get("KILLS", "4"))

# The command line, which sends itself a signal at the n-th call of any function of ours, in whatever thread.
COMMAND = """
import os, sys, threading
from endpoint_history.cli import app as cli

number, left = int(sys.argv.pop(1)), int(sys.argv.pop(1))

def count(frame, event, _):
    global left
    if event == "call" and "/endpoint_history/" in frame.f_code.co_filename:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), number)

threading.setprofile(count)
sys.setprofile(count)
try:
    cli.main()
finally:
    print(-left)
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator(MARKET, clock=lambda: at(0))
    with serving(simulator) as base_url:
        os.environ |= {"ARCHIVE_URL": ARCHIVE, "OPENROUTER_BASE_URL": base_url, "REQUESTS_PER_SECOND": "0"}
        yield simulator


def collect(url: str, number: signal.Signals = signal.SIGKILL, calls: int = 0) -> subprocess.CompletedProcess[str]:
    """Collect once; after so many calls the signal comes, or never."""
    words = [sys.executable, "-c", COMMAND, str(int(number)), str(calls), "collect", "--no-prefect", *PATHS]
    variables = os.environ | {"DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)


def calls_of_a_whole_one(url: str) -> int:
    done = collect(url)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def written() -> set[bytes]:
    """Every whole line of the archive, whether its run was finished or not."""
    parts = [path.read_bytes() for path in Path(ARCHIVE).rglob(".*.part")]
    bundles = [gzip.decompress(path.read_bytes()) for path in Path(ARCHIVE).rglob("[0-9]*.jsonl.gz")]
    return {line for content in parts + bundles for line in content.splitlines(keepends=True) if line[-1:] == b"\n"}


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_collect_killed_at_any_moment_loses_no_line(simulator: Simulator, database_url: str) -> None:
    chance = Random(KILLS)
    upgrade(database_url)
    most = calls_of_a_whole_one(database_url)
    for kill in range(KILLS):
        simulator.clock = partial(at, kill * 1440)
        sent = chance.choice((signal.SIGKILL, signal.SIGTERM))
        moment = chance.randrange(1, most)
        before = written()
        assert collect(database_url, sent, moment).returncode in {-sent, 0}  # 0: it took fewer calls than the first
        assert before <= written()
    before = written()
    assert collect(database_url).returncode == 0
    assert before <= written()
    assert len(archived()) == len(written()) == len(before) + len(PATHS)
    assert is_told_by_its_archive(database_url)
    with opened(database_url) as engine:
        assert verify(engine, archive())[1] == []
    assert [str(path) for path in Path(ARCHIVE).rglob(".*")] == []
