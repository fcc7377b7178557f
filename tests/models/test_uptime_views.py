"""The views about uptime, incidents and coverage: by hand what their words mean, and against plain Python."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.incidents import REDEFINED_AT
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import store
from models.observation import Observation, Run
from models.tables import runs
from models.views import daily_coverage, daily_uptime, hourly_uptime, incidents, observation_gaps
from tests.reference.rollups import Rollups, rollups_of
from tests.reference.store import Key
from tests.rollups.test_refresh import ALIAS, DAY, LOOKS, empty, series, store_all
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, RUN, a_failed_look, a_look, an_endpoint, at

OTHER = "acme/other"
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as engine:
        yield engine


def keep(engine: sa.Engine, *looks: Observation) -> None:
    with writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])
    roll_up(engine)


def told(engine: sa.Engine, *columns: sa.Column[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(*columns))]


def finish_runs(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.execute(runs.update().values(finished_at=runs.c.started_at))


def ups(*uptimes: Any, minute: float = 0, **fields: Any) -> list[Observation]:
    """Looks half an hour apart at one endpoint that has these uptimes."""
    run = fields.pop("run", RUN)
    return [
        a_look(an_endpoint(uptime_last_30m=uptime, **fields), minute=minute + 30 * place, run=run)
        for place, uptime in enumerate(uptimes)
    ]


def test_a_day_tells_its_mean_and_how_much_of_it_is_known(engine: sa.Engine) -> None:
    keep(engine, *ups(100, 90, None, 70), *ups(100, minute=100))
    v = daily_uptime.c
    assert told(engine, v.model, v.provider, v.route, v.day, v.definition, v.uptime_pct, v.min_uptime_pct) == [
        (
            MODEL,
            "North",
            "north/fp8",
            at(0).date(),
            "requests",
            pytest.approx((100 * 30 + 90 * 30 + 70 * 30 + 1000) / 100),
            70,
        )
    ]
    minutes = (v.samples, v.covered_minutes, v.null_minutes, v.below_95_minutes, v.below_80_minutes)
    assert told(engine, *minutes, v.below_95_share, v.below_80_share) == [(4, 100, 30, 60, 30, 0.6, 0.3)]


def test_a_sample_is_of_the_hour_in_which_it_was_seen(engine: sa.Engine) -> None:
    keep(engine, *ups(100, 90, 80))
    v = hourly_uptime.c
    assert told(engine, v.day, v.hour_at, v.covered_minutes, v.uptime_pct) == [
        (at(0).date(), at(0), 60, 95),
        (at(0).date(), at(60), 30, 80),
    ]


def test_an_endpoint_without_values_has_neither_mean_nor_shares(engine: sa.Engine) -> None:
    keep(engine, *ups(None, None))
    v = daily_uptime.c
    assert told(engine, v.uptime_pct, v.min_uptime_pct, v.samples, v.null_minutes, v.below_95_share) == [
        (None, None, 0, 60, None)
    ]


def test_no_row_lies_on_both_sides_of_the_redefinition(engine: sa.Engine) -> None:
    midnight = (REDEFINED_AT - at(0).timestamp()) / 60
    keep(engine, *ups(100, 50, 100, minute=midnight - 30))
    for view in (daily_uptime, hourly_uptime):
        rows = told(engine, view.c.day, view.c.definition, view.c.uptime_pct)
        assert rows == [(date(2026, 10, 7), "requests", 100), (date(2026, 10, 8), "minutes", 75)]


def test_an_incident_tells_how_deep_and_how_long_it_was(engine: sa.Engine) -> None:
    keep(engine, *ups(100, 90, 50, 100, 100, 100, 90, 85))
    v = incidents.c
    assert told(engine, v.started_at, v.ended_at, v.ended_by, v.minutes, v.samples, v.worst_uptime_pct, v.severity) == [
        (at(30), at(90), "recovered", 60, 2, 50, "down"),
        (at(180), None, None, 30, 2, 85, "degraded"),
    ]


def test_an_incident_of_one_endpoint_alone_has_no_company(engine: sa.Engine) -> None:
    good, bad = an_endpoint("north", uptime_last_30m=100), an_endpoint("south", uptime_last_30m=50)
    keep(engine, *[a_look(good, bad, minute=minute) for minute in (0, 30)])
    v = incidents.c
    assert told(engine, v.route, v.other_endpoints, v.other_endpoints_affected, v.concurrent_starts) == [
        ("south", 1, 0, 1)
    ]
    assert told(engine, v.concurrent_starts_share, v.is_catalogue_wide) == [(0.5, True)]


def test_other_providers_of_the_model_may_be_in_trouble_too(engine: sa.Engine) -> None:
    bad = [
        an_endpoint(tag, uptime_last_30m=50, provider_name=name) for tag, name in (("a", "A"), ("a/2", "A"), ("b", "B"))
    ]
    keep(engine, *[a_look(*bad, minute=minute) for minute in (0, 30)])
    v = incidents.c
    assert told(engine, v.route, v.other_endpoints_affected, v.other_providers_affected) == [
        ("a", 2, 1),
        ("a/2", 2, 1),
        ("b", 2, 1),
    ]


def test_a_failed_look_and_one_never_made_are_told_apart(engine: sa.Engine) -> None:
    keep(engine, *ups(100), a_failed_look(30, error="time-out"), *ups(100, minute=90))
    v = observation_gaps.c
    assert told(engine, v.started_at, v.ended_at, v.minutes, v.cadence_minutes) == [(at(0), at(90), 90, 30)]
    assert told(engine, v.missed_observations, v.failed, v.never_made, v.last_error) == [(2, 1, 1, "time-out")]
    v = daily_coverage.c
    counts = (v.expected, v.observed, v.failed, v.never_made, v.imported, v.covered_minutes)
    assert told(engine, v.model, v.day, *counts) == [(MODEL, at(0).date(), 4, 2, 1, 1, 0, 60)]


def test_a_failed_look_that_left_no_gap_is_none(engine: sa.Engine) -> None:
    keep(engine, *ups(100), a_failed_look(30), *ups(100, 100, minute=31))
    v = daily_coverage.c
    assert told(engine, v.expected, v.observed, v.failed, v.never_made) == [(3, 3, 0, 0)]


def test_a_run_that_failed_by_two_paths_failed_once(engine: sa.Engine) -> None:
    alias = a_look(an_endpoint(), target=ALIAS, minute=1)
    keep(engine, *ups(100), alias, a_failed_look(30), a_failed_look(30, target=ALIAS), *ups(100, minute=60))
    v = observation_gaps.c
    assert told(engine, v.missed_observations, v.failed, v.never_made) == [(1, 1, 0)]


def test_looks_of_others_are_counted_apart(engine: sa.Engine) -> None:
    imported = Run("20260101T000000Z-backfill-dddddd", "backfill", "files")
    keep(engine, *ups(100), *ups(100, minute=30, run=imported), *ups(100, minute=60))
    v = daily_coverage.c
    assert told(engine, v.expected, v.observed, v.never_made, v.imported) == [(2, 2, 0, 1)]


def test_a_gap_that_lasts_is_told_until_now(engine: sa.Engine) -> None:
    keep(engine, *ups(100), a_failed_look(30, error="refused"))
    finish_runs(engine)
    v = observation_gaps.c
    [(started_at, ended_at, minutes, missed, failed, never_made, error)] = told(
        engine, v.started_at, v.ended_at, v.minutes, v.missed_observations, v.failed, v.never_made, v.last_error
    )
    assert (started_at, ended_at, failed, error) == (at(0), None, 1, "refused")
    assert minutes > DAY
    assert (missed, never_made) == (int(minutes / 30 - 0.5), missed - 1)


def test_a_model_that_the_schedule_wants_no_more_has_no_lasting_gap(engine: sa.Engine) -> None:
    later = replace(RUN, name="20260517T090000Z-collect-eeeeee")
    other = a_look(an_endpoint(model_id=OTHER), minute=DAY, target=OTHER, model=OTHER, run=later)
    keep(engine, *ups(100), other)
    finish_runs(engine)
    v = observation_gaps.c
    assert told(engine, v.model) == [(OTHER,)]


def company(rollups: Rollups, key: Key, start: datetime) -> tuple[Any, ...]:
    """What the view tells of an incident's surroundings, worked out from all rows."""
    end = rollups.incidents[key, start][0] or FOR_EVER
    others = {other for other, _ in rollups.daily if other[0] == key[0] and other != key}
    ill = {k for (k, s), (e, *_) in rollups.incidents.items() if k in others and s < end and (e or FOR_EVER) > start}
    together = {k for k, s in rollups.incidents if start - HOUR <= s <= start + HOUR}
    rated = rollups.catalogue[start.date()][1]
    return (
        len([other for other in others if (other, start.date()) in rollups.daily]),
        len(ill),
        len(together),
        len(together) / rated,
        len(together) / rated >= 0.2,
    )


