"""Saved files made to take time or memory: the work is linear in their size, and what is held is bounded."""

from __future__ import annotations

import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from endpoint_history.io import strict_json
from endpoint_history.io.decode import MAX_BODY_BYTES
from endpoint_history.sources.documents import json_lines, shapes, spans
from endpoint_history.sources.documents.shapes import documents, documents_in
from endpoint_history.sources.files import containers
from endpoint_history.sources.files.containers import zip_members
from tests.support.factories import a_body, an_endpoint

BODY = b'{"data":{"id":"a/b","endpoints":[]}}'
LIST = b"[" + BODY
# What is repeated between a beginning and an end.
KINDS: dict[str, tuple[bytes, bytes, bytes]] = {
    "broken items": (LIST, b",@", b"]"),
    "broken objects": (LIST, b",{@}", b"]"),
    "no numbers": (LIST, b',{"a":NaN}', b"]"),
    "empty objects": (LIST, b",{}", b"]"),
    "empty lists": (LIST, b",[]", b"]"),
    "lists in lists": (b"[", b"[[[[]]]],", BODY + b"]"),
    "wrapped lists": (b'{"a":{"b":{"c":[', BODY + b",", BODY + b"]}}}"),
    "brackets without end": (LIST + b",", b"[", b""),
    "objects without end": (b"", b'{"a":', b""),
    "brackets that end too soon": (LIST, b"]", b""),
    "a text without end": (LIST + b',"', b"a", b""),
    "an object without end, of blanks": (LIST + b",{", b" ", b""),
    "a key without end": (LIST + b',{"', b"a", b""),
    "a text of backslashes": (LIST + b',"', b"\\", b""),
    "quotes": (LIST + b",", b'"', b"]"),
    "one key again and again": (b"{", b'"a":1,', b'"b":1}'),
    "digits": (LIST + b",", b"1", b"]"),
    "tiny lines": (b"", b"{}\n", b""),
    "empty lines": (BODY + b"\n", b"\n", BODY),
    "broken lines": (BODY + b"\n", b"{@}\n", b""),
    "lines set in": (b"[\n", b'  {"a": 1},\n', b"  {}\n]"),
    "a bad first line": (b'{"a":\n', BODY + b"\n", b""),
}


