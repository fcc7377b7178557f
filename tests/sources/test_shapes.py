"""The shapes of saved files: what is taken out of them, unchanged, and what is refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.archive.bundle_format import encode_line
from endpoint_history.io.decode import MAX_BODY_BYTES
from endpoint_history.sources.documents.classify import looks_like
from endpoint_history.sources.documents.shapes import Document, documents
from models.observation import Target
from tests.support.factories import MODEL, MORNING, NOT_FOUND, a_body, a_failed_look, a_gone_look, a_look, an_endpoint

BODY = a_body(an_endpoint())
OTHER = a_body(an_endpoint(prompt="0.5"), model="acme/other")
EXACT = b'{"data": {"id": "acme/swift-1", "x": [1.0, 1, 0.00000010000000000000001, 1E-7, -0.0], "endpoints": []}}'
PATH = "/api/v1/models/acme/swift-1:free/endpoints"
AT = datetime(2026, 5, 16, 9, 47, 11, tzinfo=UTC)


def read(content: bytes, **options: Any) -> list[Document]:
    return list(documents(content, **options))


def reasons(content: bytes) -> list[tuple[str, str | None]]:
    return [(document.where, document.reason) for document in read(content)]


def only(content: bytes, **options: Any) -> Document:
    (document,) = read(content, **options)
    return document


def walk(*items: str, fetched: str = '"2026-05-16T09:47:11Z"') -> bytes:
    return f'{{"fetchedAt": {fetched}, "data": [{", ".join(items)}]}}'.encode()


def item(body: bytes = BODY, path: str = PATH) -> str:
    return f'{{"detailsPath": "{path}", "response": {body.decode()}}}'


def test_one_body_is_the_bytes_of_the_file() -> None:
    content = b"\xef\xbb\xbf \n" + BODY + b"\r\n"
    assert only(content) == Document(content, None, None, "", None)


def test_an_indented_body_is_one_body() -> None:
    content = json.dumps(json.loads(BODY), indent=2).encode()
    assert only(content).body == content


def test_a_list_of_bodies_gives_each_with_its_place() -> None:
    assert [(d.body, d.where) for d in read(b"[" + BODY + b",\n " + OTHER + b"]")] == [
        (BODY, "item 1"),
        (OTHER, "item 2"),
    ]


def test_a_walk_gives_each_body_with_its_target_and_the_time_of_the_walk() -> None:
    content = walk(item(), f'{{"response": {OTHER.decode()}, "canonicalSlug": "acme/other-20260101"}}')
    assert read(content) == [
        Document(BODY, Target("acme", "swift-1:free"), AT, "item 1"),
        Document(OTHER, Target("acme", "other-20260101"), AT, "item 2"),
    ]


def test_the_details_path_comes_before_the_canonical_slug() -> None:
    both = item().replace("{", '{"canonicalSlug": "acme/other", ', 1)
    assert only(walk(both)).target == Target("acme", "swift-1:free")


def test_a_walk_may_tell_its_time_after_its_bodies() -> None:
    assert only(f'{{"data": [{item()}], "fetchedAt": "2026-05-16T11:47:11.9+02:00"}}'.encode()).observed_at == AT


@pytest.mark.parametrize("fetched", ["1778924831", "1778924831000", "1778924831.75", '"1778924831"', "1.778924831e12"])
def test_a_time_may_be_in_unix_seconds_or_milliseconds(fetched: str) -> None:
    assert only(walk(item(), fetched=fetched)).observed_at == AT


@pytest.mark.parametrize(
    ("fetched", "reason"),
    [
        ('"2026-05-16T09:47:11"', "fetchedAt: the time '2026-05-16T09:47:11' has no zone"),
        ('"2026-05-16"', "fetchedAt: the time '2026-05-16' has no zone"),
        ('"yesterday"', "fetchedAt: 'yesterday' is no time; expected ISO 8601 with a zone, or unix seconds or ms"),
        ('"0001-01-01T00:00:00+09:00"', "fetchedAt: '0001-01-01T00:00:00+09:00' is no time; expected ISO 8601"),
        ("12", "fetchedAt: 12 is no time"),
        ("1e300", "fetchedAt: 1E+300 is no time"),
        ("true", "fetchedAt: True is no time"),
        ("[1]", "fetchedAt: [1] is no time"),
    ],
)
def test_a_time_without_a_zone_or_a_sense_is_refused_with_the_reason(fetched: str, reason: str) -> None:
    given = only(walk(item(), fetched=fetched))
    assert given.body is None
    assert (given.reason or "").startswith(reason.replace("or ms", "or milliseconds"))


def test_a_missing_time_is_left_to_others() -> None:
    assert only(f'{{"data": [{item()}]}}'.encode()).observed_at is None
    assert only(walk(item(), fetched="null")).observed_at is None


def test_a_target_that_cannot_be_read_is_refused() -> None:
    assert "names no model" in (only(walk(item(path="/nowhere"))).reason or "")
    assert "not an author/slug pair" in (only(walk(item(path="/api/v1/models/../x/endpoints"))).reason or "")


def test_json_lines_may_hold_any_of_these_shapes() -> None:
    lines = [BODY, b"", b"[" + OTHER + b"]", walk(item(), item(OTHER))]
    assert [(d.where, d.body) for d in read(b"\r\n".join(lines))] == [
        ("line 1", BODY),
        ("line 3 item 1", OTHER),
        ("line 4 item 1", BODY),
        ("line 4 item 2", OTHER),
    ]


@pytest.mark.parametrize("between", [b"", b" ", b"\r", b"\n\n"])
@pytest.mark.parametrize("indent", [None, 1])
def test_documents_may_follow_one_another_in_any_layout(between: bytes, indent: int | None) -> None:
    texts = [json.dumps({"ts": 1780304400 + n, "response": json.loads(BODY)}, indent=indent).encode() for n in range(3)]
    found = read(between.join(texts))
    assert [d.observed_at and int(d.observed_at.timestamp()) for d in found] == [1780304400, 1780304401, 1780304402]
    assert [json.loads(d.body or b"") for d in found] == [json.loads(BODY)] * 3


def test_what_follows_a_document_and_is_none_is_named_after_it() -> None:
    assert [(d.where, d.body, d.reason) for d in read(BODY + OTHER + b"oops")] == [
        ("document 1", BODY, None),
        ("document 2", OTHER, None),
        ("document 3", None, f"not JSON: Extra data at character {len(BODY + OTHER)}; the rest can't be read"),
    ]


def test_lines_of_our_own_archive_are_taken_whole() -> None:
    content = encode_line(a_look(body=EXACT)) + encode_line(a_look(minute=1, body=BODY, target="a/b:free"))
    assert read(content) == [
        Document(EXACT, Target.parse(MODEL), MORNING, "line 1"),
        Document(BODY, Target("a", "b:free"), MORNING + timedelta(minutes=1), "line 2"),
    ]


def test_of_looks_of_our_archive_without_a_listing_only_a_404_is_taken() -> None:
    content = encode_line(a_gone_look()) + encode_line(a_failed_look()) + encode_line(a_look(body=None))
    assert read(content)[0] == Document(NOT_FOUND, Target.parse(MODEL), MORNING, "line 1", status=404)
    assert reasons(content) == [
        ("line 1", None),
        ("line 2", "a look that failed: connection refused"),
        ("line 3", "a look without a body"),
    ]


def test_a_body_in_base64_is_decoded() -> None:
    line = {"observed_at": "2026-05-16T09:47:11Z", "body": None, "body_base64": base64.b64encode(BODY).decode()}
    assert only(json.dumps(line).encode()) == Document(BODY, None, AT)
    assert only(json.dumps(line | {"body_base64": "!"}).encode()).reason == "its body_base64 is no text and no base64"


@pytest.mark.parametrize("field", ["observed_at", "fetched_at", "fetchedAt", "timestamp"])
@pytest.mark.parametrize("held", ["response", "body"])
def test_an_envelope_holds_a_body_as_an_object_or_as_text(field: str, held: str) -> None:
    as_object = f'{{"{field}": "2026-05-16T09:47:11Z", "{held}": {EXACT.decode()}}}'
    as_text = json.dumps({field: "2026-05-16T09:47:11Z", held: EXACT.decode()})
    assert read(f"{as_object}\n{as_text}".encode()) == [
        Document(EXACT, None, AT, "line 1"),
        Document(EXACT, None, AT, "line 2"),
    ]


def test_a_named_field_gives_the_time_and_no_field_gives_none() -> None:
    content = BODY.replace(b"{", b'{"when": 1778924831, "timestamp": "no time", ', 1)
    assert only(content, time_fields=("when",)).observed_at == AT
    assert only(content, time_fields=()).observed_at is None
    assert only(content).reason


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b'{"data": [{"id": "a/b", "pricing": {}}]}', "a list of models (a /models page), whose prices are only"),
        (b'[{"id": "a/b", "pricing": {}}]', "a list of models (a /models page), whose prices are only"),
        (b'{"fetchedAt": "x", "data": [{"id": "a/b"}]}', "a list of models"),
        (b'{"error": {"code": 429, "message": "Rate limited"}}', "an API error body: Rate limited"),
        (b'{"error": {"code": 500}}', "an API error body: 500"),
        (b" <!doctype html>\n<p>{}\n{}\n", "a web page"),
        (b"", "empty"),
        (b"\xef\xbb\xbf \n", "empty"),
        (b"hello\nworld", "not JSON: a text that begins with 'hello world'"),
        (b"\x1f\x8b\x08", "not JSON: gzip-compressed bytes: decompress them first"),
        (BODY.decode().encode("utf-16"), "UTF-16 text, expected UTF-8: convert it with iconv"),
        (b"<html><title>Just a moment...</title>", "a web page titled 'Just a moment...'"),
        (b'{"data": [{"id": "0b1c", "provider_name": "North", "pricing": {}}]}', "a list of endpoints as the website"),
        (b'[{"id": "0b1c", "provider_name": "North", "pricing": {}}]', "a list of endpoints as the website"),
        (BODY[:-9], "not JSON: "),
        (b'{"data": {}}]', "not JSON: Extra data at character 12"),
        (b"3", "JSON without an endpoints list"),
        (b"[]", "JSON without an endpoints list"),
        (b"{}", "JSON without an endpoints list"),
        (b'{"data": []}', "JSON without an endpoints list"),
        (b'{"data": {"id": "a/b"}}', "JSON without an endpoints list"),
        (b'{"response": 3}', "JSON without an endpoints list"),
        (b'{"data": {"endpoints": []}}', "an endpoints list without a model id"),
        (b'{"data": {"id": "a", "id": "b", "endpoints": []}}', "not JSON: the key 'id' stands twice in one object"),
        (b'{"data": {}, "data": {"id": "b", "endpoints": []}}', "not JSON: the key 'data' stands twice in one object"),
        (b'{"data": {"id": "a", "endpoints": ' + b"[" * 60 + b"]" * 60 + b"}}", "not JSON: nested too deeply"),
    ],
)
def test_everything_else_is_refused_with_what_it_looks_like(content: bytes, looks: str) -> None:
    document = only(content)
    assert (document.body, document.where) == (None, "")
    assert (document.reason or "").startswith(looks)


@pytest.mark.parametrize(
    "bad",
    [
        '{"data": nope}',
        '{"data": {"id": "a", "endpoints": [nan]}}',
        '{"a": 1, "a": 2}',
        '{"response": {"x": "\\ud800"}}',
        '{"body": "\\ud800"}',
        '{"error": {"code": 1, "message": "no\\nway"}}',
        "{{]}",
        "3",
        "nope",
        '"}{"',
        "[" * 2000 + "]" * 2000,
        '{"data": [' * 2000 + "]}" * 2000,
    ],
)
def test_a_refused_body_never_stops_the_others(bad: str) -> None:
    taken = [document.body for document in read(f"[{BODY.decode()}, {bad}, {OTHER.decode()}]".encode())]
    assert (taken[0], taken[-1], set(taken[1:-1])) == (BODY, OTHER, {None})
    taken = [document.body for document in read(f"{BODY.decode()}\n{bad}\n{OTHER.decode()}".encode())]
    assert (taken[0], taken[-1], set(taken[1:-1])) == (BODY, OTHER, {None})
    taken = [document.body for document in read(walk(item(), bad, item(OTHER)))]
    assert (taken[0], taken[-1], set(taken[1:-1])) == (BODY, OTHER, {None})


@pytest.mark.parametrize(
    "inner",
    [
        '"endpoints": [nan]',
        '"endpoints": [], "endpoints": []',
        f'"endpoints": {"[" * 49}{"]" * 49}',
        f'"endpoints": {"[" * 2000}{"]" * 2000}',
        '"endpoints": ["\x01"]',
    ],
)
def test_a_body_within_another_document_is_read_as_strictly_as_one_alone(inner: str) -> None:
    body = f'{{"data": {{"id": "a/b", {inner}}}}}'.encode()
    alone = only(body)
    assert (alone.body, (alone.reason or "")[:8]) == (None, "not JSON")
    assert [d.reason for d in read(walk(item(body)))] == [alone.reason]
    assert [d.reason for d in read(b"[" + body + b", " + BODY + b"]")] == [alone.reason, None]


@pytest.mark.parametrize("number", ["NaN", "1" * 5000, f"1e{'9' * 30}"])
def test_a_number_that_nothing_holds_costs_no_body(number: str) -> None:
    body = f'{{"data": {{"id": "a/b", "created": {number}, "endpoints": []}}}}'.encode()
    assert [only(content).body for content in (body, b"[" + body + b"]", walk(item(body)))] == [body] * 3


def test_a_body_may_be_nested_as_deeply_within_another_document_as_alone() -> None:
    body = f'{{"data": {{"id": "a/b", "endpoints": {"[" * 48}{"]" * 48}}}}}'.encode()
    assert [only(content).body for content in (body, b"[" + body + b"]", walk(item(body)))] == [body] * 3


def test_a_bad_line_costs_itself_wherever_it_stands() -> None:
    for lines in ([b"\xff", BODY], [b"nope", BODY], [BODY[:40], BODY]):
        assert [d.body for d in read(b"\n".join(lines))] == [None, BODY]


def test_a_list_that_is_cut_off_gives_what_came_before() -> None:
    first, rest = read(walk(item(), item(OTHER))[:-30])
    assert (first.body, rest.body, rest.where) == (BODY, None, "item 2")
    assert (rest.reason or "").endswith("; the rest can't be read")


def test_an_item_of_a_walk_without_a_body_is_refused() -> None:
    assert reasons(walk('{"canonicalSlug": "a/b"}', item())) == [
        ("item 1", "JSON without an endpoints list"),
        ("item 2", None),
    ]


def test_reasons_are_one_short_line() -> None:
    message = "so\nvery " + "long " * 500
    reason = only(json.dumps({"error": {"code": 1, "message": message}}).encode()).reason or ""
    assert len(reason) <= 300
    assert "\n" not in reason


def test_a_body_that_no_archive_line_would_hold_is_refused() -> None:
    content = BODY[:-1] + b" " * (MAX_BODY_BYTES + 1 - len(BODY)) + b"}"
    assert only(content).reason == "a body larger than 5 MiB"
    assert only(content.replace(b"  ", b" ", 1)).body is not None


def test_looks_like_names_an_endpoints_body() -> None:
    assert looks_like(BODY).text == "an endpoints body"


numbers = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["1.0", "1", "-0", "0.00000010000000000000001", "1e5", "1E-05", "0.10"]),
)
values = st.recursive(
    st.one_of(numbers, st.text().map(json.dumps), st.sampled_from(["null", "true", "{}", "[]", '"]}"'])),
    lambda inner: st.lists(inner, max_size=4).map(lambda texts: f"[{' , '.join(texts)}]"),
    max_leaves=10,
)


@given(st.lists(values, min_size=1, max_size=5))
def test_a_body_within_another_document_keeps_every_character(texts: list[str]) -> None:
    fields = ",".join(f'"x{number}":{text}' for number, text in enumerate(texts))
    body = f'{{"data":{{"id":"a/b",{fields},"endpoints":[]}}}}'
    for content in (walk(item(body.encode())), f"[{body}]".encode(), walk(item(body.encode())) + b"\n" + BODY):
        taken = read(content)[0].body
        assert taken == body.encode()
        assert json.loads(taken, parse_float=Decimal) == json.loads(body, parse_float=Decimal)


PIECES = b'{ } [ ] , : " \\ "data" "response" "body" "fetchedAt" "error" null 1e999999999 12 NaN < \\ud800'.split()
shreds = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([*PIECES, b"\n", b"\xef\xbb\xbf", BODY, NOT_FOUND])), max_size=25
).map(b"".join)


@given(shreds)
def test_no_bytes_at_all_make_it_raise(content: bytes) -> None:
    for document in documents(content):
        assert (document.body is None) is (document.reason is not None)
        looks = looks_like(document.body or b"").text
        assert document.body is None or looks == "an endpoints body" or document.status == 404


@given(st.integers(0, 2000), st.sampled_from(b'{}[]",:\\x\n\xff0'))
def test_a_flipped_byte_in_a_walk_never_makes_it_raise(position: int, byte: int) -> None:
    content = bytearray(walk(item(), item(OTHER)))
    content[position % len(content)] = byte
    assert read(bytes(content))
