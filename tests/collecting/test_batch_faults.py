"""Errors that nobody foresaw, anywhere between fetching and storing: they cost what they concern, and one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from endpoint_history.archive.bundles import BundleWriter
from endpoint_history.collecting import batch as walk
from endpoint_history.collecting import run as collection
from endpoint_history.collecting.batch import BatchStep, LiveRun
from endpoint_history.collecting.summary import RunSummary
from endpoint_history.errors import HistoryError, unexpected
from endpoint_history.loading import bundles as loading
from endpoint_history.openrouter.client import Fetcher, Response
from endpoint_history.parsing import safe_parse
from endpoint_history.settings import Settings
from models.observation import Observation
from models.tables import observations, runs
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import archived, collect, count, is_told_by_its_archive, settings

PATHS = Market(models=12).paths()
BAD = PATHS[3]
UNEXPECTED = "unexpected error: RuntimeError: nobody foresaw this"


@pytest.fixture(autouse=True)
def _asking_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.fixture
def given(sqlite_template: Path) -> Iterator[Settings]:
    shutil.copy(sqlite_template, "history.db")
    with serving(Simulator(Market(models=12))) as base_url:
        yield settings("sqlite:///history.db", base_url, request_timeout_seconds=20)


def url_of(given: Settings) -> str:
    return given.database_url.get_secret_value()


def failing(patch: pytest.MonkeyPatch, place: Any, name: str, concerns: Any) -> None:
    """Make a function raise for the arguments that `concerns` picks."""
    original = getattr(place, name)

    def broken(*arguments: Any, **options: Any) -> Any:
        if concerns(*arguments):
            raise RuntimeError("nobody foresaw this")
        return original(*arguments, **options)

    patch.setattr(place, name, broken)


def test_a_body_that_breaks_the_parser_fails_alone_and_stays_in_the_archive(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(patch, safe_parse, "read_observation", lambda look: str(look.target) == BAD)
        collected = collect(given, PATHS)
    ((target, reason),) = collected.summary.failed
    assert (target, collected.exit_code) == (BAD, 3)
    assert reason.startswith(f"this version can't read the body: {UNEXPECTED} (test_batch_faults.py, line ")
    assert sum(look.body is not None for look in archived()) == len(PATHS)


def test_an_answer_that_cannot_be_asked_for_fails_alone(given: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Fetcher, url: str) -> tuple[Response, bool]:
        if f"/{BAD}/" in url:
            raise RuntimeError("nobody foresaw this")
        return await original(self, url)

    original = Fetcher._request
    monkeypatch.setattr(Fetcher, "_request", broken)
    collected = collect(given, PATHS)
    ((target, reason),) = collected.summary.failed
    assert (target, collected.exit_code, reason.startswith(UNEXPECTED)) == (BAD, 3, True)
    assert is_told_by_its_archive(url_of(given))


def test_an_answer_that_cannot_be_archived_costs_itself(given: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, BundleWriter, "add", lambda _, look: str(look.target) == BAD)
    collected = collect(given, PATHS)
    assert (collected.observed, collected.exit_code) == (len(PATHS) - 1, 3)
    assert collected.troubles[0].startswith(f"{BAD} can't be archived: {UNEXPECTED}")
    assert is_told_by_its_archive(url_of(given))


def test_an_observation_that_cannot_be_stored_waits_alone_and_is_loaded_later(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def concerns(_: Any, read: Any) -> bool:
        return any(str(observation.target) == BAD for observation, _ in read)

    with monkeypatch.context() as patch:
        failing(patch, walk, "store", concerns)
        failing(patch, loading, "store", concerns)
        first = collect(given, PATHS)
        second = collect(given, PATHS[:1], minute=30)
    assert (first.observed, first.waiting, first.exit_code) == (len(PATHS) - 1, 1, 3)
    assert (first.waiting_reason or "").startswith(f"{BAD} can't be stored: {UNEXPECTED}")
    assert UNEXPECTED in second.troubles[0]
    assert (second.summary.ok, second.exit_code) == (1, 0)
    third = collect(given, PATHS[:1], minute=60)
    assert (third.troubles, count(url_of(given), runs, runs.c.finished_at.is_(None))) == ([], 0)
    assert is_told_by_its_archive(url_of(given))


def test_a_batch_that_fails_stops_no_other_and_is_loaded_later(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_LEAST_BATCH", 1)
    monkeypatch.setattr(walk, "_MOST_BATCHES", len(PATHS))

    def step(of: LiveRun) -> BatchStep:
        async def batch(targets: Any) -> None:
            if str(targets[0]) == BAD:
                await of._observe(targets[0])  # fetched and archived, and not stored
                raise RuntimeError("nobody foresaw this")
            await of.collect_batch(targets)

        return batch

    collected = collect(given, PATHS, step=step)
    assert (collected.observed, collected.waiting, collected.exit_code) == (len(PATHS) - 1, 1, 3)
    assert collected.troubles[0].startswith(f"{BAD} and 0 more were not collected completely: {UNEXPECTED}")
    assert collect(given, PATHS[:1], minute=30).troubles == []
    assert count(url_of(given), observations, observations.c.outcome == "ok") == len(PATHS) + 1
    assert is_told_by_its_archive(url_of(given))


def test_a_progress_display_that_fails_costs_nothing(given: Settings) -> None:
    def broken(*_: int) -> None:
        raise RuntimeError("nobody foresaw this")

    assert collect(given, PATHS, progress=broken).exit_code == 0


def test_an_error_after_all_is_stored_is_one_line_that_says_what_is_kept(
    given: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> RunSummary:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(collection, "summarize_run", broken)
    with pytest.raises(HistoryError, match=rf"^{UNEXPECTED} \(.*\); all {len(PATHS)} answers are kept in the archive"):
        collect(given, PATHS)
    assert count(url_of(given), observations, observations.c.outcome == "ok") == len(PATHS)


def test_an_unexpected_error_is_one_printable_line() -> None:
    def bodies(*_: Observation) -> None:
        raise ValueError("two\nlines \x1b[31m" + "x" * 1000)

    def raised() -> str:
        try:
            bodies()
        except ValueError as error:
            return unexpected(ExceptionGroup("several", [error]))
        return ""

    line = raised()
    assert line.startswith("unexpected error: ValueError: two lines \ufffd[31mxxx")
    assert line.isprintable()
    assert len(line) < 300
