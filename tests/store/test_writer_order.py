"""The heart: any order, any batches, any repeats of the same observations leave the same history.

Random sequences of looks are held to `reference.store`, which knows no order. They hold what really happens: repricing,
endpoints that come, leave and return, unreadable ones, twins, two paths to one model, a path that moves to another
model, failures between, and several looks in one second.
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
from endpoint_history.store import change_rows
from endpoint_history.store.writer import store
from models.observation import Observation
from models.tables import metadata
from tests.reference.store import History, history_of, stored_history, visible
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint

ALIAS = "acme/swift-1-20260101"
MOVED_TO = "acme/swift-2"

TAGS = st.sampled_from(["north/fp8", "south", "west/eu"])
ENDPOINTS = st.builds(
    an_endpoint,
    tag=TAGS,
    prompt=st.sampled_from(["0.000001", "0.0000010", "0.000002", "nonsense"]),
    context_length=st.sampled_from([8192, 131072]),
    uptime_last_30m=st.sampled_from([None, 0, 99.5, 100]),
    status=st.sampled_from([0, -2, -77]),
)
MINUTES = st.one_of(
    st.integers(0, 3).map(float), st.integers(0, 200).map(float), st.integers(0, 60).map(lambda s: s / 60)
)
PATHS = st.sampled_from([MODEL, MODEL, ALIAS])
LISTING_LOOKS = st.builds(
    lambda endpoints, **fields: a_look(*endpoints, **fields),
    st.lists(ENDPOINTS, max_size=4),
    minute=MINUTES,
    target=PATHS,
    model=st.sampled_from([MODEL, MODEL, MODEL, MOVED_TO]),
)
LOOKS = st.lists(
    st.one_of(
        LISTING_LOOKS,
        LISTING_LOOKS,
        st.builds(a_gone_look, MINUTES, target=PATHS),
        st.builds(a_failed_look, MINUTES, target=PATHS),
    ),
    max_size=10,
)


def store_all(engine: sa.Engine, observations: Sequence[Observation], chance: random.Random) -> None:
    """Store them in batches of any size."""
    left = list(observations)
    while left:
        size = chance.randint(1, 4)
        batch, left = left[:size], left[size:]
        with writing(engine) as connection:
            store(connection, [(observation, read_observation(observation)) for observation in batch])


def empty(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('order')}/history.db"
    upgrade(url)
    with opened(url) as engine:
        yield engine


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with opened(url) as engine:
            yield engine


def stored(engine: sa.Engine, looks: Sequence[Observation], chance: random.Random) -> tuple[History, dict[str, Any]]:
    empty(engine)
    store_all(engine, looks, chance)
    with engine.connect() as connection:
        return stored_history(connection), visible(connection)


@examples(quick=30, thorough=200)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_any_order_with_repeats_leaves_the_history_of_the_set(
    sqlite_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    shuffled = looks + chance.sample(looks, chance.randint(0, len(looks)))
    chance.shuffle(shuffled)
    found, everything = stored(sqlite_engine, shuffled, chance)
    assert found == history_of(looks)
    in_order, everything_in_order = stored(sqlite_engine, sorted(looks, key=lambda o: o.observed_at), chance)
    assert in_order == found
    assert everything_in_order == everything


@examples(quick=10, thorough=50)
@given(looks=LOOKS, chance=st.randoms(use_true_random=False))
def test_postgresql_keeps_the_same_history(
    postgres_engine: sa.Engine, looks: list[Observation], chance: random.Random
) -> None:
    shuffled = chance.sample(looks, len(looks))
    found, _ = stored(postgres_engine, shuffled, chance)
    assert found == history_of(looks)


def test_a_wrong_change_rule_would_be_found(sqlite_engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation: a row wherever there is a value, whether it differs from the one before or not."""
    monkeypatch.setattr(change_rows, "changes", lambda before, values: dict(values))
    looks = [a_look(an_endpoint(), minute=minute) for minute in (0, 30)]
    found, _ = stored(sqlite_engine, looks, random.Random(1))
    assert found != history_of(looks)
