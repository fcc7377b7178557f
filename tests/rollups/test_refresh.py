"""The rollups are what the samples and looks make them, whatever came when, and whatever was killed meanwhile.

Random sequences of looks are held to tests.reference.rollups, which works from all of them at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups import dirty as stale
from endpoint_history.rollups import incident_table as incident_rows
from endpoint_history.rollups.incidents import REDEFINED_AT
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import store
from models.observation import Observation, Run
from models.tables import metadata
from tests.reference.rollups import Rollups, rollups_of, stored_rollups
from tests.reference.store import visible
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, MORNING, RUN, a_failed_look, a_gone_look, a_look, an_endpoint

ALIAS = "acme/swift-1-20260101"
MOVED_TO = "acme/swift-2"
DAY = 24 * 60
BREAK = (REDEFINED_AT - MORNING.timestamp()) / 60
RUNS = [
    RUN,
    Run("20260516T093000Z-collect-bbbbbb", "collect", "live", 7200),
    Run("20260516T093000Z-collect-cccccc", "collect", "live"),
    Run("20260101T000000Z-backfill-dddddd", "backfill", "files"),
]
UPTIMES = st.sampled_from([None, 0, 79.999, 80, 94.99, 94.99, 95, 99.123456789012345, 100, 100])
MINUTES = st.builds(
    lambda base, step, more: base + step + more,
    st.sampled_from([0, 0, 0, BREAK - 120, BREAK]),
    st.one_of(
        st.integers(0, 12).map(lambda n: n * 30.0),
        st.integers(0, 40).map(lambda n: n * 700.0),
        st.sampled_from([DAY * 1.0, 15 * 60 - 1, 15 * 60 + 29, 15 * 60 + 30, 40 * DAY, 400 * DAY]),
    ),
    st.sampled_from([0, 0, 0, 1 / 60, 5, 29, 30]),
)
ENDPOINTS = st.builds(
    an_endpoint,
    tag=st.sampled_from(["north/fp8", "north/fp8", "south"]),
    context_length=st.sampled_from([8192, 131072, 131072]),
    prompt=st.sampled_from(["0.000001"] * 9 + ["nonsense"]),
    uptime_last_30m=UPTIMES,
)
PATHS = st.sampled_from([MODEL, MODEL, MODEL, ALIAS])
LISTING_LOOKS = st.builds(
    lambda endpoints, **fields: a_look(*endpoints, **fields),
    st.lists(ENDPOINTS, min_size=1, max_size=2),
    minute=MINUTES,
    target=PATHS,
    model=st.sampled_from([MODEL] * 9 + [MOVED_TO]),
    run=st.sampled_from([RUN, *RUNS]),
)
OTHER_LOOKS = st.one_of(
    st.builds(a_gone_look, MINUTES, target=PATHS, run=st.sampled_from(RUNS)),
    st.builds(a_failed_look, MINUTES, target=PATHS, run=st.sampled_from(RUNS)),
    st.builds(lambda minute: a_look(minute=minute), MINUTES),
)
ODD_LOOKS = st.lists(st.one_of(LISTING_LOOKS, OTHER_LOOKS), max_size=5)


def series(start: float, step: float, uptimes: list[Any], run: Run) -> list[Observation]:
    """Looks at even steps, as a schedule makes them; "absent" leaves the endpoint out."""
    return [
        a_look(*[an_endpoint(uptime_last_30m=uptime)] * (uptime != "absent"), minute=start + step * place, run=run)
        for place, uptime in enumerate(uptimes)
    ]


SERIES = st.builds(
    series,
    st.sampled_from([0, 0, 13 * 60, 14 * 60 + 59, BREAK - 90, BREAK - 25]),
    st.sampled_from([1 / 60, 5, 30, 30, 60, 200, 700, 1440, 1441]),
    st.lists(st.one_of(UPTIMES, UPTIMES, UPTIMES, st.sampled_from([50, 60, 100, 100, "absent"])), max_size=14),
    st.sampled_from([RUN, *RUNS]),
)
LOOKS = st.builds(list.__add__, SERIES, ODD_LOOKS)


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Iterator[None]:
    """Parts so small that some edge falls everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stale, "_MARKS_AT_ONCE", 3)
        patch.setattr(stale, "_DAYS_AT_ONCE", 2)
        patch.setattr(incident_rows, "_SAMPLES_AT_ONCE", 2)
        yield


