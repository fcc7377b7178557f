"""The change rule: a row stands exactly where a value differs from that at the evidence just before."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.store.change_rule import changes, value_at
from models.listing import ABSENT
from tests.support.factories import at

VALUES = st.lists(st.tuples(st.integers(0, 50).map(at), st.sampled_from(["a", "b", ABSENT])), unique_by=lambda v: v[0])


def test_the_first_value_makes_a_row() -> None:
    assert changes(ABSENT, [(at(0), "a")]) == {at(0): "a"}


def test_an_unchanged_value_makes_no_row() -> None:
    assert changes("a", [(at(0), "a"), (at(1), "a")]) == {}


def test_absence_before_anything_was_listed_makes_no_row() -> None:
    assert changes(ABSENT, [(at(0), ABSENT)]) == {}


def test_leaving_and_coming_back_are_two_rows() -> None:
    assert changes("a", [(at(0), ABSENT), (at(1), ABSENT), (at(2), "a")]) == {at(0): ABSENT, at(2): "a"}


@given(values=VALUES)
def test_the_rows_give_back_every_value_they_were_made_from(values: list[tuple[datetime, str]]) -> None:
    ordered = sorted(values, key=lambda item: item[0])
    rows = changes(ABSENT, ordered)
    assert [value_at(time, rows) for time, _ in ordered] == [value for _, value in ordered]


@given(values=VALUES)
def test_no_row_repeats_the_one_before(values: list[tuple[datetime, str]]) -> None:
    found = list(changes(ABSENT, sorted(values, key=lambda item: item[0])).values())
    assert all(before != after for before, after in zip([ABSENT, *found], found, strict=False))