def expected_rows(looks: Sequence[Observation]) -> list[Any]:
    rollups = rollups_of(looks)
    gaps, days = [], []
    for (model, start), (end, cadence, missed, failed) in rollups.gaps.items():
        minutes = (end - start) / timedelta(minutes=1)
        gaps.append((model, start, end, minutes, cadence / 60, missed, failed, missed - failed))
    for (model, day), (observed, imported, missed, failed, covered, _) in rollups.days.items():
        days.append((model, day, observed + missed, observed, failed, missed - failed, imported, covered / 60))
    surroundings = [(key, start, *company(rollups, key, start)) for key, start in rollups.incidents]
    return [sorted(gaps), sorted(days), sorted(surroundings)]


def shown_rows(connection: sa.Connection) -> list[Any]:
    g, d, i = observation_gaps.c, daily_coverage.c, incidents.c
    gaps = sa.select(
        g.model, g.started_at, g.ended_at, g.minutes, g.cadence_minutes, g.missed_observations, g.failed, g.never_made
    )
    days = sa.select(d.model, d.day, d.expected, d.observed, d.failed, d.never_made, d.imported, d.covered_minutes)
    company = (i.other_endpoints, i.other_endpoints_affected, i.concurrent_starts)
    key = (i.model, i.variant, i.route, i.ordinal)
    surroundings = sa.select(*key, i.started_at, *company, i.concurrent_starts_share, i.is_catalogue_wide)
    return [
        sorted(tuple(row) for row in connection.execute(gaps.where(g.ended_at.is_not(None)))),
        sorted(tuple(row) for row in connection.execute(days)),
        sorted((tuple(row[:4]), *row[4:]) for row in connection.execute(surroundings)),
    ]


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('views')}/history.db"
    upgrade(url)
    with opened(url) as engine:
        yield engine


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: str) -> Iterator[sa.Engine]:
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with opened(url) as engine:
            yield engine


