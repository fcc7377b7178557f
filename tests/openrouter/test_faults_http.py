"""Every fault of HTTP in a walk between two good ones: what is told, what is kept, and what history becomes of it.

The history must be the one that `reference.store` works out of all that was really seen, and that of walks without
any fault, but for the looks that failed.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stamina

from endpoint_history.collecting.run import Collected
from endpoint_history.errors import UnreachableError
from endpoint_history.parsing.body import read_observation
from models.observation import Observation
from models.tables import observations
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.reference.store import history_of
from tests.support.collecting import ARCHIVE, archived, collect, count, settings, stored
from tests.support.factories import at
from tests.support.postgres import free_port

MARKET = Market(models=60)
PATHS = MARKET.paths()
SOME = PATHS[:20]
PATIENT = {"request_timeout_seconds": 20}
DAYS = (0, 4, 9)  # between them prices move, and endpoints come and leave
CALM = "calm"

PAGE = "HTTP {}: a web page, not JSON"
CUT = r"connection closed in the middle of the body \(of \d+ bytes\)"
# What is told of each, and what is kept of its answer.
FAILING: dict[str, tuple[str, str]] = {
    "429": ("HTTP 429: Rate limit exceeded", "its body"),
    "429-date": ("HTTP 429: Rate limit exceeded", "its body"),
    "429-bare": ("HTTP 429: Rate limit exceeded", "its body"),
    "500": ("HTTP 500: Internal Server Error", "its body"),
    "502": (PAGE.format(502), "its body"),
    "503": ("HTTP 503: Service Unavailable", "its body"),
    "504": (PAGE.format(504), "its body"),
    "522": (PAGE.format(522), "its body"),
    "html": ("a web page, not JSON", "its body"),
    "empty": ("empty", "its body"),
    "notjson": ("not JSON: .* at character 1", "its body"),
    "not-utf8": ("not UTF-8 at byte 10", "its body"),
    "deep": ("nested too deeply", "its body"),
    "error-in-200": ("an error body under HTTP 200: Internal Server Error", "its body"),
    "wrong-shape": ("wrong shape: data.id .*", "its body"),
    "gone-page": (PAGE.format(404), "its body"),
    "redirect-away": ("redirect to another host: 127.0.0.2", "nothing"),
    "redirect-loop": ("more than 5 redirects", "nothing"),
    "truncate": (CUT, "a part"),
    "cut-chunks": (CUT.replace(r"\d+", "unknown"), "a part"),
    "cut-close": ("not JSON: .*", "a part"),
    "reset": ("connection closed without an answer", "nothing"),
    "hang": ("no answer within 2 s", "nothing"),
    "hang-in-body": ("no whole answer within 2 s", "a part"),
    "drip": ("no whole answer within 6 s", "a part"),
    "bomb": ("body larger than 5 MiB", "nothing"),
    "damaged-gzip": ("gzip cut before its end", "its body"),
    "large": ("body larger than 5 MiB", "nothing"),
}
HARMLESS = ["redirect", "wrong-type"]
FAULTY = dict(zip(PATHS[::2], [*FAILING, *HARMLESS], strict=False))  # each beside a path that answers well


@pytest.fixture(autouse=True)
def _asking_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(MARKET)


@pytest.fixture
def calm_url(sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, f"{CALM}.db")
    return f"sqlite:///{CALM}.db"


@dataclass
class Walks:
    """Walks of so many days after MORNING over these targets: one that is disturbed, between two that are not."""

    simulator: Simulator
    url: str
    base_url: str
    targets: list[str]

    def walk(self, day: int, base_url: str = "", folder: str = ARCHIVE, url: str = "", **fields: Any) -> Collected:
        self.simulator.clock = lambda: at(day * 1440)
        given = settings(url or self.url, base_url or self.base_url, **{"archive_url": folder, **PATIENT, **fields})
        return collect(given, self.targets, day * 1440)

    @contextmanager
    def around(self) -> Iterator[None]:
        assert self.walk(DAYS[0]).exit_code == 0
        yield
        self.simulator.answers.clear()
        assert self.walk(DAYS[2]).exit_code == 0

    def assert_history(self, calm_url: str, failed: Iterable[str]) -> None:
        """It is that of all that was had, and that of calm walks but for what failed."""
        assert [self.walk(day, folder=CALM, url=calm_url).exit_code for day in DAYS] == [0, 0, 0]
        lost = {(path, DAYS[1]) for path in failed}
        calm = [look for look in archived(CALM) if (str(look.target), day_of(look)) not in lost]
        had = [look for look in archived() if read_observation(look).outcome != "failed"]
        assert len(had) == len(calm)
        assert stored(self.url) == history_of(archived())
        assert stored(self.url) == history_of(calm)


def day_of(look: Observation) -> int:
    return (look.observed_at - at(0)).days


def kept() -> dict[str, str]:
    """Of each kind, what of its answer lies in the archive: nothing, a part of the good body, or its own body."""
    found = {}
    for look in archived():
        kind = FAULTY.get(str(look.target))
        if kind in FAILING and day_of(look) == DAYS[1]:
            good = json.dumps(MARKET.body(str(look.target), look.observed_at)).encode()
            is_part = bool(look.body) and good.startswith(look.body or b"") and look.body != good
            found[kind] = "nothing" if look.body is None else "a part" if is_part else "its body"
    return found


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_no_fault_changes_what_the_others_prove(simulator: Simulator, database_url: str, calm_url: str) -> None:
    handlers = faults.KINDS | {"429-date": faults.too_many_until(lambda: at(DAYS[1] * 1440))}
    with serving(simulator) as base_url:
        walks = Walks(simulator, database_url, base_url, PATHS)
        with walks.around():
            simulator.answers = {path: handlers[kind] for path, kind in FAULTY.items()}
            collected = walks.walk(DAYS[1], request_timeout_seconds=2)
        assert collected.exit_code == 3
        told = {FAULTY.get(path, path): reason for path, reason in collected.summary.failed}
        assert told.keys() == FAILING.keys()
        assert {kind: why for kind, why in told.items() if not re.fullmatch(FAILING[kind][0], why)} == {}
        assert kept() == {kind: kept for kind, (_, kept) in FAILING.items()}
        walks.assert_history(calm_url, [path for path, _ in collected.summary.failed])


def test_every_kind_of_fault_is_in_that_walk() -> None:
    assert {*FAULTY.values(), "gone"} == faults.KINDS.keys()  # that one is no fault, but the truth


@pytest.mark.slow_unless(database_url=["sqlite"], why=["connection refused"])
@pytest.mark.parametrize("why", ["connection refused", "host name not found", "the server does not speak TLS"])
def test_a_server_that_is_away_changes_nothing(
    simulator: Simulator, database_url: str, calm_url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def known(host: Any, *more: Any, **options: Any) -> Any:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    with serving(simulator) as base_url:
        away = {
            "connection refused": f"http://127.0.0.1:{free_port()}/api/v1",
            "host name not found": "http://nowhere.invalid/api/v1",
        }.get(why, base_url.replace("http:", "https:"))
        walks = Walks(simulator, database_url, base_url, SOME)
        with walks.around(), pytest.raises(UnreachableError, match=f"^{away} can't be reached: {why}"):
            walks.walk(DAYS[1], away)
        assert 12 <= count(database_url, observations, observations.c.outcome == "failed") <= len(SOME)
        walks.assert_history(calm_url, SOME)


def test_a_server_that_wants_silence_changes_nothing(simulator: Simulator, database_url: str, calm_url: str) -> None:
    with serving(simulator) as base_url:
        walks = Walks(simulator, database_url, base_url, SOME)
        with walks.around():
            simulator.answers = {SOME[3]: faults.answer(429, b"slow down", {"Retry-After": "3600"})}
            collected = walks.walk(DAYS[1], max_connections=2)
        assert collected.exit_code == 3
        reasons = dict(collected.summary.failed)
        assert sum("the server wants silence for another" in why for why in reasons.values()) > len(SOME) // 2
        walks.assert_history(calm_url, reasons)