def made(kind: str, size: int) -> bytes:
    before, unit, after = KINDS[kind]
    return before + unit * (size // len(unit)) + after


class Work:
    """Counts the characters that the parsers and the searches of a scan go over."""

    def __init__(self) -> None:
        self.done = 0

    def decoder(self, given: json.JSONDecoder) -> Any:
        """The same decoder. One that fails counts the lines before the place: all of the text until there."""

        def counted(decode: Callable[..., Any], text: str, *at: int) -> Any:
            try:
                read = decode(text, *at)
            except json.JSONDecodeError as error:
                self.done += error.pos
                raise
            self.done += read[1] - at[0] if at else len(text)
            return read

        return SimpleNamespace(raw_decode=partial(counted, given.raw_decode), decode=partial(counted, given.decode))

    def pattern(self, given: re.Pattern[str]) -> Any:
        """The same pattern. One that does not match counts nothing: it does so at once."""

        def counted(found: re.Match[str] | None) -> re.Match[str] | None:
            self.done += found.end() - found.start() if found else 0
            return found

        return SimpleNamespace(
            match=lambda text, at: counted(given.match(text, at)),
            finditer=lambda text, at: map(counted, given.finditer(text, at)),
        )


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counting = Work()
    decoder = counting.decoder(strict_json.DECODER)
    monkeypatch.setattr(strict_json, "DECODER", decoder)
    monkeypatch.setattr(spans, "DECODER", decoder)
    monkeypatch.setattr(spans, "_LENIENT", counting.decoder(spans._LENIENT))
    for name in ("_BLANK", "_STRING", "_BARE", "_BRACKETS"):
        monkeypatch.setattr(spans, name, counting.pattern(getattr(spans, name)))
    return counting


def done(work: Work, content: bytes) -> int:
    before = work.done
    for _ in documents(content):
        pass
    return work.done - before


@pytest.mark.parametrize("kind", KINDS)
def test_eight_times_the_size_is_nothing_like_sixty_four_times_the_work(kind: str, work: Work) -> None:
    small, large = (done(work, made(kind, size)) for size in (5_000, 40_000))
    assert large <= 24 * max(small, 5_000)  # items beyond those that are kept are scanned twice


@pytest.mark.parametrize("kind", ["empty objects", "wrapped lists", "lines set in", "a bad first line"])
def test_what_is_held_is_a_small_multiple_of_the_file(kind: str) -> None:
    content = made(kind, 120_000)
    tracemalloc.start()
    try:
        for _ in documents(content):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20 + 10 * len(content)


def test_a_list_is_read_until_too_many_of_its_items_are_broken() -> None:
    *_, last = documents(made("broken items", 1000))
    assert last.reason == "not JSON: 101 broken values up to character 238; the rest can't be read"
    assert last.where == f"item {spans.MAX_BROKEN + 2}"


def test_a_list_is_read_until_too_many_items_in_a_row_hold_nothing() -> None:
    first, *_, last = documents(made("empty objects", 10_000))
    assert first.body == BODY
    assert (last.where, last.reason) == ("item 1001", "1,000 items in a row hold no body; the rest is not read")


def test_items_that_failed_for_a_reason_never_end_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_MAX_EMPTY_ITEMS", 3)
    content = b"[" + b'{"url":"x","error":"ReadTimeout","body":null},' * 10 + BODY + b"]"
    assert [document.body for document in documents(content)] == [None] * 10 + [BODY]


def test_lines_are_read_until_too_many_in_a_row_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_MAX_EMPTY_LINES", 5)
    assert [document.reason for document in documents(made("tiny lines", 100))][4:] == [
        "JSON without an endpoints list",
        "5 lines in a row hold no body; the rest is not read",
    ]


def test_more_empty_lines_than_a_person_writes_end_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_MAX_EMPTY", 10)
    first, second, last = documents_in([BODY + b"\n" + BODY + b"\n", b"\n" * 11, BODY])
    assert (first.body, second.body) == (BODY, BODY)
    assert last.reason == "more than 10 empty lines in a row; the rest is not read"


def test_an_object_of_too_many_fields_is_refused() -> None:
    content = b"{" + b",".join(b'"k%d":1' % number for number in range(50_001)) + b"}"
    (document,) = documents(content)
    assert (document.body, document.reason) == (None, "more than 50,000 fields in one object")


def test_a_value_that_is_larger_than_a_body_can_be_is_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MAX_PARSED", 1000)
    parsed: list[int] = []

    class Counting:
        @staticmethod
        def raw_decode(text: str, start: int) -> tuple[object, int]:
            parsed.append(start)
            return given.raw_decode(text, start)

    given = strict_json.DECODER
    monkeypatch.setattr(spans, "DECODER", Counting)
    large = b'{"x":{"y":[' + b"{}," * 1000 + b"{}]}}"
    bodies = [document.body for document in documents(b"[" + BODY + b"," + large + b"," + BODY + b"]")]
    assert (bodies[0], bodies[-1]) == (BODY, BODY)
    assert parsed
    assert len(LIST + b',{"x":') not in parsed


def test_the_limits_leave_room_for_real_files_and_not_much_more() -> None:
    """Other tests show what each does, some of them with a smaller one."""
    assert MAX_BODY_BYTES < spans.MAX_PARSED < 2 * MAX_BODY_BYTES
    assert (spans.MAX_BROKEN, shapes._MAX_EMPTY_ITEMS, shapes._MAX_EMPTY_LINES) == (100, 1_000, 100_000)
    assert (json_lines.MAX_BYTES, containers._MAX_DIRECTORY) == (32 * 2**20, 32 * 2**20)


def test_what_follows_a_list_is_refused_by_its_place() -> None:
    found = [(document.body, document.reason) for document in documents(LIST + b"] and more")]
    assert found == [(BODY, None), (None, "not JSON: Extra data at character 39; the rest can't be read")]


def test_a_zip_of_too_large_a_directory_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(10):
            archive.writestr(f"{number}.json", BODY)
    size = len(list(zip_members(tmp_path / "x.zip")))
    monkeypatch.setattr(containers, "_MAX_DIRECTORY", 100)
    (member,) = zip_members(tmp_path / "x.zip")
    assert (size, member.reason) == (10, "a zip whose directory is larger than 32 MiB; repack it as a tar")


# Lines.


def a_day(count: int, read: list[int]) -> Iterator[bytes]:
    """JSON Lines piece by piece; `read` notes how many were asked for."""
    for number in range(count):
        read.append(number)
        yield b'{"fetched_at":%d,"response":%s}\n' % (1_780_300_000 + number, a_body(an_endpoint()))


def test_lines_are_read_one_at_a_time_however_large_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_BYTES", 5000)
    read: list[int] = []
    found = documents_in(a_day(500, read))
    assert next(found).body is not None
    assert len(read) < 5
    assert sum(document.body is not None for document in found) == 499


def test_a_line_over_the_limit_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_BYTES", 5000)
    lines = [BODY + b"\n", BODY + b"\n", b"{" + b" " * 9000 + b"}\n", BODY + b"\n"]
    assert [(document.where, document.body) for document in documents_in(lines)] == [
        ("line 1", BODY),
        ("line 2", BODY),
        ("line 3", None),
        ("line 4", BODY),
    ]


def test_a_document_over_the_limit_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_BYTES", 5000)
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"[" * 1000

    (document,) = documents_in(endless())
    assert (document.reason, len(read)) == ("larger than 32 MiB", 6)


def test_a_bad_first_line_of_a_large_file_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_BYTES", 5000)
    pieces: Callable[[], Iterator[bytes]] = lambda: iter([b'{"a":\n', *[BODY + b"\n"] * 1000])  # noqa: E731
    assert [document.body for document in documents_in(pieces())] == [None] + [BODY] * 1000


def test_a_list_with_an_item_on_each_line_is_one_document() -> None:
    content = b"[\n" + BODY + b",\n" + BODY + b"\n]\n"
    assert [document.where for document in documents(content)] == ["item 1", "item 2"]
