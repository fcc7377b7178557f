"""Records, maps and wrapped lists of saved bodies: what each gives, and what a status proves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from endpoint_history.sources.documents.shapes import Document, documents
from models.observation import Target
from tests.support.factories import NOT_FOUND, a_body, an_endpoint

BODY = a_body(an_endpoint())
OTHER = a_body(an_endpoint(prompt="0.5"), model="acme/other")
AT = datetime(2026, 6, 1, 9, tzinfo=UTC)
URL = "https://openrouter.ai/api/v1/models/acme/swift-1/endpoints"
ACME = Target("acme", "swift-1")


def read(value: Any) -> list[Document]:
    return list(documents(value if isinstance(value, bytes) else json.dumps(value).encode()))


def only(value: Any) -> Document:
    (document,) = read(value)
    return document


def a_record(**fields: Any) -> dict[str, Any]:
    return {"fetched_at": "2026-06-01T09:00:00Z", "url": URL, "status": 200, "body": json.loads(BODY)} | fields


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (URL, "acme/swift-1"),
        (f"{URL}?cache=no#x", "acme/swift-1"),
        ("http://127.0.0.1:8000/api/v1/models/acme/swift-1%3Afree/endpoints/", "acme/swift-1:free"),
        ("/api/v1/models/acme/swift-1/endpoints", "acme/swift-1"),
        ("https://openrouter.ai/acme/swift-1", None),
        (None, None),
    ],
)
def test_the_address_of_a_record_is_its_target(url: str | None, target: str | None) -> None:
    document = only(a_record(url=url))
    assert (document.body, document.target) == (BODY, Target.parse(target) if target else None)


@pytest.mark.parametrize("status", [404, "404", None])
def test_the_apis_own_404_is_taken_with_its_target(status: Any) -> None:
    assert only(a_record(status=status, body=json.loads(NOT_FOUND))) == Document(NOT_FOUND, ACME, AT, status=404)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": 429, "body": {"error": {"code": 429, "message": "Slow down"}}}, "a request that failed (HTTP 429)"),
        ({"status": 500}, "a request that failed (HTTP 500), which proves nothing"),
        ({"status": "503", "body": None}, "a request that failed (HTTP 503), which proves nothing"),
        ({"status": 404, "body": "<html>Not found</html>"}, "HTTP 404: a web page"),
        ({"status": 404}, "HTTP 404: an endpoints body"),
        ({"status": None, "body": None, "error": "ReadTimeout"}, "a look that failed: ReadTimeout"),
        ({"body": {"error": {"code": 502, "message": "Bad gateway"}}}, "an API error body: Bad gateway"),
        ({"body": {"data": [{"id": "a/b", "pricing": {}}]}}, "a list of models"),
    ],
)
def test_a_record_of_anything_else_proves_nothing(fields: dict[str, Any], reason: str) -> None:
    document = only(a_record(**fields))
    assert document.body is None
    assert (document.reason or "").startswith(reason)


@pytest.mark.parametrize("name", ["response", "body", "payload", "raw_json", "raw", "response_body", "anything"])
def test_a_record_holds_its_body_as_an_object_or_as_text(name: str) -> None:
    record = {"fetched_at": "2026-06-01T09:00:00Z", "author": "acme", "slug": "swift-1"}
    for value in (json.loads(BODY), BODY.decode(), *([json.dumps(BODY.decode())] if name != "anything" else [])):
        assert only(record | {name: value}) == Document(BODY, ACME, AT)


@pytest.mark.parametrize(
    "record",
    [
        {"scraped_at": "2026-06-01T09:00:00Z"},
        {"ts": 1780304400},
        {"meta": {"fetched_at": "2026-06-01T09:00:00Z", "url": URL}},
        {"metadata": {"timestamp": 1780304400000}},
    ],
)
def test_the_time_is_beside_the_body_or_in_the_records_meta(record: dict[str, Any]) -> None:
    assert only(record | {"response": json.loads(BODY)}).observed_at == AT


def test_entries_of_a_har_file_are_read() -> None:
    entry = {
        "startedDateTime": "2026-06-01T09:00:00.123Z",
        "request": {"method": "GET", "url": URL},
        "response": {"status": 200, "content": {"mimeType": "application/json", "text": BODY.decode()}},
    }
    found = only({"log": {"version": "1.2", "pages": [], "entries": [entry]}})
    assert (found.observed_at, found.time_field, found.body) == (AT, "startedDateTime", BODY)
    assert str(found.target) in URL


def test_a_named_field_may_be_within_another() -> None:
    content = json.dumps({"http": {"when": 1780304400}, "response": json.loads(BODY)}).encode()
    assert [d.observed_at for d in documents(content, time_fields=("http.when",))] == [AT]


def test_a_time_without_a_zone_is_read_with_the_one_that_is_given() -> None:
    content = json.dumps(a_record(fetched_at="2026-06-01T09:00:00.123456")).encode()
    assert "say which with --zone" in (only(content).reason or "")
    assert [d.observed_at for d in documents(content, zone=UTC)] == [AT]


@pytest.mark.parametrize("around", ["{}", '{{"fetched_at": 1780304400, "models": {}}}', "[{}]", '{{"a": {{"b": {}}}}}'])
def test_a_map_names_the_target_of_each_body(around: str) -> None:
    content = around.format(f'{{"acme/swift-1": {BODY.decode()}, "x/y:free": {{"response": {OTHER.decode()}}}}}')
    assert [(d.body, d.target, d.where.rpartition(" ")[2]) for d in read(content.encode())] == [
        (BODY, ACME, "acme/swift-1"),
        (OTHER, Target("x", "y:free"), "x/y:free"),
    ]


def test_a_map_may_have_other_fields_beside_its_bodies() -> None:
    content = f'{{"fetched_at": 1780304400, "count": 1, "acme/swift-1": {BODY.decode()}}}'.encode()
    assert read(content) == [Document(BODY, ACME, AT, "acme/swift-1")]


@pytest.mark.parametrize(
    "around", ['{{"results": [{}]}}', '{{"a": {{"items": [{}]}}}}', "[[{}]]", '{{"response": {{"data": [{}]}}}}']
)
def test_a_list_may_be_wrapped(around: str) -> None:
    record = f'{{"fetched_at": 1780304400, "url": "{URL}", "response": {BODY.decode()}}}'
    documents_ = read(around.format(f"{record}, {record}").encode())
    assert [(d.body, d.target, d.observed_at) for d in documents_] == [(BODY, ACME, AT)] * 2


def test_two_bodies_under_names_that_mean_nothing_are_refused() -> None:
    content = {"before": json.loads(BODY), "after": json.loads(OTHER)}
    assert only(content).reason == "several bodies (before, after) under names that are no author/slug"


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (json.loads(BODY)["data"], "the content of data without the object around it"),
        ({"data": [json.loads(BODY)["data"]]}, "the content of data without the object around it"),
        ({"data": [an_endpoint()]}, "a list of endpoints as the website loads it"),
        (
            {"data": [{"id": "1", "provider_name": "P", "model": {"slug": "a/b"}}]},
            "a list of endpoints as the website loads it",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git LFS pointer, not the file itself",
        ),
        (BODY.decode().encode("utf-16"), "UTF-16 text, expected UTF-8"),
    ],
)
def test_what_is_no_endpoints_body_is_refused_with_what_it_is(content: Any, looks: str) -> None:
    document = only(content)
    assert document.body is None
    assert (document.reason or "").startswith(looks)
