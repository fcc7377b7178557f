"""The main job on bodies that OpenRouter really sent, where a folder of them is named by REAL_BODIES."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import stamina
from pydantic import SecretStr

from endpoint_history.archive.bundles import Archive
from endpoint_history.collecting.run import Collected, collect_targets
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.parsing.body import read_observation
from endpoint_history.settings import Settings
from endpoint_history.store.writer import store
from endpoint_history.targets import TargetList
from tests.reference.store import history_of, stored_history, visible

FOLDER = Path(os.environ.get("REAL_BODIES", ""))
TIMES = ("20260516T094711Z", "20260516T221758Z", "20260518T205339Z")

pytestmark = pytest.mark.skipif(not (FOLDER / "replay.py").is_file(), reason="REAL_BODIES names no recorded bodies")


@contextmanager
def replaying(*arguments: str) -> Iterator[str]:
    """The recorded API on loopback; yields its address without the path."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(FOLDER / "replay.py"), "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert "paths" in server.stdout.readline()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def paths() -> list[str]:
    return sorted({"/".join(file.stem.rsplit("__", 1)[0].split("__")) for file in (FOLDER / "real").glob("*.json")})


def walk(api: str, database_url: str, archive: Path, time: str) -> Collected:
    """One collect of all recorded paths, at the time of the recording."""
    urllib.request.urlopen(f"{api}/_control/at/{time}").read()
    at = datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    given = Settings(
        database_url=SecretStr(database_url),
        archive_url=SecretStr(str(archive)),
        openrouter_base_url=f"{api}/api/v1",
        requests_per_second=0,
    )
    return asyncio.run(collect_targets(given, TargetList.given(paths()), clock=lambda: at))


def prices_recorded(time: str) -> dict[tuple[str, str, str], dict[str, Decimal]]:
    """Each endpoint's prices at a time, read from the files alone: by model id, tag and parameters."""
    found = {}
    for file in (FOLDER / "real").glob(f"*__{time}.json"):
        for endpoint in json.loads(file.read_text())["data"]["endpoints"]:
            parameters = ",".join(sorted(endpoint["supported_parameters"]))
            prices = {
                key: Decimal(value)
                for key, value in endpoint["pricing"].items()
                if isinstance(value, str) and (Decimal(value) or key in {"prompt", "completion"})
            }
            found[endpoint["model_id"], endpoint["tag"], parameters] = prices
    return found


def test_the_stored_price_changes_are_exactly_those_in_the_bodies(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    with replaying() as api:
        for time in TIMES:
            collected = walk(api, url, tmp_path / "archive", time)
    before, after = prices_recorded(TIMES[1]), prices_recorded(TIMES[2])
    expected = {
        (model, tag, key, prices.get(key), after[model, tag, parameters].get(key))
        for (model, tag, parameters), prices in before.items()
        if (model, tag, parameters) in after
        for key in prices.keys() | after[model, tag, parameters].keys()
        if prices.get(key) != after[model, tag, parameters].get(key)
    }
    moves = collected.summary.price_moves
    assert {
        (m.endpoint.model, m.endpoint.route, m.key, m.before, m.after) for m in moves if m.key != "discount"
    } == expected
    assert expected


@pytest.fixture
def three_walks(tmp_path: Path) -> tuple[str, Path]:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    with replaying() as api:
        for time in TIMES:
            assert walk(api, url, tmp_path / "archive", time).summary.failed == []
    return url, tmp_path / "archive"


def test_a_shuffled_replay_into_postgresql_twice_leaves_the_same_history(
    three_walks: tuple[str, Path], postgres_url: str
) -> None:
    url, folder = three_walks
    archive = Archive(str(folder))
    observations = [observation for name in archive.bundles() for observation in archive.load(name)]
    upgrade(postgres_url)
    shuffled = observations * 2
    random.Random(5).shuffle(shuffled)
    with opened(postgres_url) as engine, opened(url) as live:
        for start in range(0, len(shuffled), 97):
            batch = [(observation, read_observation(observation)) for observation in shuffled[start : start + 97]]
            with writing(engine) as connection:
                store(connection, batch)
        load_bundles(engine, archive, archive.bundles())
        with engine.connect() as there, live.connect() as here:
            assert visible(there) == visible(here)


@pytest.mark.slow
def test_faults_of_the_server_leave_nothing_false_and_every_failed_target_is_named(
    three_walks: tuple[str, Path], tmp_path: Path
) -> None:
    faults = ("500!:0.1", "html!:0.05", "truncate!:0.05", "429:0.05", "reset:0.03")
    url = f"sqlite:///{tmp_path}/faulty.db"
    upgrade(url)
    words = [word for fault in faults for word in ("--fault", fault)]
    with replaying(*words) as api, stamina.set_testing(True, attempts=4):
        for time in TIMES:
            collected = walk(api, url, tmp_path / "faulty", time)
            assert collected.summary.ok + collected.summary.gone + len(collected.summary.failed) == len(paths())
            assert collected.summary.failed
            assert all(reason for _, reason in collected.summary.failed)
    archive = Archive(str(tmp_path / "faulty"))
    seen = [observation for name in archive.bundles() for observation in archive.load(name)]
    with opened(url) as engine, engine.connect() as connection:
        assert stored_history(connection) == history_of(seen)
    right, faulty = (_changes_of_models_never_missed(address) for address in (three_walks[0], url))
    assert faulty.items() <= right.items()
    assert faulty


def _changes_of_models_never_missed(url: str) -> dict[str, list[Any]]:
    """Price rows by model, in the order of walks, of models that were seen in every walk."""
    query = """
        SELECT m.openrouter_id, e.route, e.ordinal, p.prompt_usd, p.completion_usd, p.listed FROM pricing_snapshots p
        JOIN endpoints e ON e.id = p.endpoint_id JOIN models m ON m.id = e.model_id
        WHERE NOT EXISTS (SELECT 1 FROM observations o JOIN target_models t ON t.target_id = o.target_id
                          WHERE t.model_id = m.id AND o.outcome = 'failed')
        ORDER BY e.variant, e.route, e.ordinal, p.observed_at"""
    found: dict[str, list[Any]] = {}
    with opened(url) as engine, engine.connect() as connection:
        for model, *row in connection.execute(sa.text(query)):
            found.setdefault(model, []).append(row)
    return found
