"""How the targets of a walk are dealt out to shards."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.archive.bundle_format import RUN_NAME, collect_name
from endpoint_history.collecting.shards import Shard, split
from models.observation import Target

WALK = "20260516T090000Z-collect-1a2b3c"


def targets(count: int) -> list[Target]:
    return [Target("acme", f"m{number}") for number in range(count)]


@given(st.integers(1, 200), st.integers(1, 64))
def test_every_target_comes_to_one_shard_and_all_are_alike_in_size(count: int, shards: int) -> None:
    dealt = split(WALK, targets(count), shards)
    assert sorted(chain.from_iterable(shard.targets for shard in dealt)) == sorted(targets(count))
    sizes = [len(shard.targets) for shard in dealt]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_shards_are_counted_from_one() -> None:
    assert [str(shard) for shard in split(WALK, targets(5), 2)] == ["shard 1 of 2", "shard 2 of 2"]


def test_a_run_of_a_shard_has_a_name_of_its_own_and_that_of_its_walk() -> None:
    shard = Shard(WALK, 3, 4, targets(1))
    names = {shard.run_name() for _ in range(10)}
    assert len(names) == 10
    assert all(RUN_NAME.fullmatch(name) and collect_name(name) == WALK for name in names)


@pytest.mark.parametrize("name", [WALK, f"{WALK}-2-4d5e6f"])
def test_a_walk_is_told_by_the_name_of_any_of_its_runs(name: str) -> None:
    assert collect_name(name) == WALK
