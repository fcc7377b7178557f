"""Whether history is being kept, asked of both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.monitoring.collects import LastCollect
from endpoint_history.monitoring.status import Status, read_status, status_lines
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.dimensions import run_ids
from endpoint_history.store.run_end import finish_run
from endpoint_history.store.writer import store
from models.observation import Observation, Run
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

OTHER = "acme/heron-2"
THIRD = "acme/wren-3"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


def collect(
    engine: sa.Engine,
    minute: float,
    *looks: Observation,
    cadence: int | None = None,
    finished: bool = True,
    shard: str = "",
) -> Run:
    """Store these looks as those of a run, or of a shard of it, that began so many minutes after MORNING."""
    run = Run(f"{at(minute):%Y%m%dT%H%M%SZ}-collect-{int(minute):06x}{shard}", "collect", "live", cadence)
    later = timedelta(minutes=minute)
    mine = [replace(look, run=run, observed_at=look.observed_at + later) for look in looks]
    read = [(look, read_observation(look)) for look in mine]
    with writing(engine) as connection:
        run_ids(connection, [run])
        store(connection, read)
        if finished:
            last = max(look.observed_at for look in mine)
            finish_run(connection, run.name, Counter(reading.outcome for _, reading in read), last)
    return run


def status(engine: sa.Engine, minute: float, archive_bytes: int | None = 1_234_567) -> Status:
    with engine.connect() as connection:
        return read_status(
            connection,
            now=at(minute),
            schema="0002",
            archive_bytes=archive_bytes,
            database="the db",
            archive="the archive",
        )


def told(engine: sa.Engine, minute: float) -> list[str]:
    return list(status_lines(status(engine, minute)))


def test_an_empty_database_is_not_healthy(engine: sa.Engine) -> None:
    empty = status(engine, 0)
    assert (bool(empty.problems), empty.age, empty.last_run) == (True, None, None)


def test_an_empty_database_says_what_to_run(engine: sa.Engine) -> None:
    assert told(engine, 0) == [
        "History    nothing yet; run: endpoint-history collect",
        "Last run   none",
        "Kept       0 models, 0 endpoints, 0 observations",
        "Failing    0 of 0 targets",
        "Never seen 0 targets",
        "Gaps       0 in 0 models in 7 days: 0 observations missed, 0 of them failed",
        "Drift      0 fields or values that this version does not know",
        "Database   the db, schema 0002",
        "Archive    the archive, 1,235 kB",
    ]


@pytest.mark.parametrize(
    ("cadence", "age", "healthy"),
    [(None, 0, True), (None, 90, True), (None, 91, False), (600, 30, True), (600, 31, False), (7200, 360, True)],
)
def test_evidence_is_stale_after_three_cadences(
    engine: sa.Engine, cadence: int | None, age: float, healthy: bool
) -> None:
    collect(engine, 0, a_look(an_endpoint()), cadence=cadence)
    assert (not status(engine, age).problems) is healthy


def test_history_of_a_few_targets_alone_is_not_kept(engine: sa.Engine) -> None:
    others = [f"acme/m{n}" for n in range(4)]
    collect(engine, 0, a_look(an_endpoint()), *(a_gone_look(target=target) for target in others), cadence=600)
    collect(engine, 60, a_look(an_endpoint()), *(a_failed_look(target=target) for target in others), cadence=600)
    assert (status(engine, 61).stale, len(status(engine, 61).problems)) == (4, 1)


def test_a_collect_by_hand_hides_no_trouble_of_the_schedule(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), a_failed_look(target=OTHER), cadence=600)
    collect(engine, 5, a_look(an_endpoint()))
    assert [target for target, _, _ in status(engine, 6).failing] == [OTHER]


def test_evidence_of_the_future_is_not_healthy(engine: sa.Engine) -> None:
    collect(engine, 60, a_look(an_endpoint()))
    assert status(engine, 0).problems
    assert "is in the future" in told(engine, 0)[0]


@pytest.mark.parametrize(("size", "said"), [(None, "can't be reached"), (0, "0 kB")])
def test_an_archive_that_keeps_nothing_is_not_healthy(engine: sa.Engine, size: int | None, said: str) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    assert status(engine, 1, size).problems
    assert list(status_lines(status(engine, 1, size)))[-1] == f"Archive    the archive, {said}"


def test_fresh_history_is_told_with_its_age(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(), an_endpoint("south")), a_failed_look(target=OTHER))
    assert told(engine, 7.5)[:3] == [
        "History    is being kept: newest evidence 7 minutes old (2026-05-16 09:00:00 UTC),"
        " 1 of 2 targets without evidence for 3 cadences",
        "Last run   2026-05-16 09:00:00 UTC, 1 ok, 0 gone, 1 failed",
        "Kept       1 model, 2 endpoints, 2 observations",
    ]


def test_stale_history_is_told_in_capitals(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    assert told(engine, 120)[0].startswith("History    IS NOT BEING KEPT: newest evidence 2 hours old")


def test_a_run_of_failed_looks_makes_nothing_healthy(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    collect(engine, 120, a_failed_look())
    assert (status(engine, 121).newest_observation, bool(status(engine, 121).problems)) == (at(0), True)


def test_a_look_that_does_not_count_makes_nothing_healthy(engine: sa.Engine) -> None:
    collect(engine, 0, a_gone_look(), a_failed_look(target=OTHER))
    assert status(engine, 1).problems


def test_a_model_that_is_gone_is_evidence(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    collect(engine, 120, a_gone_look())
    assert status(engine, 121).problems == []


def test_failing_targets_have_reason_and_last_good_time(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), a_failed_look(target=OTHER))
    collect(engine, 30, a_failed_look(error="HTTP 500"), a_failed_look(target=OTHER))
    assert status(engine, 31).failing == [(OTHER, "connection refused", None), (MODEL, "HTTP 500", at(0))]


def test_failing_targets_are_told_with_when_they_were_good(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    collect(engine, 30, a_failed_look(error="HTTP 500"), a_failed_look(target=OTHER))
    assert told(engine, 31)[3:6] == [
        "Failing    2 of 2 targets",
        "  acme/heron-2: connection refused (last good never)",
        "  acme/swift-1: HTTP 500 (last good 2026-05-16 09:00:00 UTC)",
    ]


def test_the_last_good_time_is_the_newest_good_look(engine: sa.Engine) -> None:
    for minute in (0, 30):
        collect(engine, minute, a_look(an_endpoint()))
    collect(engine, 60, a_gone_look())
    collect(engine, 90, a_failed_look())
    assert status(engine, 91).failing[0][2] == at(60)


def test_a_target_that_recovered_is_not_failing(engine: sa.Engine) -> None:
    collect(engine, 0, a_failed_look())
    collect(engine, 30, a_look(an_endpoint()))
    assert status(engine, 31).failing == []


def test_targets_dropped_from_the_list_are_no_news(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), a_failed_look(target=OTHER), a_gone_look(target=THIRD))
    collect(engine, 30, a_look(an_endpoint()))
    assert (status(engine, 31).failing, status(engine, 31).never_seen) == ([], [])


def test_targets_of_a_shard_that_no_worker_took_are_not_forgotten(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), cadence=600, shard="-1-a")
    collect(
        engine, 0, *(a_gone_look(target=target) for target in (OTHER, "acme/m2", "acme/m3")), cadence=600, shard="-2-b"
    )
    for minute in (10, 20, 30, 40):
        collect(engine, minute, a_look(an_endpoint()), cadence=600, shard="-1-c")
    found = status(engine, 41)
    assert (found.targets, found.stale) == (4, 3)
    assert found.problems == ["3 of 4 targets without evidence for 3 cadences"]


def test_targets_that_never_showed_a_model_are_named(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()))
    collect(engine, 30, a_gone_look(), a_gone_look(target=THIRD), a_failed_look(target=OTHER))
    assert status(engine, 31).never_seen == [OTHER, THIRD]


def test_a_target_that_was_never_seen_counts_once_however_often_it_was_asked_for(engine: sa.Engine) -> None:
    for minute, shard in ((0, "-1-a"), (10, "-1-b")):
        collect(engine, minute, a_gone_look(target=OTHER), cadence=600, shard=shard)
    assert status(engine, 31).never_seen == [OTHER]


def test_never_seen_targets_are_told_one_a_line(engine: sa.Engine) -> None:
    collect(engine, 0, a_gone_look(target=THIRD), a_gone_look(target=OTHER))
    assert told(engine, 1)[4:7] == ["Never seen 2 targets", "  acme/heron-2", "  acme/wren-3"]


def test_gaps_of_the_last_days_are_counted(engine: sa.Engine) -> None:
    day = 24 * 60
    for minute in (0, 60, 20 * day, 20 * day + 30):
        collect(engine, minute, a_look(an_endpoint()), cadence=600)
    collect(engine, 20 * day + 15, a_failed_look(), cadence=600)
    collect(engine, 20 * day + 35, a_look(an_endpoint()))
    roll_up(engine)
    # One goes on by the database's clock, one of half an hour ended within seven days, and one ended before them.
    found = status(engine, 27 * day + 20).gaps
    assert (found.gaps, found.models, found.failed) == (2, 1, 1)
    assert status(engine, 27 * day).gaps.gaps == 3


def test_drift_is_told_with_since_when_and_how_often(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint(novelty=1)))
    collect(engine, 30, a_look(an_endpoint(novelty=1, quantization="fp1")))
    assert told(engine, 31)[6:9] == [
        "Drift      2 fields or values that this version does not know",
        "  endpoint.novelty: since 2026-05-16 09:00:00 UTC, 2 times",
        "  endpoint.quantization = fp1: since 2026-05-16 09:30:00 UTC, 1 time",
    ]


def test_a_run_that_did_not_finish_is_said(engine: sa.Engine) -> None:
    collect(engine, 0, a_look(an_endpoint()), finished=False)
    assert told(engine, 1)[1] == "Last run   2026-05-16 09:00:00 UTC, not finished"


def test_the_last_run_is_the_newest_collect(engine: sa.Engine) -> None:
    newest = collect(engine, 60, a_look(an_endpoint()), cadence=600)
    collect(engine, 30, a_look(an_endpoint()))
    with writing(engine) as connection:
        run_ids(connection, [Run("20260516T120000Z-backfill-abc123", "backfill", "archive")])
    assert status(engine, 61).last_run == LastCollect(newest.name, at(60), at(60), timedelta(minutes=10), 1, 0, 0)


def test_long_lists_of_targets_are_cut_but_counted(engine: sa.Engine) -> None:
    collect(engine, 0, *(a_failed_look(target=f"acme/m{n}") for n in range(25)))
    lines = told(engine, 1)
    assert {"Failing    25 of 25 targets", "Never seen 25 targets"} <= set(lines)
    assert sum(line.startswith("  acme/") for line in lines) == 40


@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nb", "\x1b[31mred", "\x9b2J", "\u2028x\x85y", "\u202ereversed"])
def test_hostile_reasons_stay_on_their_line(engine: sa.Engine, hostile: str) -> None:
    collect(engine, 0, a_failed_look(error=hostile), a_look(an_endpoint(quantization=hostile), target=OTHER))
    lines = told(engine, 1)
    assert len(lines) == 12
    assert [line for line in lines if not line.isprintable()] == []
