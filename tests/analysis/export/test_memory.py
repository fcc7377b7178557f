"""An export holds a row group, never a month."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from endpoint_history.database.engine import opened, upgrade, writing
from models.tables import endpoints, models, observations, runs, targets, uptime_samples
from tests.support.factories import MODEL, MORNING

ROOT = Path(__file__).parents[3]
OFFERS = 50
PEAK = """
import resource, sys
from tests.support.exporting import export_to
export_to(sys.argv[2], sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10))
"""
FAILED = {"outcome": "failed", "complete": False, "is_evidence": False, "body_digest": ""}


def a_month_of(samples: int, folder: Path) -> str:
    """A database with so many samples of every offer, ten seconds apart; gives its URL."""
    url = f"sqlite:///{folder}/{samples}.db"
    upgrade(url)
    last = MORNING + timedelta(seconds=10 * samples)
    seen = {"first_seen_at": MORNING, "last_seen_at": last}
    model = {"id": 1, "openrouter_id": MODEL, "name": "", "description": "", "input_modalities": []}
    offer = {"model_id": 1, "variant": MODEL, "ordinal": 0, "name": "", **seen}
    run = {"id": 1, "name": "a", "kind": "collect", "source": "live", "started_at": MORNING}
    looks = [{**FAILED, "run_id": 1, "target_id": 1, "observed_at": at} for at in (MORNING, last)]
    with opened(url) as engine, writing(engine) as connection:
        connection.execute(runs.insert(), run)
        connection.execute(targets.insert(), {"id": 1, "author": "a", "slug": "b"})
        connection.execute(observations.insert(), looks)
        connection.execute(models.insert(), {**model, "output_modalities": [], **seen})
        connection.execute(endpoints.insert(), [{**offer, "id": id_, "route": f"r{id_}"} for id_ in range(OFFERS)])
        start = int(MORNING.timestamp())
        rows = (
            (id_, start + 10 * number, 0, number % 100 + 0.5, number % 93 + 0.1, None)
            for id_ in range(OFFERS)
            for number in range(samples)
        )
        driver: Any = connection.connection.driver_connection
        driver.executemany(f"INSERT INTO {uptime_samples.name} VALUES (?, ?, ?, ?, ?, ?)", rows)
    return url


def peak_mib(url: str, folder: Path) -> int:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PEAK, url, str(folder)]
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_four_times_the_samples_of_a_month_take_the_same_memory(tmp_path: Path) -> None:
    small, large = (peak_mib(a_month_of(samples, tmp_path), tmp_path / f"{samples}") for samples in (2_700, 10_800))
    assert large - small < 25  # held whole, the difference of 405,000 rows takes more than 80
