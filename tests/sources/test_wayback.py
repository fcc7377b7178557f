"""The archive as a source of bodies, against a simulated one on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
import stamina

from endpoint_history.errors import HistoryError
from endpoint_history.io.decode import MAX_BODY_BYTES
from endpoint_history.openrouter.client import Fetcher
from endpoint_history.openrouter.rate_limit import Politeness
from endpoint_history.refusals import Refused
from endpoint_history.settings import Settings
from endpoint_history.sources.items import KnownBody, SavedBody
from endpoint_history.sources.wayback.source import open_wayback
from models.observation import Target
from simulator import faults
from simulator.market import Market
from simulator.wayback import Archive, Saved, serving_wayback
from tests.support.raw_http import raw_server, response

PATHS = [path for path in Market().paths() if len({saved.digest for saved in Archive().saved(path)}) > 8][:3]
PATH = PATHS[0]
CDX = "/cdx/search/cdx"
COLUMNS = ["timestamp", "original"]
Item = tuple[int, int, SavedBody | Refused | KnownBody]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def archive() -> Archive:
    return Archive()


class Clock:
    """A monotonic clock that goes only where somebody sleeps."""

    at = 100.0

    def seconds(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def walk(base_url: str, *paths: str, most: int | None = None, **options: Any) -> list[Item]:
    """What the source gives for these paths; with `most`, only the first so many."""

    async def run() -> list[Item]:
        settings = Settings(openrouter_base_url=base_url, max_connections=2)
        clock = Clock()
        politeness = Politeness(0, 2, seconds=clock.seconds, sleep=clock.sleep)
        async with Fetcher(settings, politeness=politeness) as fetcher:
            source = open_wayback(fetcher.get, [Target.parse(path) for path in paths], base_url=base_url, **options)
            items = []
            async with aclosing(source) as given:
                async for item in given:
                    items.append(item)
                    if len(items) == most:
                        break
            return items

    return asyncio.run(run())


def walked(archive: Archive, *paths: str, **options: Any) -> tuple[list[SavedBody], list[Refused]]:
    with serving_wayback(archive) as base_url:
        items = [item for _, _, item in walk(base_url, *(paths or (PATH,)), **options)]
    return [item for item in items if isinstance(item, SavedBody)], [
        item for item in items if isinstance(item, Refused)
    ]


def listed(archive: Archive, path: str = PATH) -> list[Saved]:
    """The captures that a listing of the whole gives: the first of equal neighbours."""
    return [next(equal) for _, equal in groupby(archive.saved(path), key=lambda saved: saved.digest)]


def an_archive_of(*captures: tuple[str, faults.Handler], resume: list[Any] | None = None) -> Archive:
    """One listing with these captures (time in 14 digits), and what their addresses answer."""
    rows = [[at, original(PATH)] for at, _ in captures]
    archive = Archive(answers={CDX: faults.answer(200, json.dumps([COLUMNS, *rows, *(resume or [])]).encode())})
    archive.answers |= {place(at): handler for at, handler in captures}
    return archive


def original(path: str) -> str:
    return f"https://openrouter.ai/api/v1/models/{path}/endpoints"


def place(at: str, path: str = PATH) -> str:
    return f"/web/{at}id_/{original(path)}"


def good(body: bytes = b'{"data": 1}') -> faults.Handler:
    return faults.answer(200, body)


def asked(archive: Archive) -> list[str]:
    return [url for url, _ in archive.requests]


def test_the_simulated_archive_has_all_that_is_to_be_met() -> None:
    saved = [saved for path in PATHS for saved in Archive().saved(path)]
    assert any(one.lost for one in saved)
    assert any(one.raw for one in saved)
    assert any(len(listed(Archive(), path)) < len(Archive().saved(path)) for path in PATHS)
    assert len({one.original for one in saved}) > 2 * len(PATHS)
    assert saved == [saved for path in PATHS for saved in Archive().saved(path)]
    assert saved != [saved for path in PATHS for saved in Archive(seed=2).saved(path)]


def test_every_capture_comes_as_it_was_captured(archive: Archive) -> None:
    found, refused = walked(archive, *PATHS)
    truth = {(path, saved.at): saved.body for path in PATHS for saved in archive.saved(path)}
    assert refused == []
    for one in found:
        assert one.body == truth[str(one.target), one.observed_at]
    given = [(str(one.target), one.observed_at) for one in found]
    there = {(path, saved.at) for path in PATHS for saved in listed(archive, path) if not saved.lost}
    assert there <= set(given)
    assert len(given) == len(set(given))


def test_what_it_was_and_where_it_lay_is_told(archive: Archive) -> None:
    with serving_wayback(archive) as base_url:
        (_, _, found), *_ = walk(base_url, PATH)
    first = next(saved for saved in listed(archive) if not saved.lost)
    assert isinstance(found, SavedBody)
    assert (found.observed_at, found.target) == (first.at, Target.parse(PATH))
    assert found.observed_at.tzinfo is UTC
    assert found.origin == base_url + first.place


def test_listings_are_followed_to_their_end(archive: Archive) -> None:
    archive.rows = 2
    by_two, _ = walked(archive)
    assert sum(CDX in url for url in asked(archive)) > 3
    archive.rows = 1000
    at_once, _ = walked(archive)
    assert [(one.observed_at, one.body) for one in at_once] == [
        (one.observed_at, one.body) for one in by_two if one.observed_at in {other.observed_at for other in at_once}
    ]
    assert {one.body for one in at_once} == {one.body for one in by_two}


def test_progress_counts_captures_of_all_listings_known_so_far(archive: Archive) -> None:
    with serving_wayback(archive) as base_url:
        items = walk(base_url, *PATHS)
    counts = [(done, size) for done, size, _ in items]
    assert counts == sorted(counts)
    assert all(0 < done <= size for done, size in counts)
    assert counts[0][1] == archive.rows


def test_a_page_without_captures_gives_nothing(archive: Archive) -> None:
    assert walked(archive, "no/such") == ([], [])
    assert len(archive.requests) == 1


def test_only_the_time_asked_for_is_read(archive: Archive) -> None:
    times = [saved.at for saved in listed(archive) if not saved.lost]
    found, refused = walked(archive, since=times[2], until=times[6])
    assert {one.observed_at for one in found} >= set(times[2:6])
    assert all(times[2] <= one.observed_at < times[6] for one in found)
    assert all("outside the time asked for" in one.reason for one in refused)


def test_a_capture_listed_twice_is_fetched_once() -> None:
    archive = an_archive_of(("20260301000000", good()), ("20260301000000", good()), ("20260302000000", good()))
    found, _ = walked(archive)
    assert len(found) == 2
    assert len(asked(archive)) == 3


# The third of three days, under another spelling and from another archive.
HAD = f"https://web.archive.org/web/20260303000000id_/http://openrouter.ai:80/api/v1/models/{PATH}/endpoints/"


def the_third(target: Target, times: Sequence[datetime]) -> list[str]:
    assert (str(target), len(times)) == (PATH, 3)
    return ["saved/20260303000000.json", HAD]


def test_what_is_had_is_not_asked_for_again() -> None:
    days = [f"2026030{day}000000" for day in range(1, 4)]
    archive = an_archive_of(*((day, good(day.encode())) for day in [*days, days[2]]))
    with serving_wayback(archive) as base_url:
        known, *rest = walk(base_url, PATH, had=the_third)
    assert (known[:2], [item[:2] for item in rest]) == ((2, 4), [(3, 4), (4, 4)])
    assert known[2] == KnownBody(HAD)
    assert [item.body.decode() for _, _, item in rest if isinstance(item, SavedBody)] == days[:2]
    assert not any(days[2] in url for url in asked(archive))


def test_a_redirect_to_what_is_had_gives_nothing_new() -> None:
    days = [f"2026030{day}000000" for day in range(1, 4)]
    handlers = [faults.redirect(place(days[2])), good(), good()]
    archive = an_archive_of(*zip(days, handlers, strict=True))
    with serving_wayback(archive) as base_url:
        kinds = [type(item) for _, _, item in walk(base_url, PATH, had=the_third)]
    assert kinds == [KnownBody, SavedBody]


def test_a_redirect_to_a_neighbour_takes_the_neighbours_time() -> None:
    archive = an_archive_of(("20260301000000", faults.redirect(place("20260301000730"))))
    archive.answers[place("20260301000730")] = good(b"{}")
    (found,), refused = walked(archive)
    assert (found.observed_at, found.body) == (datetime(2026, 3, 1, 0, 7, 30, tzinfo=UTC), b"{}")
    assert found.origin.endswith(place("20260301000730"))
    assert refused == []


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("neighbour", range(4))
def test_a_capture_reached_twice_counts_once(lost: int, neighbour: int) -> None:
    times = [f"2026030{day}000000" for day in range(1, 5)]
    captures = [(at, good(at.encode())) for at in times]
    if lost != neighbour:
        captures[lost] = (times[lost], faults.redirect(place(times[neighbour])))
    found, refused = walked(an_archive_of(*captures))
    assert sorted(one.body.decode() for one in found) == [
        at for number, at in enumerate(times) if number != lost or lost == neighbour
    ]
    assert refused == []


def test_a_capture_that_failed_is_taken_where_a_redirect_brings_it() -> None:
    first, second = "20260301000000", "20260302000000"
    elsewhere = f"/web/{first}id_/http://openrouter.ai:80/api/v1/models/{PATH}/endpoints"
    archive = an_archive_of((first, faults.answer(404, b"")), (second, faults.redirect(elsewhere)))
    archive.answers[elsewhere] = good(b"{}")
    (found,), (refused,) = walked(archive)
    assert (found.observed_at.day, refused.reason) == (1, "HTTP 404")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (place("20260301000000", "other/model"), "led to another page: 'https://openrouter.ai/api/v1/models/other/"),
        ("/somewhere", "led to what is no capture"),
        (f"/web/20260301000001/{original(PATH)}", "led to what is no capture"),
        (place("2026"), "expected a time of 14 digits"),
        (place("20261301000000"), "there is no such time"),
        ("http://127.0.0.2:1/", "redirect to another host"),
        (place("20260301000000"), "more than 5 redirects"),
    ],
)
def test_a_redirect_elsewhere_is_refused(location: str, told: str) -> None:
    archive = an_archive_of(("20260301000000", faults.redirect(location)), ("20260302000000", good()))
    archive.answers.setdefault(location, good())
    found, (refused,) = walked(archive)
    assert told in refused.reason
    assert refused.origin.endswith(place("20260301000000"))
    assert len(found) == 1


def test_a_redirect_out_of_the_time_asked_for_is_refused() -> None:
    archive = an_archive_of(("20260301000000", faults.redirect(place("20260401000000"))))
    archive.answers[place("20260401000000")] = good()
    found, (refused,) = walked(archive, until=datetime(2026, 3, 2, tzinfo=UTC))
    assert refused.reason == "led to a capture outside the time asked for: 2026-04-01T00:00:00Z"
    assert found == []


def test_gzip_that_nobody_tells_of_is_undone() -> None:
    (found,), _ = walked(an_archive_of(("20260301000000", good(gzip.compress(b'{"data": 1.50}')))))
    assert found.body == b'{"data": 1.50}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (gzip.compress(b'{"data": 1}', mtime=0)[:-9], "gzip cut before its end"),
        (gzip.compress(b'{"data": 1}', mtime=0)[:11], "gzip cut before its end"),
        (b"\x1f\x8bnothing of that kind", "damaged gzip"),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1), mtime=0), "body larger than 5 MiB"),
        (gzip.compress(b"", mtime=0), "an empty body"),
        (b"", "an empty body"),
    ],
)
def test_a_body_that_cannot_be_had_whole_is_refused_and_the_rest_goes_on(body: bytes, told: str) -> None:
    found, (refused,) = walked(an_archive_of(("20260301000000", good(body)), ("20260302000000", good())))
    assert refused.reason == told
    assert len(found) == 1


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("429", "HTTP 429"),
        ("503", "HTTP 503"),
        ("gone", "HTTP 404"),
        ("reset", "connection closed without an answer"),
        ("truncate", "connection closed in the middle of the body"),
        ("large", "body larger than 5 MiB"),
    ],
)
def test_a_trouble_that_stays_is_refused_and_the_rest_goes_on(kind: str, told: str) -> None:
    async def handler(request: Any, _: bytes) -> Any:
        return await faults.KINDS[kind](request, b'{"data": 1}')

    days = ("20260301000000", "20260302000000", "20260303000000")
    found, (refused,) = walked(an_archive_of((days[0], handler), (days[1], good()), (days[2], good())))
    assert refused.reason.startswith(told)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("kind", "told"),
    [("429", "HTTP 429"), ("503", "HTTP 503"), ("html", "a web page, not JSON"), ("notjson", "not JSON")],
)
def test_a_listing_that_cannot_be_had_is_refused_and_the_next_target_goes_on(kind: str, told: str) -> None:
    archive = Archive()
    good_listing = json.dumps([COLUMNS, ["20260301000000", original("b/c")]]).encode()

    async def handler(request: Any, body: bytes) -> Any:
        chosen = good(good_listing) if "b/c" in request.query["url"] else faults.KINDS[kind]
        return await chosen(request, body)

    archive.answers = {CDX: handler, place("20260301000000", "b/c"): good()}
    (found,), (refused,) = walked(archive, PATH, "b/c")
    assert refused.reason.startswith(told)
    assert CDX in refused.origin
    assert found.target == Target("b", "c")


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        (
            faults.answer(403, b"org.x.RuntimeIOException: org.x.AccessControlException: Blocked Site Error\n"),
            "HTTP 403: Blocked Site Error",
        ),
        (
            faults.answer(200, b"org.x.RuntimeIOException: connect timed out\n"),
            "the archive answers: connect timed out",
        ),
        (faults.answer(403, b"<html>no</html>"), "HTTP 403: a web page"),
        (faults.answer(400, b"\x1b[31m\xff" + b"x" * 500), "HTTP 400: \ufffd[31m\ufffd" + "x" * 111 + "..."),
        (faults.answer(404, b""), "HTTP 404"),
    ],
)
def test_the_archives_own_reason_for_no_list_is_told(listing: faults.Handler, told: str) -> None:
    archive = Archive()
    archive.answers = {CDX: listing}
    found, (refused,) = walked(archive)
    assert (found, refused.reason) == ([], told)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nBad Header Line\r\n\r\n", "the answer is not valid HTTP: a header line can't be read"),
        (b"HTTP/1.1 302 SavedBody\r\nLocation: http://[::1\r\n\r\n", "redirect to an address that can't be read"),
        (b"HTTP/1.1 302 SavedBody\r\nLocation: http://u:p@127.0.0.1/\r\n\r\n", "redirect to an address with a user or"),
        (response(b"{}", b"Content-Encoding: br"), "content encoding 'br' is not supported"),
        (response(gzip.compress(b"{}") + b"more", b"Content-Encoding: gzip"), "bytes after the end of the gzip body"),
    ],
)
def test_a_capture_in_malformed_http_is_refused_and_the_rest_goes_on(raw: bytes, told: str) -> None:
    times = ["20260301000000", "20260302000000", "20260303000000"]
    listing = response(json.dumps([COLUMNS, *([time, original(PATH)] for time in times)]).encode())

    def answer(path: str, _: bytes) -> bytes:
        return listing if path.startswith(CDX) else raw if times[1] in path else response(b'{"data": 1}')

    with raw_server(answer) as base_url:
        items = [item for _, _, item in walk(base_url, PATH)]
    found, refused = [i for i in items if isinstance(i, SavedBody)], [i for i in items if isinstance(i, Refused)]
    assert len(found) == 2
    assert [one.reason.startswith(told) for one in refused] == [True]


def test_rows_that_cannot_be_read_are_refused_by_their_number() -> None:
    archive = an_archive_of(("20260301000000", good()), ("2026", good()), ("20260230000000", good()))
    found, refused = walked(archive)
    assert len(found) == 1
    assert [one.origin.rpartition(" row ")[2] for one in refused] == ["2", "3"]
    assert "expected a time of 14 digits" in refused[0].reason


def test_a_list_that_leads_back_to_itself_ends() -> None:
    archive = an_archive_of(("20260301000000", good()), resume=[[], ["again"]])
    found, (refused,) = walked(archive)
    assert refused.reason == "the list of captures has no end"
    assert len(found) == 1
    assert len(asked(archive)) == 3


def test_passing_troubles_leave_no_trace(archive: Archive) -> None:
    calm, _ = walked(archive, *PATHS)
    archive.faults = faults.Faults(["429:0.1", "503:0.1"])
    with stamina.set_testing(True, attempts=30):
        stormy, refused = walked(archive, *PATHS)
    assert refused == []
    assert {(one.target, one.observed_at, one.body) for one in stormy} == {
        (one.target, one.observed_at, one.body) for one in calm
    }


def test_an_archive_that_is_away_is_told_in_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(HistoryError) as told:
            walk(away, PATH)
    assert str(told.value) == f"{away} can't be reached: connection refused"


@pytest.mark.parametrize("silent", [4, 5])
def test_an_archive_that_stays_away_ends_the_walk(silent: int) -> None:
    days = [f"202603{day:02}000000" for day in range(1, 8)]
    handlers = [good(), *[faults.KINDS["reset"]] * silent, good()]
    archive = an_archive_of(*zip(days, handlers, strict=False))
    if silent == 4:
        assert [len(part) for part in walked(archive)] == [2, 4]
    else:
        with pytest.raises(HistoryError, match="can't be reached: connection closed without an answer"):
            walked(archive)


def test_an_archive_that_wants_long_silence_is_left_alone() -> None:
    days = [f"202603{day:02}000000" for day in range(1, 9)]
    busy = faults.answer(429, b"", {"Retry-After": "300"})
    archive = an_archive_of(*((day, busy) for day in days))
    with pytest.raises(HistoryError, match=r"is left alone: not asked: the server wants silence for another 300 s$"):
        walked(archive)
    assert len(asked(archive)) < 4


def test_an_answer_between_shows_that_the_archive_is_there() -> None:
    days = [f"202603{day:02}000000" for day in range(1, 10)]
    handlers = [faults.KINDS["reset"]] * 4 + [faults.KINDS["503"]] + [faults.KINDS["reset"]] * 4
    found, refused = walked(an_archive_of(*zip(days, handlers, strict=True)))
    assert (found, len(refused)) == ([], 9)


def test_a_walk_can_be_left_before_its_end(archive: Archive) -> None:
    with serving_wayback(archive) as base_url:
        assert len(walk(base_url, *PATHS, most=2)) == 2
    assert len(archive.requests) < 10


def test_odd_slugs_are_asked_for_as_they_are(archive: Archive) -> None:
    for path in ("~openai/gpt-latest", "deepseek/deepseek-r1:free", "a/b@c+d"):
        archive.answers[CDX] = faults.answer(200, json.dumps([COLUMNS, ["20260301000000", original(path)]]).encode())
        archive.answers[place("20260301000000", path)] = good()
        (found,), refused = walked(archive, path)
        assert (str(found.target), refused) == (path, [])


def test_the_market_is_found_again_in_what_was_captured(archive: Archive) -> None:
    found, _ = walked(archive)
    for one in found:
        assert json.loads(one.body) == archive.market.body(PATH, one.observed_at)
        assert one.observed_at < archive.begins + timedelta(days=archive.days + 5)
