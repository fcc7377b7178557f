from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.archive.bundle_format import ArchiveDamage, encode_line, read_bundle, run_name
from endpoint_history.io import gzip_lines
from models.observation import Observation, Run
from tests.support.archived import RUN, look

any_text = st.text(st.characters(exclude_categories=["Cs"]))


def read(packed: bytes, chunk: int = 16384) -> tuple[list[Observation], str]:
    """What could be read, and what was said about the rest."""
    seen: list[Observation] = []
    try:
        for observation in read_bundle(chunks_of(packed, chunk), RUN.name, "x.jsonl.gz"):
            seen.append(observation)  # noqa: PERF402 - what came before the damage counts
    except ArchiveDamage as damage:
        return seen, str(damage)
    return seen, ""


def chunks_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def written(*looks: Observation) -> list[Observation]:
    return [replace(observation, archive_line=number) for number, observation in enumerate(looks, 1)]


def sealed(content: str) -> bytes:
    """A line whose checksum is right, whatever stands in it."""
    start = content.encode().removesuffix(b"}")
    return start + b',"crc32":"%08x"}\n' % zlib.crc32(start)


def changed(**changes: object) -> bytes:
    plain = json.loads(encode_line(look()))
    del plain["crc32"]
    return sealed(json.dumps(plain | changes))


any_look = st.builds(
    look,
    run=st.builds(
        Run,
        st.just(RUN.name),
        st.sampled_from(["collect", "backfill"]),
        any_text,
        st.none() | st.integers(0, 2**31 - 1),
    ),
    observed_at=st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
    status=st.none() | st.integers(100, 599),
    error=st.none() | any_text,
    elapsed_ms=st.none() | st.integers(0, 10**9),
    headers=st.dictionaries(any_text, any_text, max_size=3),
    body=st.none() | st.binary() | any_text.map(str.encode) | st.sampled_from([b"", b"\0", b"\r\n", b"\xe2\x80\xa8"]),
)


@given(any_look)
def test_whatever_was_observed_comes_back_as_it_was(observation: Observation) -> None:
    line = encode_line(observation)
    assert line.count(b"\n") == 1
    assert read(gzip.compress(line)) == (written(observation), "")


def test_a_line_has_its_keys_in_order_and_reads_without_this_program() -> None:
    line = json.loads(encode_line(look(7)))
    assert list(line) == [
        *("format", "run", "kind", "source", "cadence_seconds", "author", "slug", "observed_at", "status", "error"),
        *("elapsed_ms", "headers", "origin", "body", "crc32"),
    ]
    assert line["format"] == 1
    assert line["observed_at"] == "2026-11-23T20:15:07Z"
    assert line["headers"] == {"age": "7"}
    assert line["body"] == '{"data": {"id": "openai/gpt-7"}}'


def test_a_body_that_is_no_utf8_is_kept_in_base64() -> None:
    line = json.loads(encode_line(look(body=b"\x1f\x8b\xff")))
    assert (line["body"], line["body_base64"]) == (None, "H4v/")


def test_an_empty_body_is_told_from_no_body() -> None:
    assert [o.body for o in read(gzip.compress(encode_line(look(body=b"")) + encode_line(look(body=None))))[0]] == [
        b"",
        None,
    ]


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    at = datetime(2026, 11, 23, 22, 15, tzinfo=timezone(timedelta(hours=2)))
    assert json.loads(encode_line(look(observed_at=at)))["observed_at"] == "2026-11-23T20:15:00Z"


def test_a_lone_surrogate_in_an_error_does_not_stop_the_run() -> None:
    assert read(gzip.compress(encode_line(look(error="bad \udc80 byte"))))[0][0].error == "bad ? byte"


def test_a_bundle_cut_anywhere_gives_every_whole_line_before_the_cut() -> None:
    looks = [look(n) for n in range(1, 6)]
    lines = [encode_line(o) for o in looks]
    packed = gzip.compress(b"".join(lines))
    for end in range(len(packed)):
        seen, said = read(packed[:end], chunk=37)
        plain = zlib.decompressobj(31).decompress(packed[:end])
        assert seen == written(*looks)[: plain.count(b"\n")]
        offset = len(b"".join(lines[: len(seen)]))
        assert said == f"x.jsonl.gz, line {len(seen) + 1} at byte {offset}: the file is cut off here"


def test_a_flipped_bit_anywhere_never_gives_what_was_not_observed() -> None:
    looks = [look(n, body=b"%d" % (n * 7919) * 30) for n in range(1, 7)]
    expected = written(*looks)
    packed = gzip.compress(b"".join(map(encode_line, looks)), mtime=0)
    for position in range(len(packed)):
        for bit in (position % 8, (position + 4) % 8):
            damaged = bytearray(packed)
            damaged[position] ^= 1 << bit
            seen, said = read(bytes(damaged), chunk=100)
            assert all(observation in expected for observation in seen)
            assert said or seen == expected


