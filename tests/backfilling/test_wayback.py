"""`endpoint-history backfill wayback` against a simulated archive that makes every trouble at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.captures import polite
from endpoint_history.database.engine import opened, upgrade
from endpoint_history.errors import ConfigurationError
from endpoint_history.loading.rebuild import verify
from endpoint_history.settings import Settings
from models.tables import observations
from simulator import faults
from simulator.market import Market
from simulator.wayback import Archive as SimulatedArchive
from simulator.wayback import Saved, serving_wayback
from tests.cli.test_app import Command, command
from tests.reference.store import without_provenance
from tests.sources.test_wayback import listed
from tests.support.collecting import count, history
from tests.support.prefect_server import ROOT, until

__all__ = ["command"]

MARKET = Market(models=4)
PATHS = MARKET.paths()
FILES = "sqlite:///files.db"
CDX = "/cdx/search/cdx"


class Storm(faults.Faults):
    """Every address fails the first time that it is asked for, every second listing too, in one of three ways."""

    def __init__(self) -> None:
        super().__init__([])
        self.drawn: Counter[str] = Counter()

    def draw(self, path: str) -> faults.Handler | None:
        self.drawn[path] += 1
        fails = self.drawn[path] == 1 or (path == CDX and self.drawn[path] % 2)
        too_many = faults.answer(429, b"<html>slow down</html>", {"Retry-After": "0"})
        kinds = [too_many, faults.KINDS["503"], faults.KINDS["reset"]]
        return kinds[len(self.drawn) % 3] if fails else None


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def there() -> SimulatedArchive:
    return SimulatedArchive(MARKET, faults=Storm())


def given(there: SimulatedArchive) -> list[tuple[str, Saved]]:
    """What the archive gave, by path: the captures that were asked for, or led to, and that are not lost."""
    asked = {url for url, _ in there.requests}
    return [(path, saved) for path in PATHS for saved in there.saved(path) if not saved.lost and saved.place in asked]


def save(captures: list[tuple[str, Saved]]) -> None:
    Path("saved").mkdir()
    for path, saved in captures:
        (Path("saved") / f"{path.replace('/', '__')}__{saved.at:%Y%m%dT%H%M%SZ}.json").write_bytes(saved.body)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_through_every_trouble_the_same_history_comes_as_from_files(
    command: Command, there: SimulatedArchive, database_url: str
) -> None:
    upgrade(database_url)
    with serving_wayback(there) as base_url:
        words = ("wayback", *PATHS, "--base-url", base_url)
        code, out, err = command("backfill", *words, DATABASE_URL=database_url, REQUESTS_PER_SECOND="0")
    captures = given(there)
    told = f"Read       {len(captures)}: {len(captures)} new, 0 known, 0 not wanted\nRefused    0\n"
    assert (code, out[: len(told)]) == (0, told)
    assert "Traceback" not in err
    listed = {saved.place for path in PATHS for saved in there.saved(path) if saved.lost}
    assert listed & {url for url, _ in there.requests}, "no redirect was met"
    assert any(saved.raw for _, saved in captures), "no gzip was met"
    with opened(database_url) as engine:
        assert verify(engine, Archive("data/archive"))[1] == []

    save(captures)
    upgrade(FILES)
    rules = ("--time", "name:%Y%m%dT%H%M%SZ", "--target", "name:{author}__{slug}__")
    assert command("backfill", "files", "saved", *rules, DATABASE_URL=FILES, ARCHIVE_URL="files")[0] == 0
    assert without_provenance(history(database_url)) == without_provenance(history(FILES))


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_what_the_database_holds_is_not_asked_for_again(
    command: Command, there: SimulatedArchive, database_url: str
) -> None:
    upgrade(database_url)
    with serving_wayback(there) as base_url:
        words = ("backfill", "wayback", *PATHS, "--base-url", base_url)
        command(*words, DATABASE_URL=database_url, REQUESTS_PER_SECOND="0")
        before = history(database_url)
        held = {saved.place for _, saved in given(there)}
        there.requests.clear()
        dry = command(*words, "--dry-run")[1]
        code, out, _ = command(*words)
    again = [url for url, _ in there.requests if "/web/" in url]
    assert (code, out.splitlines()[0].split(": ")[1].split(", ")[0]) == (0, "0 new")
    assert dry.splitlines()[0] == out.splitlines()[0]
    assert "Run " not in out
    # Nobody can know where a lost capture leads, before it is asked for.
    led = sum(url in held for url in again)
    assert 0 < led == len(again) - led
    assert history(database_url) == before


def test_a_walk_that_the_archive_cut_off_goes_on_where_it_was(command: Command, there: SimulatedArchive) -> None:
    url = "sqlite:///history.db"
    upgrade(url)
    with serving_wayback(there) as base_url:
        words = ("backfill", "wayback", *PATHS, "--base-url", base_url)
        there.rows = 100
        there.answers = {saved.place: faults.KINDS["reset"] for saved in there.saved(PATHS[3])}
        code, out, err = command(*words, DATABASE_URL=url, REQUESTS_PER_SECOND="0")
        assert (code, out) == (1, "")
        assert f"endpoint-history: {base_url} can't be reached: connection closed without an answer" in err
        kept = count(url, observations)
        assert kept > 0
        there.answers = {}
        code, out, _ = command(*words)
    assert code == 0
    assert f" {kept} known" in out.splitlines()[0]


def test_ctrl_c_ends_a_walk_in_one_line_and_keeps_what_came(command: Command) -> None:
    url = "sqlite:///history.db"
    upgrade(url)
    there = SimulatedArchive(MARKET, rows=100)
    hanging = [saved.place for saved in listed(there, PATHS[3]) if not saved.lost][8]
    there.answers[hanging] = faults.KINDS["hang"]
    with serving_wayback(there) as base_url:
        words = [sys.executable, "-m", "endpoint_history", "backfill", "wayback", PATHS[3], "--base-url", base_url]
        variables = {"DATABASE_URL": url, "REQUESTS_PER_SECOND": "0", "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            words, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            until(lambda: hanging in {asked for asked, _ in there.requests}, 60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "\nendpoint-history: stopped; the next collect loads what was archived so far\n"
    assert count(url, observations) > 4


@pytest.mark.parametrize("listing", [b"[]", b'[["timestamp", "original"]]'])
@pytest.mark.parametrize("way", [(), ("--dry-run",)])
def test_an_archive_without_a_capture_says_so(
    command: Command, there: SimulatedArchive, database_url: str, listing: bytes, way: tuple[str, ...]
) -> None:
    there.answers[CDX] = faults.answer(200, listing)
    there.faults = faults.Faults([])
    with serving_wayback(there) as base_url:
        words = ["--base-url", base_url, "--since", "2026-05-01", *way]
        code, printed, error = command("backfill", "wayback", *PATHS, *words, DATABASE_URL=database_url)
    names = ", ".join(PATHS[:3])
    assert (code, printed) == (1, "")
    more = len(PATHS) - 3
    assert error.splitlines()[-1] == (
        f"endpoint-history: {base_url} has no capture of {names} and {more} more from 2026-05-01 00:00"
    )


@pytest.mark.parametrize(
    ("rate", "url", "polite_rate"),
    [
        (5, "https://web.archive.org", 1),
        (0, "https://web.archive.org/", 1),
        (0.5, "https://web.archive.org", 0.5),
        (5, "https://127.0.0.1.example", 1),
        (5, "http://127.0.0.1:80", 5),
        (0, "http://localhost", 0),
    ],
)
def test_somebody_else_s_archive_is_asked_slowly_and_gets_no_key(rate: float, url: str, polite_rate: float) -> None:
    settings = polite(Settings(requests_per_second=rate, openrouter_api_key="secret"), url)  # type: ignore[arg-type]
    assert (settings.requests_per_second, settings.api_key) == (polite_rate, None)


@pytest.mark.parametrize(
    "url", ["ftp://x", "nonsense", "http://", "https://me:sesame@x", "https://x?y=1", "http://x:0"]
)
def test_an_archive_that_cannot_be_meant_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base-url: expected an http or https address") as told:
        polite(Settings(), url)
    assert "sesame" not in str(told.value)
