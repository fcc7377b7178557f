"""Listings and addresses of captures: what is read of them, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.sources.wayback.cdx import (
    Capture,
    capture_url,
    listing_url,
    page_of,
    read_capture_url,
    read_listing,
    read_timestamp,
    timestamp,
)

HEADER = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]
URL = "https://openrouter.ai/api/v1/models/acme/swift-1/endpoints"
PAGE = "openrouter.ai/api/v1/models/acme/swift-1/endpoints"
NOON = datetime(2026, 5, 16, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text()
    | st.sampled_from(["20260516120000", URL]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def a_row(at: Any = "20260516120000", original: Any = URL) -> list[Any]:
    return ["ai,openrouter)/...", at, original, "application/json", "200", "OZOJKI", "869"]


def a_body(*rows: Any) -> bytes:
    return json.dumps([HEADER, *rows]).encode()


def refusal_of(row: Any) -> str:
    listing = read_listing(a_body(a_row(), row), PAGE)
    assert len(listing.captures) == 1
    ((number, reason),) = listing.refused
    assert number == 2
    return reason


def test_rows_below_the_header_are_captures() -> None:
    listing = read_listing(a_body(a_row(), a_row("20260517000000")), PAGE)
    assert [capture.observed_at for capture in listing.captures] == [NOON, NOON + timedelta(hours=12)]
    assert listing.captures[0] == Capture(NOON, URL, PAGE)
    assert (listing.refused, listing.resume_key) == ([], None)


def test_columns_go_by_their_names() -> None:
    body = json.dumps([["original", "timestamp"], [URL, "20260516120000"]]).encode()
    assert read_listing(body, PAGE).captures == [Capture(NOON, URL, PAGE)]


def test_an_empty_list_means_no_captures() -> None:
    assert read_listing(b"[]\n", PAGE).captures == []


def test_the_resume_key_stands_below_an_empty_row() -> None:
    listing = read_listing(a_body(a_row(), [], ["ai%2Copenrouter%29+2026"]), PAGE)
    assert listing.resume_key == "ai%2Copenrouter%29+2026"
    assert (len(listing.captures), listing.refused) == (1, [])


@pytest.mark.parametrize("end", [[["key"]], [[], [""]], [[], [7]], [[], ["key", "more"]], [[], "key"]])
def test_what_only_resembles_a_resume_key_is_refused_as_rows(end: list[Any]) -> None:
    listing = read_listing(a_body(a_row(), *end), PAGE)
    assert (listing.resume_key, len(listing.refused)) == (None, len(end))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"<html>Too busy</html>", "a web page, not JSON"),
        (b"{}", "not a list of captures"),
        (b"[1]", "names no timestamp"),
        (b'[["timestamp"]]', "names no timestamp and no original"),
        (b'[[["timestamp"], "original"]]', "names no timestamp and no original"),
        (b'[["timestamp", "original"]', "not JSON"),
    ],
)
def test_what_is_no_listing_is_refused_whole(body: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_listing(body, PAGE)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (None, "expected a row of 7 columns"),
        (a_row()[:-1], "expected a row of 7 columns"),
        (dict.fromkeys(HEADER, ""), "expected a row of 7 columns"),
        (a_row(20260516120000), "not both text"),
        (a_row(original=None), "not both text"),
        (a_row("2026"), "expected a time of 14 digits, not '2026'"),
        (a_row("20260516"), "expected a time of 14 digits"),
        (a_row("202605161200001"), "expected a time of 14 digits"),
        (a_row("2026051612000\N{ARABIC-INDIC DIGIT ONE}"), "expected a time of 14 digits"),
        (a_row("20260230120000"), "there is no such time: '20260230120000'"),
        (a_row("20260516120060"), "there is no such time"),
        (a_row("00000101000000"), "there is no such time"),
        (a_row(original="https://openrouter.ai/api/v1/models/acme/swift-2/endpoints"), "another page"),
        (a_row(original="https://evil.example/api/v1/models/acme/swift-1/endpoints"), "another page"),
        (a_row(original="https://openrouter.ai:8080/api/v1/models/acme/swift-1/endpoints"), "another page"),
        (a_row(original=URL + "?a=b"), "another page"),
        (a_row(original="https://open\nrouter.ai/x"), "not an address"),
        (a_row(original=""), "not an address"),
        (a_row(original="\ud800"), "not an address"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_the_others_are_not(row: Any, told: str) -> None:
    assert told in refusal_of(row)


def test_a_refusal_is_one_short_line() -> None:
    reason = refusal_of(a_row(original="https://\n" + "x" * 5000))
    assert "\n" not in reason
    assert len(reason) < 200


@given(JSON)
def test_no_json_raises_anything_but_a_refusal(value: Any) -> None:
    with suppress(ValueError):
        read_listing(json.dumps(value).encode(), PAGE)


@given(st.lists(st.lists(JSON, max_size=8) | JSON, max_size=5))
def test_every_row_below_a_good_header_is_taken_or_refused(rows: list[Any]) -> None:
    listing = read_listing(a_body(*rows), PAGE)
    rows_of_key = 2 if listing.resume_key else 0
    assert len(listing.captures) + len(listing.refused) + rows_of_key == len(rows)


@given(st.binary())
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    with suppress(ValueError):
        read_listing(body, PAGE)


@pytest.mark.parametrize(
    "url",
    [
        "https://openrouter.ai/api/v1/models/a/b:free/endpoints",
        "http://openrouter.ai/api/v1/models/a/b:free/endpoints",
        "http://openrouter.ai:80/api/v1/models/a/b:free/endpoints",
        "https://openrouter.ai:443/api/v1/models/a/b:free/endpoints/",
        "HTTPS://OpenRouter.ai/api/v1/models/a/b%3Afree/endpoints",
        "https:/openrouter.ai/api/v1/models/a/b:free/endpoints",
        "openrouter.ai/api/v1/models/a/b:free/endpoints",
    ],
)
def test_one_page_has_many_addresses(url: str) -> None:
    assert page_of(url) == "openrouter.ai/api/v1/models/a/b:free/endpoints"


@pytest.mark.parametrize(
    "url", ["", "https://", "ftp://a/b", "https://u@h/x", "https://h/ x", "https://h/\x00", "//h/x"]
)
def test_what_is_no_address_names_no_page(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        page_of(url)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_timestamp_is_read_as_it_was_written(at: datetime) -> None:
    assert read_timestamp(timestamp(at)) == at.replace(microsecond=0)


def test_the_address_of_a_capture_is_read_as_it_was_written() -> None:
    url = capture_url("https://web.archive.org", Capture(NOON, URL, PAGE))
    assert url == f"https://web.archive.org/web/20260516120000id_/{URL}"
    assert read_capture_url(url) == Capture(NOON, URL, PAGE)


@pytest.mark.parametrize(
    "url",
    [
        "https://web.archive.org/",
        f"https://web.archive.org/web/20260516120000/{URL}",
        f"https://web.archive.org/web/20260516120000if_/{URL}",
        f"https://web.archive.org/web/2026id_/{URL}",
        "https://web.archive.org/web/20260516120000id_/",
        "https://web.archive.org/web/20260516120000id_/mailto:a@b",
    ],
)
def test_what_is_no_address_of_a_capture_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"no capture|14 digits|not an address"):
        read_capture_url(url)


def test_a_listing_is_asked_for_good_captures_without_equal_neighbours() -> None:
    asked = urlsplit(listing_url("https://web.archive.org", "openrouter.ai/~a/b:c+d"))
    query = {name: value for name, (value,) in parse_qs(asked.query).items()}
    assert (asked.netloc, asked.path) == ("web.archive.org", "/cdx/search/cdx")
    assert query == {
        "url": "openrouter.ai/~a/b:c+d",
        "output": "json",
        "filter": "statuscode:200",
        "collapse": "digest",
        "showResumeKey": "true",
        "limit": "1000",
    }


@pytest.mark.parametrize(
    ("since", "until", "asked"),
    [
        (NOON, NOON + timedelta(hours=1), ("20260516120000", "20260516125959")),
        (NOON + timedelta(microseconds=1), NOON + timedelta(seconds=9.5), ("20260516120001", "20260516120009")),
        (
            datetime(2026, 5, 16, 2, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 5, 16, 0, tzinfo=timezone(-timedelta(hours=2))),
            ("20260516000000", "20260516015959"),
        ),
    ],
)
def test_a_listing_begins_with_since_and_ends_before_until(
    since: datetime, until: datetime, asked: tuple[str, str]
) -> None:
    query = parse_qs(urlsplit(listing_url("https://x", PAGE, since=since, until=until)).query)
    assert (query["from"], query["to"]) == ([asked[0]], [asked[1]])