def store_all(engine: sa.Engine, looks: Sequence[Observation], chance: random.Random) -> None:
    """Store them in batches of any size, and roll up now and then."""
    left = list(looks)
    while left:
        size = chance.randint(1, 4)
        batch, left = left[:size], left[size:]
        with writing(engine) as connection:
            store(connection, [(look, read_observation(look)) for look in batch])
        if chance.random() < 0.5:
            roll_up(engine)
    roll_up(engine)


def empty(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('rollups')}/history.db"
    upgrade(url)
    with opened(url) as engine:
        yield engine


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with opened(url) as engine:
            yield engine


def stored(engine: sa.Engine, looks: Sequence[Observation], chance: random.Random) -> tuple[Rollups, dict[str, Any]]:
    empty(engine)
    store_all(engine, looks, chance)
    with engine.connect() as connection:
        return stored_rollups(connection), visible(connection)


@examples(quick=15, thorough=200)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_any_order_with_repeats_leaves_the_rollups_of_the_set(
    sqlite_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    shuffled = looks + chance.sample(looks, chance.randint(0, len(looks)))
    chance.shuffle(shuffled)
    found, everything = stored(sqlite_engine, shuffled, chance)
    assert found == rollups_of(looks)
    in_order, everything_in_order = stored(sqlite_engine, sorted(looks, key=lambda o: o.observed_at), chance)
    assert in_order == found
    assert everything_in_order == everything


@examples(quick=5, thorough=50)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_postgresql_keeps_the_same_rollups(
    postgres_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    shuffled = chance.sample(looks, len(looks))
    found, _ = stored(postgres_engine, shuffled, chance)
    assert found == rollups_of(looks)


def bad(minute: float, uptime: float = 50) -> Observation:
    return a_look(an_endpoint(uptime_last_30m=uptime), minute=minute)


FILES = RUNS[3]
IN_PARTS = {
    "each later": [[a_look(minute=0)], [a_look(minute=30)], [a_look(minute=60), a_look(minute=DAY)]],
    "into a day that a gap leaves": [[a_look(minute=0), a_look(minute=3 * DAY)], [a_look(minute=60)]],
    "the last one proved better": [[a_look(minute=0), a_look(minute=30, run=FILES)], [a_look(minute=30)]],
    "after a gap over midnight": [
        [a_look(minute=14 * 60), a_failed_look(15 * 60 + 40), a_look(minute=17 * 60)],
        [a_look(minute=17 * 60 + 30)],
    ],
    "failed in an old gap": [[a_look(minute=0), a_look(minute=120), a_look(minute=150)], [a_failed_look(60)]],
    "the second bad one": [[bad(0, 100), bad(70)], [bad(140)]],
    "the third good one": [[bad(0), bad(70), bad(140, 100), bad(210, 100)], [bad(280, 100)]],
    "the third good one of another day": [[bad(0), bad(70), bad(800, 100), bad(870, 100)], [bad(940, 100)]],
    "two models, one with a gap": [
        [a_look(minute=30), *(a_look(minute=m, target=MOVED_TO, model=MOVED_TO) for m in (60, 180, 210))],
        [a_look(minute=240), a_look(minute=240, target=MOVED_TO, model=MOVED_TO)],
    ],
    "one more of a long incident": [[bad(n * 700, 50 - n) for n in range(5)], [bad(3000), bad(3100, 10)]],
}


@pytest.mark.parametrize("parts", IN_PARTS.values(), ids=IN_PARTS)
def test_rolled_up_in_parts_is_the_same(sqlite_engine: sa.Engine, parts: list[list[Observation]]) -> None:
    empty(sqlite_engine)
    for part in parts:
        with writing(sqlite_engine) as connection:
            store(connection, [(look, read_observation(look)) for look in part])
        roll_up(sqlite_engine)
    with sqlite_engine.connect() as connection:
        assert stored_rollups(connection) == rollups_of([look for part in parts for look in part])