def of_other_model(look: Observation) -> Observation:
    body = look.body and look.body.replace(MODEL.encode(), OTHER.encode())
    return replace(look, target=type(look.target).parse(OTHER), body=body)


MORE_LOOKS = st.builds(
    lambda looks, others, bad, failed: [*looks, *map(of_other_model, others), *bad, *failed],
    LOOKS,
    LOOKS,
    st.just(series(0, 30, [50, 50, 60], RUN)),
    st.lists(st.builds(a_failed_look, st.integers(0, 90).map(lambda n: n * 30.0)), max_size=3),
)


def check(engine: sa.Engine, looks: list[Observation]) -> None:
    empty(engine)
    store_all(engine, looks, random.Random(len(looks)))
    with engine.connect() as connection:
        assert shown_rows(connection) == expected_rows(looks)


@examples(quick=15, thorough=200)
@given(looks=MORE_LOOKS)
def test_the_views_are_what_plain_python_makes_of_all_looks(sqlite_engine: sa.Engine, looks: list[Observation]) -> None:
    check(sqlite_engine, looks)


@examples(quick=5, thorough=50)
@given(looks=MORE_LOOKS)
def test_the_views_of_postgresql_are_so_too(postgres_engine: sa.Engine, looks: list[Observation]) -> None:
    check(postgres_engine, looks)
