"""Which observations count when several paths lead to one model, and when two sources report the same one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.store.evidence import Candidate, counting
from models.observation import Target
from tests.support.factories import MODEL, at

ALIAS = "acme/swift-1-20260101"
OTHER_ALIAS = "acme/zephyr-old"


def a_candidate(id_: int, minute: float = 0, path: str = MODEL, **fields: Any) -> Candidate:
    given_fields: dict[str, Any] = {
        "target": Target.parse(path),
        "observed_at": at(minute),
        "outcome": "ok",
        "complete": True,
        "body_digest": "d",
        "model": MODEL,
    }
    return Candidate(id_, **given_fields | fields)


def test_a_single_observation_counts() -> None:
    assert counting([a_candidate(1)]) == {1}


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
def test_one_of_two_observations_in_the_same_second_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert counting([a_candidate(1, **first), a_candidate(2, **second)]) == {1}


def test_observations_of_one_path_a_second_apart_both_count() -> None:
    assert counting([a_candidate(1), a_candidate(2, minute=1 / 60)]) == {1, 2}


def test_the_path_that_equals_the_model_id_counts() -> None:
    assert counting([a_candidate(1, path=ALIAS), a_candidate(2, minute=15)]) == {2}


def test_otherwise_the_first_path_in_alphabetical_order_counts() -> None:
    assert counting([a_candidate(1, path=OTHER_ALIAS), a_candidate(2, path=ALIAS)]) == {2}


def test_another_path_more_than_15_minutes_later_counts_too() -> None:
    assert counting([a_candidate(1, path=ALIAS), a_candidate(2, minute=15 + 1 / 60)]) == {1, 2}


def test_a_gone_near_an_ok_of_another_path_proves_nothing() -> None:
    assert counting([a_candidate(1, outcome="gone"), a_candidate(2, minute=-15, path=ALIAS)]) == {2}


def test_a_gone_after_an_ok_of_the_same_path_counts() -> None:
    assert counting([a_candidate(1), a_candidate(2, minute=1, outcome="gone")]) == {1, 2}


def test_gone_of_two_paths_counts_twice() -> None:
    candidates = [a_candidate(1, outcome="gone"), a_candidate(2, path=ALIAS, outcome="gone")]
    assert counting(candidates) == {1, 2}


def test_models_do_not_affect_each_other() -> None:
    assert counting([a_candidate(1), a_candidate(2, path="acme/other", model="acme/other", outcome="gone")]) == {1, 2}


CANDIDATES = st.lists(
    st.builds(
        a_candidate,
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


@given(candidates=CANDIDATES, data=st.data())
def test_an_observation_that_does_not_count_never_counts_later(
    candidates: list[Candidate], data: st.DataObject
) -> None:
    fewer = data.draw(st.lists(st.sampled_from(candidates), unique_by=lambda s: s.id)) if candidates else []
    assert counting(candidates) & {s.id for s in fewer} <= counting(fewer)


@given(candidates=CANDIDATES)
def test_an_observed_model_always_has_evidence(candidates: list[Candidate]) -> None:
    assert bool(counting(candidates)) == bool(candidates)
