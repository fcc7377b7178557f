"""The client against a real server on loopback that misbehaves in every way there is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina
from aiohttp import web
from pydantic import SecretStr

from endpoint_history.errors import HistoryError, UnreachableError
from endpoint_history.io.decode import MAX_BODY_BYTES
from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.openrouter.rate_limit import Politeness, retry_after_seconds
from endpoint_history.settings import Settings
from models.observation import Target
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving

NOON = datetime(2026, 5, 16, 12, 0, 0, 700_000, tzinfo=UTC)
PATH = Market().paths()[0]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(clock=lambda: NOON)


class Clock:
    """A monotonic clock that goes only where somebody sleeps."""

    def __init__(self) -> None:
        self.at = 100.0
        self.slept: list[float] = []

    def seconds(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


@asynccontextmanager
async def fetcher(base_url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Fetcher]:
    given = Settings(**{"openrouter_base_url": base_url, "requests_per_second": 0, **settings})
    clock = clock or Clock()
    politeness = Politeness(0, given.max_connections, seconds=clock.seconds, sleep=clock.sleep)
    async with Fetcher(given, clock=lambda: NOON, politeness=politeness) as opened:
        yield opened


def fetch(base_url: str, path: str = PATH, **options: Any) -> Response:
    async def run() -> Response:
        async with fetcher(base_url, **options) as opened:
            return await opened.fetch_endpoints(Target.parse(path))

    return asyncio.run(run())


def fetch_models(base_url: str) -> list[str]:
    async def run() -> list[str]:
        async with fetcher(base_url) as opened:
            return await opened.fetch_models()

    return asyncio.run(run())


def in_turn(*handlers: faults.Handler | None) -> faults.Handler:
    """One handler after the other; None is the good answer, and the last goes on for ever."""
    left = list(handlers)

    async def handler(request: web.Request, body: bytes) -> web.StreamResponse:
        chosen = left.pop(0) if left[1:] else left[0]
        return await (chosen or faults.answer(200, body))(request, body)

    return handler


def test_a_good_answer_comes_whole_and_as_it_was_sent(simulator: Simulator) -> None:
    simulator.answers[PATH] = faults.answer(200, b'{"data": 1.50}', {"Age": "7", "Set-Cookie": "a=b"})
    with serving(simulator) as base_url:
        response = fetch(base_url)
    assert (response.status, response.error, response.body) == (200, None, b'{"data": 1.50}')
    assert response.observed_at == NOON.replace(microsecond=0)
    assert response.headers["age"] == "7"
    assert "set-cookie" not in response.headers


def test_a_compressed_answer_is_kept_decompressed(simulator: Simulator) -> None:
    with serving(simulator) as base_url:
        response = fetch(base_url)
    assert response.body
    assert response.body.startswith(b'{"data"')


@pytest.mark.parametrize("path", ["~openai/gpt-latest", "deepseek/deepseek-r1:free", "x/y.1", "a/b@c+d"])
def test_odd_slugs_are_asked_for_as_they_are(simulator: Simulator, path: str) -> None:
    with serving(simulator) as base_url:
        assert fetch(base_url, path).status == 404
    assert [asked for asked, _ in simulator.requests] == [f"/api/v1/models/{path}/endpoints"]


def test_the_client_says_who_it_is_and_sends_its_key(simulator: Simulator) -> None:
    with serving(simulator) as base_url:
        fetch(base_url, openrouter_api_key=SecretStr("sk-secret"))
    headers = simulator.requests[0][1]
    assert headers["User-Agent"].startswith("endpoint-history/")
    assert headers["Authorization"] == "Bearer sk-secret"


def test_without_a_key_none_is_sent(simulator: Simulator) -> None:
    with serving(simulator) as base_url:
        fetch(base_url)
    assert "Authorization" not in simulator.requests[0][1]


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "truncate", "hang"])
def test_a_passing_trouble_is_asked_again_and_forgotten(simulator: Simulator, kind: str) -> None:
    simulator.answers[PATH] = in_turn(faults.KINDS[kind], None)
    with serving(simulator) as base_url:
        response = fetch(base_url, request_timeout_seconds=0.3)
    assert (response.status, response.error) == (200, None)
    assert len(simulator.requests) == 2


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("reset", None, "connection closed without an answer"),
        ("truncate", 200, "connection closed in the middle of the body"),
        ("hang", None, "no answer within 0.3 s"),
        ("hang-in-body", 200, "no whole answer within 0.3 s"),
        ("drip", 200, "no whole answer within 0.9 s"),
    ],
)
def test_a_trouble_that_stays_is_told_in_a_line(
    simulator: Simulator, kind: str, status: int | None, error: str
) -> None:
    simulator.answers[PATH] = faults.KINDS[kind]
    with serving(simulator) as base_url:
        response = fetch(base_url, request_timeout_seconds=0.3)
    assert response.status == status
    assert response.error
    assert response.error.startswith(error)
    assert len(simulator.requests) == (6 if kind == "reset" else 3)  # aiohttp asks twice where a connection is reset


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520, 524, 530, 599])
def test_a_server_error_that_stays_is_kept_with_its_body(simulator: Simulator, status: int) -> None:
    simulator.answers[PATH] = faults.answer(status, b"<html>Bad Gateway</html>")
    with serving(simulator) as base_url:
        response = fetch(base_url)
    assert (response.status, response.error, response.body) == (status, None, b"<html>Bad Gateway</html>")
    assert len(simulator.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_asking_again_cannot_mend_is_asked_once(simulator: Simulator, status: int) -> None:
    simulator.answers[PATH] = faults.answer(status, b"{}")
    with serving(simulator) as base_url:
        assert fetch(base_url).status == status
    assert len(simulator.requests) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("bomb", "body larger than 5 MiB"), ("large", "body larger than 5 MiB"), ("damaged-gzip", "gzip")],
)
def test_a_body_that_must_not_be_taken_is_refused_once(simulator: Simulator, kind: str, error: str) -> None:
    simulator.answers[PATH] = faults.KINDS[kind]
    with serving(simulator) as base_url:
        response = fetch(base_url)
    assert error in (response.error or "")
    assert len(response.body or b"") <= MAX_BODY_BYTES
    assert len(simulator.requests) == 1


def test_a_content_encoding_nobody_asked_for_is_refused(simulator: Simulator) -> None:
    simulator.answers[PATH] = faults.answer(200, b"?", {"Content-Encoding": "zstd"})
    with serving(simulator) as base_url:
        assert fetch(base_url).error == "content encoding 'zstd' is not supported"


def test_a_redirect_on_the_same_host_is_followed(simulator: Simulator) -> None:
    simulator.answers[PATH] = faults.redirect("/api/v1/models/other/name/endpoints")
    simulator.answers["other/name"] = faults.answer(200, b"{}")
    with serving(simulator) as base_url:
        assert (fetch(base_url).status, len(simulator.requests)) == (200, 2)


@pytest.mark.parametrize("elsewhere", ["http://127.0.0.2:1/", "https://127.0.0.2/", "http://localhost:9/x"])
def test_a_redirect_to_another_host_is_refused(simulator: Simulator, elsewhere: str) -> None:
    simulator.answers[PATH] = faults.redirect(elsewhere)
    with serving(simulator) as base_url:
        response = fetch(base_url, openrouter_api_key=SecretStr("sk-secret"))
    assert (response.error or "").startswith("redirect to another host")
    assert len(simulator.requests) == 1


def test_a_redirect_loop_ends(simulator: Simulator) -> None:
    simulator.answers[PATH] = faults.redirect(f"/api/v1/models/{PATH}/endpoints")
    with serving(simulator) as base_url:
        assert fetch(base_url).error == "more than 5 redirects"


def test_retry_after_silences_every_request_and_not_one_address(simulator: Simulator) -> None:
    simulator.answers[PATH] = in_turn(faults.answer(429, b"{}", {"Retry-After": "17"}), None)
    clock = Clock()

    async def run(base_url: str) -> Sequence[Response]:
        async with fetcher(base_url, clock, max_connections=1) as opened:
            return await asyncio.gather(*(opened.fetch_endpoints(Target.parse(p)) for p in (PATH, "x/y")))

    with serving(simulator) as base_url:
        responses = asyncio.run(run(base_url))
    assert [response.status for response in responses] == [200, 404]
    assert clock.slept == [17]


def test_a_retry_after_beyond_all_patience_ends_the_asking(simulator: Simulator) -> None:
    simulator.answers[PATH] = faults.answer(429, b"{}", {"Retry-After": "3600"})
    clock = Clock()

    async def run(base_url: str) -> Sequence[Response]:
        async with fetcher(base_url, clock) as opened:
            return [await opened.fetch_endpoints(Target.parse(path)) for path in (PATH, "x/y")]

    with serving(simulator) as base_url:
        first, second = asyncio.run(run(base_url))
    assert (first.status, second.error) == (429, "not asked: the server wants silence for another 3600 s")
    assert (clock.slept, len(simulator.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("Sat, 16 May 2026 12:00:30 GMT", 29.3),
        ("Sat, 16 May 2026 11:00:00 GMT", 0),
        ("-3", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 50, 999_999_999),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOON) == seconds


def test_no_more_requests_are_under_way_than_allowed(simulator: Simulator) -> None:
    under_way: list[int] = [0]
    most: list[int] = [0]

    async def slow(_: web.Request, __: bytes) -> web.Response:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0.02)
        under_way[0] -= 1
        return web.Response(body=b"{}")

    simulator.answers[PATH] = slow

    async def run(base_url: str) -> None:
        async with fetcher(base_url, max_connections=3) as opened:
            await asyncio.gather(*(opened.fetch_endpoints(Target.parse(PATH)) for _ in range(12)))

    with serving(simulator) as base_url:
        asyncio.run(run(base_url))
    assert most == [3]


def test_requests_are_spread_at_the_rate_asked_for(simulator: Simulator) -> None:
    async def run(base_url: str) -> float:
        given = Settings(openrouter_base_url=base_url, requests_per_second=50)
        async with Fetcher(given) as opened:
            started = asyncio.get_running_loop().time()
            await asyncio.gather(*(opened.fetch_endpoints(Target.parse(PATH)) for _ in range(11)))
            return asyncio.get_running_loop().time() - started

    with serving(simulator) as base_url:
        assert asyncio.run(run(base_url)) >= 0.19


def test_a_host_name_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    response = fetch("http://nowhere.invalid/api/v1")
    assert (response.reached, response.error) == (False, "host name not found")


def test_a_server_that_speaks_no_tls_is_named(simulator: Simulator) -> None:
    with serving(simulator) as base_url:
        response = fetch(base_url.replace("http:", "https:"))
    assert (response.reached, response.error) == (False, "the server does not speak TLS")


def test_a_refused_connection_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        response = fetch(f"http://127.0.0.1:{probe.getsockname()[1]}/api/v1")
    assert (response.reached, response.error) == (False, "connection refused")


def test_the_listing_is_followed_over_all_its_pages() -> None:
    simulator = Simulator(market=Market(models=1200), clock=lambda: NOON)
    with serving(simulator) as base_url:
        assert len(fetch_models(base_url)) == 1201
    assert all("output_modalities=all" in asked for asked, _ in simulator.requests)
    assert len(simulator.requests) == 3


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "a web page, not JSON"),
        (b'{"data": {}}', "not a list of models"),
        (b'{"data": [{"name": "x"}]}', "not a list of models"),
        (b'[{"id": "a/b"}]', "not a list of models"),
        (b'{"data": [], "links": {"next": "https://127.0.0.2/steal"}}', "its next page is another host: 127.0.0.2"),
        (b'{"data": [], "links": {"next": "?output_modalities=all"}}', "its pages have no end"),
    ],
)
def test_a_listing_that_cannot_be_had_is_told(simulator: Simulator, body: bytes, told: str) -> None:
    simulator.answers["models"] = faults.answer(200, body)
    with serving(simulator) as base_url, pytest.raises(HistoryError, match=told):
        fetch_models(base_url)


def test_an_odd_entry_of_the_listing_costs_itself(simulator: Simulator) -> None:
    body = b'{"data": [{"id": "a/b"}, {"id": null}, 7, {"id": "c/d"}]}'
    simulator.answers["models"] = faults.answer(200, body)
    with serving(simulator) as base_url:
        assert fetch_models(base_url) == ["a/b", "c/d"]


def test_an_api_that_is_away_is_told_as_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(UnreachableError, match="can't be reached: connection refused"):
            fetch_models(f"http://127.0.0.1:{probe.getsockname()[1]}/api/v1")
