"""The months of `uptime_samples` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import differences, opened, upgrade, writing
from endpoint_history.database.partitions import create_partitions
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from models.observation import Observation
from models.tables import uptime_samples
from tests.support.factories import RUN, a_look, an_endpoint

DECEMBER = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
COUNTS = """
SELECT tableoid::regclass::text, count(*) FROM uptime_samples GROUP BY 1 ORDER BY 1
"""


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sa.Engine]:
    upgrade(postgres_url)
    with opened(postgres_url) as opened_engine:
        yield opened_engine


def a_look_at(time: datetime) -> Observation:
    return a_look(an_endpoint(), observed_at=time)


def save(engine: sa.Engine, *looks: Observation) -> None:
    with writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])


def counts(engine: sa.Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        return [(table, count) for table, count in connection.exec_driver_sql(COUNTS)]


def test_each_sample_lies_in_the_partition_of_its_utc_month(engine: sa.Engine) -> None:
    save(engine, a_look_at(DECEMBER), a_look_at(JANUARY))
    assert counts(engine) == [("uptime_samples_2025_12", 1), ("uptime_samples_2026_01", 1)]
    assert differences(engine) == []


def test_a_partition_can_be_made_while_somebody_reads(engine: sa.Engine) -> None:
    save(engine, a_look_at(JANUARY))
    with engine.connect() as reader, engine.connect() as writer:
        assert reader.execute(sa.select(sa.func.count()).select_from(uptime_samples)).scalar_one() == 1
        writer.exec_driver_sql("SET lock_timeout = '2s'")
        create_partitions(writer, [DECEMBER])
        writer.commit()
        assert reader.execute(sa.select(sa.func.count()).select_from(uptime_samples)).scalar_one() == 1


def test_a_rebuild_makes_the_months_that_it_needs(engine: sa.Engine) -> None:
    archive = Archive("archive")
    with archive.open_bundle(RUN) as bundle:
        for time in (DECEMBER, JANUARY):
            bundle.add(a_look_at(time))
    rebuild(engine, archive)
    assert counts(engine) == [("uptime_samples_2025_12", 1), ("uptime_samples_2026_01", 1)]
    assert verify(engine, archive)[1] == []
