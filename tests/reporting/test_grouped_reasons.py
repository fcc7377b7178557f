"""Reasons in groups: a thousand of one kind take a few lines."""

from __future__ import annotations

import pytest

from endpoint_history.refusals import Reasons, Refused, reason_kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("prompt is not a number: 'free'", "prompt is not a number: 'n/a'"),
        ("not JSON: not UTF-8 at byte 1", "not JSON: not UTF-8 at byte 2,017"),
        ("its time 2099-05-01 00:00:00 UTC is in the future", "its time 2098-01-01 10:00:00 UTC is in the future"),
        (
            "blob of 70,000,000 bytes: at most 67,108,864 are read",
            "blob of 80,000,000 bytes: at most 67,108,864 are read",
        ),
        ("fetchedAt: 'yesterday' is no time", "fetchedAt: 'some day' is no time"),
        ("x is out of all bounds: 1e-999", "x is out of all bounds: -2E+30"),
    ],
)
def test_reasons_that_differ_in_a_value_are_one_kind(one: str, other: str) -> None:
    assert reason_kind(one) == reason_kind(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404", "HTTP 503"),
        ("prompt is not a number: 'x'", "completion is not a number: 'x'"),
        ("price 'prompt' is not a number", "price 'completion' is not a number"),
        ("give --time 'path:%Y-%m-%d'", "give --time 'path:%Y%m%d'"),
        ("a web page", "empty"),
    ],
)
def test_reasons_of_other_fields_statuses_and_options_are_not(one: str, other: str) -> None:
    assert reason_kind(one) != reason_kind(other)


def test_a_group_keeps_its_exact_reason_as_long_as_all_have_it() -> None:
    reasons = Reasons([Refused("a", "at byte 1"), Refused("b", "at byte 1")])
    assert [(group.reason, group.count) for group in reasons.groups] == [("at byte 1", 2)]
    reasons.add(Refused("c", "at byte 2"))
    assert [(group.reason, group.count) for group in reasons.groups] == [("at byte …", 3)]


def test_the_largest_group_is_first_with_its_first_examples() -> None:
    reasons = Reasons([Refused("x", "empty"), *(Refused(f"{number}.json", "a web page") for number in range(1000))])
    assert [(group.reason, group.count) for group in reasons.groups] == [("a web page", 1000), ("empty", 1)]
    assert [example.origin for example in reasons.groups[0].examples] == ["0.json", "1.json", "2.json"]


def test_memory_does_not_grow_with_reasons_that_all_differ() -> None:
    words = ("".join(chr(97 + number // 26**place % 26) for place in range(3)) for number in range(5000))
    reasons = Reasons(Refused("x", f"the word {word} is unknown") for word in words)
    assert reasons.count == 5000
    assert len(reasons.groups) == 101
    assert (reasons.groups[0].reason, reasons.groups[0].count) == ("other reasons", 4900)
