"""A simulated Wayback Machine that saved pages of the simulated OpenRouter, over HTTP on loopback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from random import Random
from urllib.parse import quote_plus, unquote_plus

from aiohttp import web

from simulator.market import Market
from simulator.server import Simulator, serving

_PAGE = re.compile(r"(?:https?://)?openrouter\.ai(?::\d+)?/api/v1/models/(?P<path>.+)/endpoints/?")
_COLUMNS = ["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]
_SPELLINGS = (
    "https://openrouter.ai/api/v1/models/{}/endpoints",
    "http://openrouter.ai:80/api/v1/models/{}/endpoints",
    "https://openrouter.ai/api/v1/models/{}/endpoints/",
)


@dataclass(frozen=True, slots=True)
class Saved:
    """One capture. A `lost` one is listed, and its address leads to the nearest that is not; a `raw` one is gzip
    without a header that says so.
    """

    at: datetime
    original: str
    body: bytes
    lost: bool
    raw: bool

    @property
    def timestamp(self) -> str:
        """The time in 14 digits."""
        return f"{self.at:%Y%m%d%H%M%S}"

    @property
    def digest(self) -> str:
        """SHA-1 in base 32, as CDX servers give it."""
        return base64.b32encode(hashlib.sha1(self.body, usedforsecurity=False).digest()).decode()

    @property
    def place(self) -> str:
        """The path of its address."""
        return f"/web/{self.timestamp}id_/{self.original}"


@dataclass(slots=True)
class Archive(Simulator):
    """Answers as a Wayback Machine does. What it saved is a function of the market, `seed`, `begins` and `days`.

    `answers` and the rules of `faults` go by the path of the request; a listing has at most `rows` captures.
    """

    seed: int = 1
    begins: datetime = datetime(2026, 2, 1, tzinfo=UTC)
    days: int = 20
    rows: int = 5

    def application(self) -> web.Application:
        """The application to be served."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/cdx/search/cdx", self._listing),
                web.get(r"/web/{timestamp:\d+}id_/{original:.+}", self._capture),
                web.get("/{rest:.*}", self._unknown),
            ]
        )
        return application

    def saved(self, path: str) -> list[Saved]:
        """The captures of a path's page in the order of time; none of a path that the market does not know."""
        return _saved(self.market, path, self.seed, self.begins, self.days)

    async def _listing(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        # Servers of this kind give their key encoded, and decode what they get for it once more.
        after = unquote_plus(query.get("resumeKey", "")).rpartition(" ")[2]
        chosen = [
            saved
            for saved in self.saved(_path_of(query["url"]))
            if query.get("from", "") <= saved.timestamp <= query.get("to", "9") and saved.timestamp > after
        ]
        if query.get("collapse") == "digest":
            chosen = [next(equal) for _, equal in groupby(chosen, key=lambda saved: saved.digest)]
        most = min(self.rows, int(query.get("limit", self.rows)))
        table = [_COLUMNS, *map(_row, chosen[:most])] if chosen else []
        if chosen[most:] and query.get("showResumeKey") == "true":
            last = chosen[most - 1]
            table += [[], [quote_plus(f"{_url_key(last)} {last.timestamp}")]]
        return await self._answer(request, request.path, 200, json.dumps(table).encode())

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        asked = request.match_info["timestamp"]
        there = [saved for saved in self.saved(_path_of(request.match_info["original"])) if not saved.lost]
        if not there:
            return await self._answer(request, request.path, 404, b"<html>Not in the archive</html>")
        # By digits, and not by seconds: what is asked for may be no time at all.
        nearest = min(there, key=lambda saved: abs(int(saved.timestamp) - int(asked.ljust(14, "0")[:14])))
        if nearest.timestamp == asked:
            body = gzip.compress(nearest.body, mtime=0) if nearest.raw else nearest.body
            return await self._answer(request, request.path, 200, body)
        response = await self._answer(request, request.path, 302, b"")
        if response.status == 302:  # noqa: PLR2004 - no fault came between
            response.headers.setdefault("Location", nearest.place)
        return response


@contextmanager
def serving_wayback(archive: Archive, port: int = 0) -> Iterator[str]:
    """Serve from a thread; yields the archive's base URL. Port 0 takes a free one."""
    with serving(archive, port) as api:
        yield api.removesuffix("/api/v1")


@cache
def _saved(market: Market, path: str, seed: int, begins: datetime, days: int) -> list[Saved]:
    chance = Random(f"{seed} {path}")  # noqa: S311 - a simulation
    found: list[Saved] = []
    at = begins
    while at < begins + timedelta(days=days):
        if chance.random() < 0.3:  # noqa: PLR2004 - soon again: within the hour, in which the market stays as it is
            at += timedelta(seconds=chance.randrange(1, max(2, 3600 - at.minute * 60 - at.second)))
        else:
            at += timedelta(hours=chance.choice((1, 5, 30, 80)), seconds=chance.randrange(3600))
        body = market.body(path, at)
        original = chance.choices(_SPELLINGS, (8, 1, 1))[0].format(path)
        lost, raw = chance.random() < 0.15, chance.random() < 0.2  # noqa: PLR2004
        if body:
            found.append(Saved(at, original, json.dumps(body).encode(), lost, raw))
    return found


def _row(saved: Saved) -> list[str]:
    return [
        _url_key(saved),
        saved.timestamp,
        saved.original,
        "application/json",
        "200",
        saved.digest,
        str(len(saved.body)),
    ]


def _url_key(saved: Saved) -> str:
    return f"ai,openrouter)/api/v1/models/{_path_of(saved.original)}/endpoints"


def _path_of(url: str) -> str:
    match = _PAGE.fullmatch(url)
    return match["path"] if match else ""
