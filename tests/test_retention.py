"""Raw samples go where their rollups stand, and what is rolled up stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from flows.archive import Archive
from flows.database import open_engine, upgrade, writing
from flows.loading import load_bundles
from flows.maintenance import maintain
from flows.parse import read_observation
from flows.rebuild import rebuild, verify
from flows.rollups import roll_up
from flows.settings import Settings
from flows.store import store
from models.observation import Observation
from models.rollups import incident_spans, uptime_daily, uptime_hourly
from models.tables import pricing_snapshots, uptime_samples
from tests.factories import MODEL, RUN, a_look, an_endpoint

START = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS = 60
NOW = START + timedelta(days=DAYS)
TABLES = (uptime_daily, uptime_hourly, incident_spans, pricing_snapshots)


def look(day: float, uptime: float = 99.0, **fields: Any) -> Observation:
    model = fields.pop("model", MODEL)
    endpoint = an_endpoint(uptime_last_30m=uptime, **fields)
    return a_look(endpoint, observed_at=START + timedelta(days=day), target=model, model=model)


LOOKS = [look(day + hour / 24, 50.0 if day == 10 else 99.0) for day in range(DAYS) for hour in (0, 0.4, 0.8)]


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    upgrade(database_url)
    opened = open_engine(database_url)
    archive = Archive("data/archive")
    with archive.open_bundle(RUN) as bundle:
        for seen in LOOKS:
            bundle.add(seen)
    load_bundles(opened, archive, [RUN.name])
    yield opened
    opened.dispose()


def tables(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return [
            connection.execute(sa.select(table).order_by(*table.primary_key.columns)).fetchall() for table in TABLES
        ]


def sampled(engine: sa.Engine) -> list[datetime]:
    with engine.connect() as connection:
        return list(
            connection.execute(sa.select(uptime_samples.c.observed_at).order_by(uptime_samples.c.observed_at)).scalars()
        )


def maintained(monkeypatch: pytest.MonkeyPatch, days: int | None, now: datetime = NOW) -> str:
    if days is not None:
        monkeypatch.setenv("RETENTION_DAYS", str(days))
    return str(maintain(Settings.read(), now))


def test_all_samples_are_kept_unless_somebody_asks(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "all raw samples are kept" in maintained(monkeypatch, None)
    assert len(sampled(engine)) == len(LOOKS)


def test_old_samples_go_and_what_was_made_of_them_stays(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(engine)
    told = maintained(monkeypatch, 30)
    assert "rollups before 2026-01-31 are final" in told
    kept = sampled(engine)
    assert 0 < len(kept) < len(LOOKS)
    assert kept[0] == datetime(2026, 1, 28, 6, tzinfo=UTC)
    assert kept[-1] == LOOKS[-1].observed_at
    assert tables(engine) == before


def test_a_late_look_leaves_final_rollups_as_they_are(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    before, samples = tables(engine), sampled(engine)
    late = look(12.01, 10.0, prompt="0.000009")
    with writing(engine) as connection:
        store(connection, [(late, read_observation(late))])
    roll_up(engine)
    daily, hourly, incidents, prices = tables(engine)
    assert [daily, hourly, incidents] == before[:3]
    assert sampled(engine) == samples
    assert len(prices) == len(before[3]) + 2


def test_a_late_look_into_days_that_are_not_final_counts_as_ever(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = look(30.77, 60.0)
    with writing(engine) as connection:
        store(connection, [(late, read_observation(late))])
    roll_up(engine)
    expected = tables(engine)
    rebuild(engine, Archive("data/archive"))
    maintained(monkeypatch, 30)
    with writing(engine) as connection:
        store(connection, [(late, read_observation(late))])
    roll_up(engine)
    assert [[tuple(row)[1:] for row in table] for table in tables(engine)[:3]] == [
        [tuple(row)[1:] for row in table] for table in expected[:3]
    ]


def test_verify_misses_no_sample_that_was_removed(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    assert verify(engine, Archive("data/archive"))[1] == []


def test_a_rebuild_brings_all_samples_back(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    rebuild(engine, Archive("data/archive"))
    assert len(sampled(engine)) == len(LOOKS)
    assert "rollups before 2026-01-31 are final" in maintained(monkeypatch, 30)


def test_what_is_final_stays_final_when_more_is_to_be_kept(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    assert "rollups before 2026-01-31 are final" in maintained(monkeypatch, 50)


def test_samples_of_an_incident_that_goes_on_stay(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [look(day + hour / 24, 20.0, model="acme/other") for day in range(DAYS) for hour in (0.1, 0.5)]
    with writing(engine) as connection:
        store(connection, [(seen, read_observation(seen)) for seen in bad])
    maintained(monkeypatch, 30)
    assert {seen.observed_at for seen in bad} <= set(sampled(engine))


@pytest.mark.parametrize("days", ["29", "0", "-1", "many"])
def test_too_few_days_are_refused(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_DAYS", days)
    with pytest.raises(Exception, match="RETENTION_DAYS"):
        Settings.read()


def test_months_that_are_empty_are_dropped_and_those_ahead_are_made(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    upgrade(postgres_url)
    engine = open_engine(postgres_url)
    with writing(engine) as connection:
        store(connection, [(seen, read_observation(seen)) for seen in (look(-40), look(45))])
    maintained(monkeypatch, 30, NOW)
    with engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
    engine.dispose()
    assert sorted(name for name in names if name.startswith("uptime_samples_")) == [
        "uptime_samples_2026_02",
        "uptime_samples_2026_03",
        "uptime_samples_2026_04",
        "uptime_samples_2026_05",
    ]