def test_damage_in_the_middle_still_gives_the_lines_before_it() -> None:
    looks = [look(n) for n in range(1, 200)]
    packed = bytearray(gzip.compress(b"".join(map(encode_line, looks))))
    packed[len(packed) // 2] ^= 0xFF
    seen, said = read(bytes(packed))
    assert seen[:50] == written(*looks)[:50]
    assert "unreadable lines" in said or "damaged" in said


def test_a_bad_line_is_passed_over_and_named() -> None:
    first, second, third, fourth = (encode_line(look(n)) for n in range(1, 5))
    seen, said = read(gzip.compress(first + second.replace(b"gpt-2", b"gpt-9") + third + b"{}\n" + fourth))
    assert [o.archive_line for o in seen] == [1, 3, 5]
    assert [o.target.slug for o in seen] == ["gpt-1", "gpt-3", "gpt-4"]
    assert said == f"x.jsonl.gz, line 2 at byte {len(first)}: its checksum is wrong, the first of 2 unreadable lines"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (changed(format=2), "format: Input should be 1"),
        (changed(run="20261123T201500Z-collect-ffffff"), "it belongs to the run '20261123T201500Z-collect-ffffff'"),
        (changed(status="200"), "status: Input should be a valid integer"),
        (changed(status=10**6), "status: Input should be less than 1000"),
        (changed(elapsed_ms=10**18), "elapsed_ms: Input should be less than 2147483648"),
        (changed(elapsed_ms=-1), "elapsed_ms: Input should be greater than or equal to 0"),
        (changed(cadence_seconds=10**18), "cadence_seconds: Input should be less than 2147483648"),
        (changed(observed_at="2026-02-30T00:00:00Z"), "day is out of range for month"),
        (changed(observed_at="2026-02-20 00:00:00"), "observed_at: String should match pattern"),
        (changed(slug="../../x"), "'openai/../../x' is not an author/slug pair"),
        (changed(body="\ud800"), "not JSON: "),
        (changed(body_base64="?"), "its body is no text and no base64"),
        (sealed('{"format":1}'), "run: Field required"),
        (sealed("[1"), "not JSON"),
        (b"\n", "its checksum is wrong"),
    ],
)
def test_a_line_that_this_version_does_not_understand_is_not_guessed_at(line: bytes, why: str) -> None:
    seen, said = read(gzip.compress(line + encode_line(look())))
    assert [o.archive_line for o in seen] == [2]
    assert said.startswith(f"x.jsonl.gz, line 1 at byte 0: {why}")
    assert "\n" not in said


def test_a_key_that_a_later_version_adds_is_no_damage() -> None:
    assert read(gzip.compress(changed(region="eu")))[1] == ""


def test_a_line_too_long_is_passed_over_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_lines, "MAX_LINE_BYTES", 1000)
    long = encode_line(look(2, body=b"x" * 5000))
    seen, said = read(gzip.compress(encode_line(look(1)) + long + encode_line(look(3))), chunk=10)
    assert [o.archive_line for o in seen] == [1, 3]
    assert f"line 2 at byte {len(encode_line(look(1)))}: it has {len(long) - 1} bytes, more than 1000" in said


def test_bundles_put_together_by_gzip_members_read_as_one() -> None:
    packed = gzip.compress(encode_line(look(1))) + gzip.compress(encode_line(look(2)))
    for chunk in (1, 50, len(packed)):
        assert read(packed, chunk) == (written(look(1), look(2)), "")


def test_bytes_after_the_end_are_damage() -> None:
    seen, said = read(gzip.compress(encode_line(look(1))) + b"rubbish")
    assert seen == written(look(1))
    assert said.endswith("the compression is damaged from here on")


def test_an_empty_file_is_damage() -> None:
    assert read(b"") == ([], "x.jsonl.gz, line 1 at byte 0: the file is cut off here")


def test_a_run_is_named_by_its_time_in_utc() -> None:
    at = datetime(2026, 11, 23, 22, 15, tzinfo=timezone(timedelta(hours=2)))
    assert run_name("collect", at, "1a2b3c") == RUN.name


@pytest.mark.parametrize(("kind", "token"), [("collect", ""), ("../x", "1"), ("collect", "1/2"), ("c", "x" * 100)])
def test_a_name_that_is_no_safe_file_name_is_refused(kind: str, token: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a run"):
        run_name(kind, datetime(2026, 11, 23, tzinfo=UTC), token)


def test_a_run_is_not_named_by_a_time_without_zone() -> None:
    with pytest.raises(ValueError, match="is not the name of a run"):
        run_name("collect", datetime(2026, 11, 23), "1a")  # noqa: DTZ001 - the point of the test
