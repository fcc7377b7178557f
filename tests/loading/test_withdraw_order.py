"""Random runs that share observations come and go in random order: the history is that of those that remain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import opened, upgrade
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.loading.withdrawal import restore, withdraw
from models.observation import Observation, Run
from tests.store.test_writer_order import LOOKS
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import at
from tests.support.three_runs import bundle, emptied, tables

RUNS = [
    Run("20260516T090000Z-collect-aaaaaa", "collect", "live", 1800),
    Run("20260516T093000Z-backfill-bbbbbb", "backfill", "files"),
    Run("20260516T100000Z-collect-cccccc", "collect", "live", 900),
]
NAMES = [run.name for run in RUNS]
# What each run saw of all looks: any of them may have been seen by several.
SEEN = st.lists(st.sets(st.sampled_from(range(len(RUNS))), min_size=1), min_size=10, max_size=10)
STEPS = st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=2), min_size=1, max_size=2)


@pytest.fixture(scope="module")
def expected_engine(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[sa.Engine]:
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("expected") / "history.db")
    with opened(f"sqlite:///{path}") as engine:
        yield engine


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[sa.Engine]:
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("withdrawn") / "history.db")
    with opened(f"sqlite:///{path}") as engine:
        yield engine


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with opened(url) as engine:
            yield engine


def check(
    engine: sa.Engine,
    expected: sa.Engine,
    looks: Sequence[Observation],
    seen: Sequence[set[int]],
    steps: Sequence[set[str]],
) -> None:
    shutil.rmtree("archive", ignore_errors=True)
    archive = Archive("archive")
    for number, run in enumerate(RUNS):
        bundle(archive, run, *(look for look, by in zip(looks, seen, strict=False) if number in by))
    held = set(archive.bundles())
    emptied(engine)
    load_bundles(engine, archive, sorted(held))
    remaining = set(held)
    for names in steps:
        for name in sorted(names & held):  # what is there goes, what has gone comes back
            if name in remaining:
                withdraw(engine, archive, [name], "at random", at=at(20_000))
            else:
                restore(engine, archive, [name])
        remaining ^= names & held
        emptied(expected)
        load_bundles(expected, archive, sorted(remaining))
        assert tables(engine) == tables(expected)


@examples(quick=15, thorough=60)
@given(looks=LOOKS, seen=SEEN, steps=STEPS)
def test_what_remains_is_the_history_on_sqlite(
    sqlite_engine: sa.Engine,
    expected_engine: sa.Engine,
    looks: list[Observation],
    seen: list[set[int]],
    steps: list[set[str]],
) -> None:
    check(sqlite_engine, expected_engine, looks, seen, steps)


@examples(quick=5, thorough=20)
@given(looks=LOOKS, seen=SEEN, steps=STEPS)
def test_what_remains_is_the_history_on_postgresql(
    postgres_engine: sa.Engine,
    expected_engine: sa.Engine,
    looks: list[Observation],
    seen: list[set[int]],
    steps: list[set[str]],
) -> None:
    check(postgres_engine, expected_engine, looks, seen, steps)
