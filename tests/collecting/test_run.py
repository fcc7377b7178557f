"""The main job from request to table, against the simulated OpenRouter and real databases."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
import stamina
from aiohttp import web
from pydantic import SecretStr

from endpoint_history.collecting.run import Collected, collect_targets
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.errors import ConfigurationError, HistoryError, UnreachableError
from endpoint_history.loading.bundles import load_bundles, pending_bundles
from endpoint_history.reporting.collect_report import headline, lines
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from models.tables import models, observations, pricing_snapshots, runs
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.collecting import archive, archived, collect, count, history, is_told_by_its_archive, settings
from tests.support.factories import a_body, an_endpoint, at

MARKET = Market(models=12)
PATHS = MARKET.paths()


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(MARKET, clock=lambda: at(0))


@pytest.fixture
def given(simulator: Simulator, database_url: str) -> Iterator[Settings]:
    upgrade(database_url)
    with serving(simulator) as base_url:
        yield settings(database_url, base_url)


def url_of(given: Settings) -> str:
    return given.database_url.get_secret_value()


def test_every_listed_model_is_collected_once(given: Settings) -> None:
    collected = collect(given)
    assert (collected.summary.ok, collected.summary.failed, collected.exit_code) == (13, [], 0)
    assert collected.summary.endpoints == count(url_of(given), pricing_snapshots)
    assert count(url_of(given), models) == 13


def test_every_body_is_in_the_archive_as_it_came(given: Settings) -> None:
    collect(given, PATHS)
    (name,) = archive().bundles()
    kept = {str(look.target): look.body for look in archive().load(name)}
    assert sorted(kept) == PATHS
    assert all(body and body.startswith(b'{"data"') for body in kept.values())


def test_the_database_can_be_built_anew_from_the_archive(given: Settings, tmp_path: str) -> None:
    for minute in (0, 60 * 24 * 3):
        collect(given, [*PATHS, "acme/unknown"], minute)
    rebuilt = f"sqlite:///{tmp_path}/rebuilt.db"
    upgrade(rebuilt)
    with opened(rebuilt) as engine:
        load_bundles(engine, archive(), pending_bundles(engine, archive()))
    assert history(rebuilt) == history(url_of(given))


def test_moves_of_prices_are_told_with_before_and_after(simulator: Simulator, given: Settings) -> None:
    simulator.answers[PATHS[0]] = faults.answer(200, _body("0.000001"))
    collect(given, PATHS[:1])
    simulator.answers[PATHS[0]] = faults.answer(200, _body("0.000002"))
    (move,) = collect(given, PATHS[:1], 30).summary.price_moves
    assert (move.key, str(move.before), str(move.after)) == ("prompt", "0.000001", "0.000002")


def test_one_failed_target_stops_no_other_and_is_named(simulator: Simulator, given: Settings) -> None:
    simulator.answers[PATHS[1]] = faults.KINDS["html"]
    collected = collect(given, PATHS)
    assert collected.summary.failed == [(PATHS[1], "a web page, not JSON")]
    assert (collected.observed, collected.exit_code) == (len(PATHS) - 1, 3)


def test_where_every_target_fails_the_exit_code_says_so(simulator: Simulator, given: Settings) -> None:
    simulator.answers |= dict.fromkeys(PATHS, faults.KINDS["500"])
    collected = collect(given, PATHS)
    assert (collected.observed, collected.exit_code) == (0, 1)
    assert count(url_of(given), observations, observations.c.outcome == "failed") == len(PATHS)


def test_a_second_name_of_a_model_is_said_once_and_counted_once(given: Settings) -> None:
    (older,) = MARKET.older_names()
    collected = collect(given, [older, MARKET.older_names()[older]])
    assert collected.summary.same_model == [(older, MARKET.older_names()[older])]
    assert count(url_of(given), models) == 1


def test_an_api_that_is_away_ends_the_run_early_with_one_line(given: Settings) -> None:
    away = given.model_copy(update={"openrouter_base_url": "http://127.0.0.1:9/api/v1"})
    with pytest.raises(UnreachableError, match=r"^http://127.0.0.1:9/api/v1 can't be reached: connection refused"):
        collect(away, [f"acme/m{n}" for n in range(200)])
    failed = count(url_of(given), observations, observations.c.outcome == "failed")
    assert failed >= 12
    assert count(url_of(given), runs, runs.c.finished_at.is_not(None) & (runs.c.failed == failed)) == 1


def test_a_pattern_that_matches_nothing_is_told_before_a_run_begins(given: Settings) -> None:
    with pytest.raises(ConfigurationError, match="'nobody/\\*' matches none of the 13 listed models"):
        collect(given, ["nobody/*"])
    assert count(url_of(given), runs) == 0


def test_two_collectors_at_once_neither_fail_nor_double(given: Settings) -> None:
    ended: list[Collected | BaseException] = []

    def run() -> None:
        try:
            ended.append(collect(given, PATHS, minute=len(ended)))
        except BaseException as error:  # noqa: BLE001 - the thread's failure is the test's
            ended.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [end.exit_code for end in ended if isinstance(end, Collected)] == [0, 0], ended
    assert count(url_of(given), models) == 13
    assert is_told_by_its_archive(url_of(given))


def test_a_clock_that_was_set_back_stops_nothing(simulator: Simulator, given: Settings) -> None:
    collect(given, PATHS, minute=30)
    simulator.clock = lambda: at(4 * 1440)
    times = iter([at(40), at(41), at(42), *[at(20)] * 1000])
    entries = TargetList.given(PATHS)
    asyncio.run(collect_targets(given, entries, clock=lambda: next(times)))
    assert collect(given, PATHS, minute=50).exit_code == 0
    assert is_told_by_its_archive(url_of(given))


def test_an_old_trouble_of_the_archive_keeps_no_run_from_looking(given: Settings) -> None:
    collect(given, PATHS)
    (bundle,) = Path("archive").rglob("*.jsonl.gz")
    bundle.with_name(f".{bundle.name.removesuffix('.gz')}.part").write_bytes(b'{"another": "line"}\n')
    collected = collect(given, PATHS, minute=30)
    assert collected.exit_code == 0
    assert [trouble.split(": ")[-1] for trouble in collected.troubles] == ["look at both and remove one"]


def test_an_archive_that_fails_at_the_end_costs_only_the_bundle(given: Settings) -> None:
    def take_away(done: int, total: int) -> None:
        if done == total:
            Path("archive/2026/05").rename("moved")
            Path("archive/2026/05").write_text("in the way")

    collected = collect(given, PATHS, progress=take_away)
    assert (collected.summary.ok, collected.exit_code, len(collected.troubles)) == (len(PATHS), 0, 1)
    assert count(url_of(given), runs, runs.c.finished_at.is_(None)) == 0


def test_a_server_that_falls_silent_is_not_asked_for_ever(simulator: Simulator, given: Settings) -> None:
    targets = [PATHS[0], *(f"zeta/m{n:03}" for n in range(80))]
    simulator.answers |= dict.fromkeys(targets[1:], faults.KINDS["reset"])
    collected = collect(given.model_copy(update={"max_connections": 1}), sorted(targets))
    reasons = [reason for _, reason in collected.summary.failed]
    assert len(reasons) == 80
    assert sum("no more was asked" in reason for reason in reasons) > 40
    assert is_told_by_its_archive(url_of(given))


def test_a_listing_that_fails_is_recalled_from_the_last_time(simulator: Simulator, given: Settings) -> None:
    collect(given)
    simulator.answers["models"] = faults.KINDS["503"]
    collected = collect(given, minute=30)
    assert (collected.summary.ok, collected.exit_code) == (13, 0)
    assert "using 13 targets of earlier collects instead" in collected.troubles[0]
    assert is_told_by_its_archive(url_of(given))


@pytest.mark.parametrize("listing", ['{"data": []}', '{"data": [{"id": "no target"}]}'])
def test_a_listing_of_no_models_is_recalled_from_the_last_time(
    simulator: Simulator, given: Settings, listing: str
) -> None:
    collect(given)
    simulator.answers["models"] = faults.answer(200, listing.encode())
    collected = collect(given, minute=30)
    assert (collected.summary.ok, collected.exit_code) == (13, 0)
    assert "using 13 targets of earlier collects instead" in collected.troubles[0]


def test_a_pattern_of_models_that_are_listed_no_more_stops_no_other(simulator: Simulator, given: Settings) -> None:
    first, last = PATHS[0], PATHS[-1]
    patterns = [f"{path.partition('/')[0]}/*" for path in (first, last)]
    collect(given, patterns)
    simulator.answers["models"] = faults.answer(200, json.dumps({"data": [{"id": first}]}).encode())
    collected = collect(given, patterns, minute=30)
    assert {first, last} <= {str(look.target) for look in archived() if look.observed_at >= at(30)}
    assert "matches none of the 1 listed models" in collected.troubles[0]


def test_a_pattern_that_never_matched_is_refused_with_a_suggestion(given: Settings) -> None:
    author = PATHS[0].partition("/")[0]
    with pytest.raises(ConfigurationError, match=f"did you mean '{author}/\\*'"):
        collect(given, [f"{author}x/*"])


def test_a_target_that_was_never_seen_is_not_asked_for_where_the_listing_fails(
    simulator: Simulator, given: Settings
) -> None:
    collect(given, [*PATHS[:2], PATHS[0].replace("/", "/x")])
    simulator.answers["models"] = faults.KINDS["503"]
    assert collect(given, ["*"], minute=30).targets == 2


def test_a_misspelt_target_is_not_found_and_gets_a_suggestion(given: Settings) -> None:
    misspelt = PATHS[0].replace("/", "/x")
    collected = collect(given, [PATHS[0], misspelt, "no/model"])
    assert [str(item) for item in collected.not_found] == [f"{misspelt}; did you mean {PATHS[0]}?", "no/model"]
    assert (collected.summary.never_seen, collected.observed, collected.exit_code) == ([], 1, 3)
    assert "2 not found" in headline(collected)
    assert list(lines(collected))[:3] == [
        "Targets    1 ok, 0 gone, 2 not found, 0 failed, of 3",
        f"  not found (never seen): {misspelt}; did you mean {PATHS[0]}?",
        "  not found (never seen): no/model",
    ]


def test_only_misspelt_targets_are_a_partial_failure_too(given: Settings) -> None:
    assert collect(given, ["no/model"]).exit_code == 3


def test_a_misspelt_target_is_not_found_where_the_models_listing_fails(simulator: Simulator, given: Settings) -> None:
    simulator.answers["models"] = faults.KINDS["503"]
    collected = collect(given, [PATHS[0], PATHS[0].upper()])
    assert [item.suggestion for item in collected.not_found] == [PATHS[0]]


def test_a_target_that_was_seen_once_is_gone_and_not_misspelt(simulator: Simulator, given: Settings) -> None:
    collect(given, PATHS[:2])
    simulator.answers[PATHS[0]] = faults.answer(404, faults.error_body(404, "Model does not exist"))
    collected = collect(given, PATHS[:2], minute=30)
    assert (collected.not_found, collected.gone, collected.exit_code) == ([], 1, 0)


def test_a_listed_target_without_endpoints_is_not_misspelt(simulator: Simulator, given: Settings) -> None:
    simulator.answers[PATHS[0]] = faults.answer(404, faults.error_body(404, "Model does not exist"))
    for minute, entries in ((0, ["*"]), (30, PATHS[:2])):
        collected = collect(given, entries, minute=minute)
        assert (collected.not_found, collected.summary.never_seen) == ([], [PATHS[0]])
        assert collected.exit_code == 0


def test_progress_is_told_for_every_target(given: Settings) -> None:
    told: list[tuple[int, int]] = []
    collect(given, PATHS, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, len(PATHS)) for n in range(1, len(PATHS) + 1)]


def test_what_a_crash_left_is_taken_up_by_the_next_collect(given: Settings) -> None:
    class KilledError(BaseException):
        pass

    def kill(done: int, _: int) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        collect(given, PATHS, progress=kill)
    collected = collect(given, PATHS, minute=30)
    assert collected.summary.ok == len(PATHS)
    assert count(url_of(given), observations, observations.c.observed_at == at(0)) >= 5
    assert count(url_of(given), runs, runs.c.finished_at.is_(None)) == 0
    assert is_told_by_its_archive(url_of(given))


@contextmanager
def closed(postgres_server: str, url: str) -> Iterator[Callable[[], None]]:
    """A way to close the database to everybody; it is open again at the end."""
    name = sa.make_url(url).database
    server = sa.make_url(postgres_server).set(drivername="postgresql").render_as_string(hide_password=False)

    def close() -> None:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    with psycopg.connect(server, autocommit=True) as connection:
        try:
            yield close
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_a_database_that_goes_away_leaves_all_in_the_archive(
    simulator: Simulator, postgres_server: str, postgres_url: str
) -> None:
    with serving(simulator) as base_url:
        given = settings(postgres_url, base_url)
        with closed(postgres_server, postgres_url) as close:

            async def close_the_door(request: web.Request, body: bytes) -> web.StreamResponse:
                close()
                return await faults.answer(200, body)(request, body)

            simulator.answers[PATHS[7]] = close_the_door
            with pytest.raises(HistoryError) as told:
                collect(given, PATHS)
        assert f"all {len(PATHS)} answers are kept in the archive" in str(told.value)
        assert "endpoint-history backfill archive" in str(told.value)
        del simulator.answers[PATHS[7]]
        collect(given, PATHS, minute=30)
    assert count(postgres_url, observations, observations.c.outcome == "ok") == 2 * len(PATHS)
    assert is_told_by_its_archive(postgres_url)


def test_a_database_that_was_away_all_along_gets_what_it_missed(
    simulator: Simulator, postgres_server: str, postgres_url: str, tmp_path: Path
) -> None:
    calm = f"sqlite:///{tmp_path}/calm.db"
    upgrade(calm)
    with serving(simulator) as base_url:
        given = settings(postgres_url, base_url)
        collect(given, PATHS, cadence_seconds=1800)
        with closed(postgres_server, postgres_url) as close:
            close()
            for minute in (30, 60):
                with pytest.raises(HistoryError, match=f"all {len(PATHS)} answers are kept in the archive"):
                    collect(given, PATHS, minute, cadence_seconds=1800)
        collect(given, PATHS[:1], 65)  # by hand, meanwhile
        assert collect(given, PATHS, 90, cadence_seconds=1800).troubles == []
    with opened(calm) as engine:
        load_bundles(engine, archive(), pending_bundles(engine, archive()))
    assert history(postgres_url) == history(calm)
    assert count(postgres_url, runs, runs.c.finished_at.is_not(None)) == 5


def test_what_was_missed_between_two_scheduled_collects_comes_within_the_hour(
    simulator: Simulator, postgres_server: str, postgres_url: str
) -> None:
    with serving(simulator) as base_url:
        given = settings(postgres_url, base_url)
        collect(given, PATHS, 0, cadence_seconds=1800)
        with closed(postgres_server, postgres_url) as close:
            close()
            with pytest.raises(HistoryError, match="all 1 answers are kept in the archive"):
                collect(given, PATHS[:1], 10)
        collect(given, PATHS, 30, cadence_seconds=1800)
        assert count(postgres_url, runs) == 2  # within the same hour, and without a gap
        collect(given, PATHS, 60, cadence_seconds=1800)
    assert count(postgres_url, runs, runs.c.finished_at.is_not(None)) == 4
    assert is_told_by_its_archive(postgres_url)


def test_a_locked_database_gets_what_it_missed(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    upgrade(url)
    monkeypatch.setattr("endpoint_history.database.engine._WAIT_SECONDS", 0.1)
    with serving(simulator) as base_url:
        given = settings(url, base_url)
        collect(given, PATHS)
        with opened(url) as engine, writing(engine), pytest.raises(HistoryError, match=r"database is locked; .*; all "):
            collect(given, PATHS, 30)
        assert collect(given, PATHS, 60).troubles == []
    assert count(url, observations, observations.c.outcome == "ok") == 3 * len(PATHS)


def test_a_new_database_does_not_load_a_past_that_nobody_asked_for(given: Settings, tmp_path: Path) -> None:
    collect(given, PATHS)
    fresh = f"sqlite:///{tmp_path}/fresh.db"
    upgrade(fresh)
    collect(given.model_copy(update={"database_url": SecretStr(fresh)}), PATHS, 30)
    assert count(fresh, runs) == 1


@pytest.mark.parametrize(("targets", "batches"), [(130, [2, 128]), (2100, [120, *[132] * 15])])
def test_batches_go_through_the_step_that_is_given(given: Settings, targets: int, batches: list[int]) -> None:
    sizes: list[int] = []

    async def run() -> None:
        await collect_targets(
            given,
            TargetList.given([f"acme/m{n}" for n in range(targets)]),
            clock=lambda: at(0),
            step=lambda walk: lambda batch: _counted(sizes, len(batch), walk.collect_batch(batch)),
        )

    asyncio.run(run())
    assert sorted(sizes) == batches


async def _counted(sizes: list[int], size: int, work: object) -> None:
    sizes.append(size)
    await work  # type: ignore[misc]


def _body(prompt: str) -> bytes:
    return a_body(an_endpoint(prompt=prompt, model_id=PATHS[0]), model=PATHS[0])
