"""How far something is, how fast it goes and when it will end: few lines for few things and for many."""

from __future__ import annotations

import pytest

from endpoint_history.progress import Pace, shown_progress


class Clock:
    """Tells the time that it is set to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(things: int, seconds_each: float, each: str | None = None, things_a_step: int = 1) -> list[str]:
    """What is told of so many things that take so long each, and at the end."""
    clock, told = Clock(), list[str]()
    pace = Pace(told.append, "items read", each, clock=clock)
    steps = -(-things // things_a_step)
    for number in range(things):
        clock.now += seconds_each
        pace(number // things_a_step + 1, steps)
    pace.tell()
    return told


def test_a_line_tells_how_far_how_fast_and_how_long_still() -> None:
    assert lines_of(20_480, 1 / 1024)[0] == "10,241 of 20,480 items read, 1,024/s, about 10 s left"


def test_a_quick_matter_takes_one_line() -> None:
    assert lines_of(20, 1 / 128) == ["20 of 20 items read, 128/s"]


def test_a_slow_matter_is_told_every_ten_seconds() -> None:
    assert lines_of(20, 1.5) == [
        "8 of 20 items read, 0.67/s, about 18 s left",
        "15 of 20 items read, 0.67/s, about 8 s left",
        "20 of 20 items read, 0.67/s",
    ]


def test_ten_million_things_take_no_more_lines_than_their_time_does() -> None:
    clock, told = Clock(), list[str]()
    pace = Pace(told.append, "items read", clock=clock)
    for number in range(0, 10_000_000, 1000):
        clock.now += 0.125
        pace(number + 1000, 10_000_000)
    assert len(told) == 124
    assert told[49] == "4,001,000 of 10,000,000 items read, 8,000/s, about 12 min left"


def test_where_many_bodies_lie_in_one_item_both_are_counted_and_the_rate_is_that_of_bodies() -> None:
    assert lines_of(1280, 1 / 64, "bodies", things_a_step=64) == [
        "11 of 20 items read, 641 bodies, 64/s, about 9 s left",
        "20 of 20 items read, 1,280 bodies, 64/s",
    ]


def test_where_each_item_is_one_body_it_is_counted_once() -> None:
    assert lines_of(20, 1 / 128, "bodies") == ["20 of 20 items read, 128/s"]


@pytest.mark.parametrize(
    ("seconds", "left"), [(1, "about 99 s left"), (60, "about 99 min left"), (3600, "about 99.0 h left")]
)
def test_the_time_left_is_told_in_the_unit_of_its_size(seconds: float, left: str) -> None:
    clock, told = Clock(), list[str]()
    pace = Pace(told.append, "items read", clock=clock, every=0)
    pace(0, 99)
    clock.now += seconds
    pace(1, 100)
    assert told[1].endswith(left)


def test_nothing_done_is_nothing_told() -> None:
    assert lines_of(0, 1) == []


def test_what_went_before_the_first_thing_slows_nothing_down() -> None:
    clock, told = Clock(), list[str]()
    pace = Pace(told.append, "items read", clock=clock)
    clock.now += 1000
    for number in (500, 501, 502):
        pace(number, 504)
        clock.now += 1
    pace.tell()
    assert told == ["502 of 504 items read, 0.67/s, about 3 s left"]


def test_no_time_gone_by_is_no_rate() -> None:
    assert lines_of(3, 0) == ["3 of 3 items read"]


def test_where_no_one_looks_the_last_line_tells_all(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("items read", "bodies") as progress:
        for _ in range(5):
            progress(1, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 of 1 items read, 5 bodies, ")


def test_what_ends_in_trouble_leaves_the_word_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with shown_progress() as progress:
            progress(1, 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_same_words_beside_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("endpoint_history.progress._BAR_SECONDS", 0)
    with shown_progress("items read") as progress:
        for number in (1, 2, 3):
            progress(number, 4)
    shown = capsys.readouterr().err
    assert "3 of 4 items read, " in shown
    assert "/s, about 0 s left" in shown
