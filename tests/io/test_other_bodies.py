"""Answers that are no endpoints body: the reason says what they are and what to do, in one short line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.errors import unexpected
from endpoint_history.parsing.body import read_observation
from endpoint_history.parsing.models_page import read_page
from endpoint_history.sources.documents.classify import looks_like
from endpoint_history.sources.wayback.cdx import cdx_error
from endpoint_history.text import printable
from tests.support.factories import a_body, a_look, an_endpoint

BODY = a_body(an_endpoint())
PAGE = b"<!DOCTYPE html><html><head><title>%s</title></head><body>%s</body></html>"
CHALLENGE = PAGE % (b"Just a moment...", b"Enable JavaScript and cookies to continue")
BROWSERS_ONLY = ": the site lets only browsers in from here; try again later, or from another network"
ASK = ": ask /api/v1/models/AUTHOR/SLUG/endpoints"
AS_THE_WEBSITE = f"a list of endpoints as the website loads it, not the API's body, where 'data' is an object{ASK}"


def reason(body: bytes | Any, status: int = 200) -> str:
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    reading = read_observation(a_look(body=given, status=status))
    assert reading.outcome == "failed"
    return reading.reason or ""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (CHALLENGE, f"a web page titled 'Just a moment...', not JSON{BROWSERS_ONLY}"),
        (PAGE % (b"Attention Required! | Cloudflare", b""), BROWSERS_ONLY),
        (PAGE % (b"OpenRouter &amp; friends", b"hello"), "a web page titled 'OpenRouter & friends', not JSON"),
        (PAGE % (b"\n a \n\x1b[31m b ", b""), "a web page titled 'a \ufffd[31m b', not JSON"),
        (PAGE % (b"x" * 400, b""), f"titled '{'x' * 97}...', not JSON"),
        (b"\xef\xbb\xbf\n<html></html>", "a web page, not JSON"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML, not JSON"),
        (b"error code: 1020", f"not JSON: a text that begins with 'error code: 1020'{BROWSERS_ONLY}"),
        (b"upstream connect error", "not JSON: a text that begins with 'upstream connect error'"),
        (BODY[:-9], "not JSON: "),
    ],
)
def test_a_page_or_text_in_place_of_json_is_named(body: bytes, says: str) -> None:
    assert says in reason(body)
    assert reason(body, status=403) == f"HTTP 403: {reason(body)}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_another_unicode_encoding_is_named_with_the_way_to_convert_it(encoding: str) -> None:
    name = encoding[:6]
    said = f"{name.upper()} text, expected UTF-8: convert it with iconv -f {name} -t utf-8"
    assert reason(BODY.decode().encode(encoding)) == said
    assert reason(("[" + BODY.decode() + "]").encode(encoding)) == said


def test_bytes_that_are_no_text_at_all_are_told_by_their_place() -> None:
    assert reason(b'{"data": "\xff"}') == "not UTF-8 at byte 10"


@pytest.mark.parametrize(
    ("compressed", "name"),
    [
        (gzip.compress(BODY), "gzip"),
        (bz2.compress(BODY), "bzip2"),
        (lzma.compress(BODY), "xz"),
        (b"PK\x03\x04\xff\xff", "zip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
    ],
)
def test_compressed_bytes_are_named(compressed: bytes, name: str) -> None:
    assert reason(compressed) == f"{name}-compressed bytes: decompress them first"


WEBSITE_ITEM = {
    "id": "0b1c",
    "name": "North | swift",
    "provider_info": {},
    "provider_display_name": "North",
    "pricing": {},
}
MODEL_ITEM = {"id": "acme/swift-1", "canonical_slug": "acme/swift-1-20260101", "pricing": {"prompt": "0.1"}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"data": [WEBSITE_ITEM]}, AS_THE_WEBSITE),
        ([WEBSITE_ITEM], AS_THE_WEBSITE),
        ({"data": [MODEL_ITEM]}, f"a list of models, not the endpoints of one{ASK}"),
        ([json.loads(BODY)], "a list of bodies, not one body"),
        ({"data": []}, "not an endpoints body: an empty list"),
        ({"data": [1]}, "not an endpoints body: a list of neither endpoints nor models"),
        (json.loads(BODY)["data"], "not an endpoints body: only the inner part of one, without the object 'data'"),
        (BODY.decode(), "not an endpoints body: a JSON text; if a body was saved as text"),
        ({"data": {"id": "acme/swift-1"}}, "not an endpoints body: no data with a list of endpoints"),
        ({"message": "Please log in"}, "not an endpoints body; it says: Please log in"),
        ({"detail": [{"message": "bad slug"}]}, "not an endpoints body; it says: bad slug"),
    ],
)
def test_json_of_another_shape_is_named(body: Any, says: str) -> None:
    assert reason(body).startswith(says)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "Forbidden"}, "Forbidden"),
        ({"error": {"message": "Blocked by policy"}}, "Blocked by policy"),
        ({"error": {"code": 403, "message": "No access"}}, "No access"),
        ({"errors": [{"detail": "Too many"}]}, "Too many"),
        ({"message": "Forbidden\r\n\x1b[2J"}, "Forbidden \ufffd[2J"),
        ({"error": {"error": {"error": {"error": {"message": "deep"}}}}}, "no error message"),
        ({"error": []}, "no error message"),
        ([], "no error message"),
    ],
)
def test_an_error_body_of_any_shape_gives_its_message(body: Any, message: str) -> None:
    assert reason(body, status=403) == f"HTTP 403: {message}"


JSON_VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["data", "error", "endpoints"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "error", "message", "endpoints", "id", "code"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(), st.sampled_from([200, 403, 404, 500]))
def test_a_reason_is_one_short_printable_line(body: bytes, status: int) -> None:
    reading = read_observation(a_look(body=body, status=status))
    if reading.outcome == "failed":
        assert reading.reason
        assert printable(reading.reason) == reading.reason
        assert len(reading.reason) <= 300


def test_a_message_reads_the_same_wherever_it_is_quoted() -> None:
    message = "a\u200db \x1b[31m\n\tred"
    body = json.dumps({"error": {"code": 400, "message": message}}).encode()
    shown = "a\u200db \ufffd[31m red"
    with pytest.raises(ValueError, match=re.escape(shown)):
        read_page(400, None, body)
    assert looks_like(body).text.startswith(f"an API error body: {shown}")
    assert shown in reason(body, 400)
    assert cdx_error(message.encode()).startswith("a\u200db \ufffd[31m")
    assert shown in unexpected(ValueError(message))
