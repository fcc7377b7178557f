"""Which looks count when several paths lead to one model, and when two sources tell of one look."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.store.evidence import Sighting, counting
from models.observation import Target
from tests.support.factories import MODEL, at

ALIAS = "acme/swift-1-20260101"
OTHER_ALIAS = "acme/zephyr-old"


def a_sighting(id_: int, minute: float = 0, path: str = MODEL, **fields: Any) -> Sighting:
    given_fields: dict[str, Any] = {
        "target": Target.parse(path),
        "observed_at": at(minute),
        "outcome": "ok",
        "complete": True,
        "body_digest": "d",
        "model": MODEL,
    }
    return Sighting(id_, **given_fields | fields)


def test_one_look_counts() -> None:
    assert counting([a_sighting(1)]) == {1}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"outcome": "ok"}, {"outcome": "gone"}),
        ({"complete": True}, {"complete": False}),
        ({"body_digest": "a"}, {"body_digest": "b"}),
        ({"outcome": "ok", "complete": False}, {"outcome": "gone", "complete": True}),
        ({"complete": True, "body_digest": "b"}, {"complete": False, "body_digest": "a"}),
    ],
)
def test_of_two_looks_in_one_second_one_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert counting([a_sighting(1, **first), a_sighting(2, **second)]) == {1}


def test_looks_of_one_path_a_second_apart_both_count() -> None:
    assert counting([a_sighting(1), a_sighting(2, minute=1 / 60)]) == {1, 2}


def test_a_model_seen_by_two_paths_counts_by_its_own_name() -> None:
    assert counting([a_sighting(1, path=ALIAS), a_sighting(2, minute=15)]) == {2}


def test_without_its_own_name_the_first_of_the_alphabet_counts() -> None:
    assert counting([a_sighting(1, path=OTHER_ALIAS), a_sighting(2, path=ALIAS)]) == {2}


def test_another_path_long_after_counts_by_itself() -> None:
    assert counting([a_sighting(1, path=ALIAS), a_sighting(2, minute=15 + 1 / 60)]) == {1, 2}


def test_a_gone_beside_an_ok_of_another_path_proves_nothing() -> None:
    assert counting([a_sighting(1, outcome="gone"), a_sighting(2, minute=-15, path=ALIAS)]) == {2}


def test_a_gone_after_an_ok_of_the_same_path_counts() -> None:
    assert counting([a_sighting(1), a_sighting(2, minute=1, outcome="gone")]) == {1, 2}


def test_two_paths_that_both_say_gone_both_count() -> None:
    sightings = [a_sighting(1, outcome="gone"), a_sighting(2, path=ALIAS, outcome="gone")]
    assert counting(sightings) == {1, 2}


def test_models_do_not_weigh_on_one_another() -> None:
    assert counting([a_sighting(1), a_sighting(2, path="acme/other", model="acme/other", outcome="gone")]) == {1, 2}


SIGHTINGS = st.lists(
    st.builds(
        a_sighting,
        st.integers(0, 10_000),
        minute=st.integers(0, 40),
        path=st.sampled_from([MODEL, ALIAS, OTHER_ALIAS]),
        outcome=st.sampled_from(["ok", "ok", "gone"]),
        complete=st.booleans(),
        body_digest=st.sampled_from("ab"),
    ),
    unique_by=(lambda s: s.id, lambda s: (s.target, s.observed_at, s.outcome, s.body_digest)),
    max_size=12,
)


@given(sightings=SIGHTINGS, data=st.data())
def test_what_does_not_count_never_counts_later(sightings: list[Sighting], data: st.DataObject) -> None:
    fewer = data.draw(st.lists(st.sampled_from(sightings), unique_by=lambda s: s.id)) if sightings else []
    assert counting(sightings) & {s.id for s in fewer} <= counting(fewer)


@given(sightings=SIGHTINGS)
def test_a_model_that_was_seen_is_never_left_without_evidence(sightings: list[Sighting]) -> None:
    assert bool(counting(sightings)) == bool(sightings)
