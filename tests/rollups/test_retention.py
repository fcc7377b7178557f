"""Raw samples go where their rollups stand; what is rolled up stays as it was, and prices and listings are whole."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import rank_offers
from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.job import Rebuilt
from endpoint_history.database.engine import open_engine, opened, upgrade, writing
from endpoint_history.loading.bundles import load_bundles
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.parsing.body import read_observation
from endpoint_history.reporting.backfill_report import backfill_lines
from endpoint_history.rollups import retention
from endpoint_history.rollups.maintenance import maintain
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.rollups.retention import remove_old_samples
from endpoint_history.rollups.watermark import LOOKBACK, read_watermark
from endpoint_history.settings import Settings
from endpoint_history.store.writer import store
from models.observation import Observation
from models.tables import incident_spans, metadata, pricing_snapshots, uptime_daily, uptime_hourly, uptime_samples
from tests.reference.rollups import rollups_of, stored_rollups
from tests.reference.store import history_of, stored_history
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, RUN, a_failed_look, a_gone_look, a_look, an_endpoint

START = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS = 60
NOW = START + timedelta(days=DAYS)
Rows = dict[Any, Any]
TABLES = (uptime_daily, uptime_hourly, incident_spans, pricing_snapshots)


def look(day: float, *uptimes: float, **fields: Any) -> Observation:
    model, target = fields.pop("model", MODEL), fields.pop("target", None)
    rows = [
        an_endpoint(f"{provider}/fp8", uptime_last_30m=uptime, **fields)
        for provider, uptime in zip(("north", "south"), uptimes or (99.0,), strict=False)
    ]
    return a_look(*rows, observed_at=START + timedelta(days=day), target=target or model, model=model)


LOOKS = [look(day + hour / 24, 50.0 if day == 10 else 99.0) for day in range(DAYS) for hour in (0, 0.4, 0.8)]


def load_looks(url: str, archive: Archive) -> None:
    with opened(url) as engine:
        load_bundles(engine, archive, [RUN.name])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A folder with the archive of these looks, and a SQLite database of them, for tests to copy."""
    folder = tmp_path_factory.mktemp("loaded")
    archive = Archive(str(folder / "archive"))
    with archive.open_bundle(RUN) as bundle:
        for seen in LOOKS:
            bundle.add(seen)
    load_looks(f"sqlite:///{shutil.copy(sqlite_template, folder / 'history.db')}", archive)
    return folder


@pytest.fixture(scope="module")
def loaded_postgres(postgres_server: str, postgres_template: str, loaded: Path) -> Iterator[str]:
    """The name of a PostgreSQL database of these looks, for tests to copy."""
    with postgres.database(postgres_server, postgres_template) as url:
        load_looks(url, Archive(str(loaded / "archive")))
        yield str(sa.make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, loaded: Path) -> Iterator[str]:
    shutil.copytree(loaded / "archive", "data/archive")
    if request.param == "sqlite":
        yield f"sqlite:///{shutil.copy(loaded / 'history.db', tmp_path)}"
        return
    template = request.getfixturevalue("loaded_postgres")
    with postgres.database(request.getfixturevalue("postgres_server"), template) as url:
        yield url


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    with opened(database_url) as engine:
        yield engine


def store_looks(engine: sa.Engine, *looks: Observation) -> None:
    with writing(engine) as connection:
        store(connection, [(seen, read_observation(seen)) for seen in looks])
    roll_up(engine)


def tables(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return [
            connection.execute(sa.select(table).order_by(*table.primary_key.columns)).fetchall() for table in TABLES
        ]


def sampled(engine: sa.Engine) -> list[datetime]:
    at = uptime_samples.c.observed_at
    with engine.connect() as connection:
        return list(connection.execute(sa.select(at).order_by(at)).scalars())


def maintained(monkeypatch: pytest.MonkeyPatch, days: int | None, now: datetime = NOW) -> str:
    if days is not None:
        monkeypatch.setenv("RETENTION_DAYS", str(days))
    return maintain(Settings.read(), now)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_all_samples_are_kept_unless_somebody_asks(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert maintained(monkeypatch, None).endswith("is in order; all raw samples are kept")
    assert len(sampled(engine)) == len(LOOKS)


def test_old_samples_go_and_what_was_made_of_them_stays(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(engine)
    told = maintained(monkeypatch, 30)
    kept = sampled(engine)
    # Three looks a day; the last before the two days and a half hour that what is not final may look back on stays.
    assert kept[0] == datetime(2026, 1, 28, 6, tzinfo=UTC) + timedelta(hours=0.8)
    assert kept == [seen.observed_at for seen in LOOKS if seen.observed_at >= kept[0]]
    removed = len(LOOKS) - len(kept)
    assert told.endswith(f"; {removed} raw uptime samples removed, rollups of uptime before 2026-01-31 are final")
    assert tables(engine) == before


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_nothing_more_goes_on_the_same_day(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    assert "; 0 raw uptime samples removed" in maintained(monkeypatch, 30)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_late_look_leaves_final_rollups_as_they_are(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    before, samples = tables(engine), sampled(engine)
    store_looks(engine, look(12.01, 10.0, prompt="0.000009"))
    daily, hourly, incidents, prices = tables(engine)
    assert [daily, hourly, incidents] == before[:3]
    assert sampled(engine) == samples
    assert len(prices) == len(before[3]) + 2


@pytest.mark.slow_unless(day=[30.0])
@pytest.mark.parametrize("day", [29.75, 30.0, 30.77, 31.5])
def test_a_late_look_into_days_that_are_not_final_counts_as_ever(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, day: float
) -> None:
    store_looks(engine, look(day, 60.0), look(day + 0.01, 60.0))
    expected = tables(engine)
    rebuild(engine, Archive("data/archive"))
    maintained(monkeypatch, 30)
    store_looks(engine, look(day, 60.0), look(day + 0.01, 60.0))
    assert [[tuple(row)[1:] for row in table] for table in tables(engine)[:3]] == [
        [tuple(row)[1:] for row in table] for table in expected[:3]
    ]


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_verify_compares_what_is_not_final_and_says_so(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    loaded, differences, since = verify(engine, Archive("data/archive"))
    assert (differences, since) == ([], datetime(2026, 1, 31, tzinfo=UTC))
    *_, last = backfill_lines(Rebuilt("verify", "here", loaded, differences, since))
    assert last.endswith("nothing differs (uptime from 2026-01-31 on, as older samples are thinned)")


@pytest.mark.slow_unless(database_url=["sqlite"], table=[uptime_daily])
@pytest.mark.parametrize("table", [uptime_samples, uptime_hourly, uptime_daily])
def test_verify_still_finds_what_was_tampered_with_later(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, table: sa.Table
) -> None:
    maintained(monkeypatch, 30)
    at = list(table.primary_key.columns)[1]
    with writing(engine) as connection:
        newest = connection.execute(sa.select(sa.func.max(at))).scalar_one()
        connection.execute(table.delete().where(at == newest))
    (difference,) = verify(engine, Archive("data/archive"))[1]
    assert (difference.table, difference.only_database, difference.only_archive) == (table.name, 0, 1)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_rebuild_brings_all_samples_back(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    rebuild(engine, Archive("data/archive"))
    assert len(sampled(engine)) == len(LOOKS)
    assert "rollups of uptime before 2026-01-31 are final" in maintained(monkeypatch, 30)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_what_is_final_stays_final_when_more_is_to_be_kept(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    assert "before 2026-01-31 are final" in maintained(monkeypatch, 50)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_samples_of_an_incident_that_goes_on_stay_and_it_can_end(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [look(day + hour / 24, 20.0, model="acme/other") for day in range(DAYS) for hour in (0.1, 0.5)]
    store_looks(engine, *bad)
    maintained(monkeypatch, 30)
    assert {seen.observed_at for seen in bad} <= set(sampled(engine))
    store_looks(engine, *(look(DAYS + hour / 24, 100.0, model="acme/other") for hour in (0.1, 0.5, 0.9)))
    with engine.connect() as connection:
        found = connection.execute(sa.select(incident_spans).where(incident_spans.c.worst_uptime_pct == 20)).one()
    assert (found.started_at, found.samples, found.ended_by) == (bad[0].observed_at, len(bad), "recovered")


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_an_incident_that_ended_in_a_silence_is_final(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a look comes late that takes the place of the one that showed the silence."""
    other, hours = "acme/other", (0, 1, 2)
    bad = [look(hour / 24, 20.0, model=other, target="acme/zzz") for hour in hours]
    store_looks(engine, *bad, look(10, 99.0, model=other, target="acme/zzz"))
    maintained(monkeypatch, 30)
    store_looks(engine, look(10 + 5 / 1440, 99.0, model=other), look(45, 99.0, model=other))
    store_looks(engine, *(look(46 + hour / 24, 20.0, model=other) for hour in hours))
    c = incident_spans.c
    query = sa.select(c.started_at, c.ended_at, c.samples).where(c.worst_uptime_pct == 20).order_by(c.started_at)
    with engine.connect() as connection:
        first, second = connection.execute(query).all()
    assert tuple(first) == (bad[0].observed_at, bad[-1].observed_at + timedelta(seconds=1), 3)
    assert (second.started_at, second.ended_at) == (START + timedelta(days=46), None)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_look_that_takes_the_place_of_an_old_one_takes_no_rollup(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "acme/other"
    store_looks(engine, *(look(day, 70.0, model=other, target="acme/zzz") for day in (10, 28.5, 29.5)))
    before = tables(engine)[:3]
    maintained(monkeypatch, 30)
    store_looks(engine, *(look(day + 5 / 1440, 99.0, model=other) for day in (10, 28.5, 29.5)))
    assert tables(engine)[:3] == before


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_what_an_incomplete_look_lists_stays_proved(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "acme/other"
    unread = an_endpoint("odd", prompt="nonsense", model_id=other)
    partial = a_look(an_endpoint("north/fp8"), unread, observed_at=START + timedelta(days=5), target=other, model=other)
    whole = look(20, 99.0, model=other)
    both = look(3, 99.0, 99.0, model=other, prompt="0.000005")
    looks = [both, partial, whole]
    store_looks(engine, *looks)
    maintained(monkeypatch, 30)
    assert partial.observed_at in sampled(engine)
    late = look(4, 99.0, 99.0, model=other, prompt="0.000007")
    store_looks(engine, late)
    with engine.connect() as connection:
        found = stored_history(connection)
    expected = history_of([*LOOKS, *looks, late])
    assert (found.prices, found.terms) == (expected.prices, expected.terms)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_cheapest_tells_where_samples_are_gone(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    maintained(monkeypatch, 30)
    usage = Usage(1000, 0)
    with engine.connect() as connection:
        (note,) = rank_offers(connection, MODEL, usage, as_of=START + timedelta(days=20), now=NOW).notes
        assert note == "uptime unknown: samples from before 2026-01-28 were removed; ask daily_uptime"
        assert rank_offers(connection, MODEL, usage, as_of=START + timedelta(days=50), now=NOW).notes == ()
        floor = Conditions(uptime_pct=Decimal(10))
        (left_out,) = rank_offers(connection, MODEL, usage, floor, as_of=START + timedelta(days=20), now=NOW).left_out
        assert left_out.reasons == ("uptime unknown: no samples",)


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_what_an_offer_cost_outside_its_windows_stays_known(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every look of the week before, also where the samples of those looks are gone."""
    other, at_night = "acme/other", [{"utc_start": 0, "utc_end": 600, "prompt": "0.0000005"}]
    timed = {"model": other, "pricing": {"overrides": at_night}}
    store_looks(engine, *(look(day + hour / 24, 99.0, **timed) for day in range(22) for hour in (-3, 6)))

    def cost() -> Any:
        with engine.connect() as connection:
            answer = rank_offers(connection, other, Usage(1000, 0), as_of=START + timedelta(days=20, hours=7), now=NOW)
        return [(offer.cost_usd, offer.reasons) for offer in (*answer.offers, *answer.left_out)]

    before = cost()
    assert before == [(Decimal("0.001"), ())]
    maintained(monkeypatch, 30)
    assert cost() == before


@pytest.mark.slow_unless(database_url=["sqlite"])
def test_a_look_that_comes_before_the_limit_stands_is_rolled_up_first(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between the roll-up and the transaction that makes the rollups final."""
    late = look(12.01, 10.0)
    rolled_up: list[bool] = []

    def then_a_look_comes(engine: sa.Engine) -> None:
        roll_up(engine)
        if not rolled_up:
            with writing(engine) as connection:
                store(connection, [(late, read_observation(late))])
        rolled_up.append(True)

    monkeypatch.setattr(retention, "roll_up", then_a_look_comes)
    remove_old_samples(engine, 30, NOW)
    with engine.connect() as connection:
        worst = sa.select(sa.func.min(uptime_daily.c.min_uptime_pct))
        assert connection.execute(worst).scalar_one() == 10
    assert len(rolled_up) == 2


def month_names(url: str) -> list[str]:
    with opened(url) as engine, engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
    return sorted(name.removeprefix("uptime_samples_") for name in names if name.startswith("uptime_samples_"))


def test_months_that_are_empty_are_dropped_and_those_ahead_are_made(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with opened(postgres_url) as engine:
        store_looks(engine, look(-40), look(-8), look(45))
    maintained(monkeypatch, 30)
    # The last sample before the time that is looked back on is that of December.
    assert month_names(postgres_url) == ["2025_12", "2026_02", "2026_03", "2026_04", "2026_05"]


def test_a_month_that_somebody_reads_is_left_for_another_night(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setattr("endpoint_history.database.partitions._PATIENCE", "1ms")
    with opened(postgres_url) as engine:
        store_looks(engine, look(-40), look(-8), look(45))
        reader = open_engine(postgres_url)
        with reader.connect() as connection:
            connection.execute(sa.select(uptime_samples)).all()
            maintained(monkeypatch, 30)
        reader.dispose()
    assert month_names(postgres_url)[0] == "2025_11"
    maintained(monkeypatch, 30)
    assert month_names(postgres_url)[0] == "2025_12"


LISTED = st.lists(st.sampled_from([20.0, 94.0, 96.0, 100.0]), max_size=2)
DAYS_AND_HOURS = st.builds(
    lambda day, hour: day + hour / 24,
    st.sampled_from([0, 1, 5, 20, 27, 28, 29, 30, 31, 40, 59]),
    st.sampled_from([0, 0.25, 0.4, 17.9, 18, 18.1]),
)
ANY_LOOK = st.one_of(
    st.builds(
        lambda day, uptimes, **fields: look(day, *uptimes, **fields),
        DAYS_AND_HOURS,
        LISTED,
        prompt=st.sampled_from(["0.000001", "0.000002"]),
        target=st.sampled_from([MODEL, MODEL, "acme/swift-1-20260101"]),
    ),
    st.builds(
        lambda day, uptime: a_look(
            an_endpoint("north/fp8", uptime_last_30m=uptime),
            an_endpoint("south/fp8", prompt="nonsense"),
            observed_at=START + timedelta(days=day),
        ),
        DAYS_AND_HOURS,
        st.sampled_from([20.0, 100.0]),
    ),
    st.builds(lambda day: a_gone_look(observed_at=START + timedelta(days=day)), DAYS_AND_HOURS),
    st.builds(lambda day: a_failed_look(observed_at=START + timedelta(days=day)), DAYS_AND_HOURS),
)


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path_factory.mktemp('retention')}/history.db"
    upgrade(url)
    with opened(url) as engine:
        yield engine


@examples(quick=15, thorough=200)
@given(looks=st.lists(ANY_LOOK, max_size=14), chance=st.randoms(use_true_random=False))
def test_whatever_comes_after_samples_went_prices_and_what_is_not_final_are_those_of_the_set(
    sqlite_engine: sa.Engine, looks: Sequence[Observation], chance: random.Random
) -> None:
    with writing(sqlite_engine) as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    final: Rows = {}
    ended: Rows = {}
    settled = None
    for seen in chance.sample(looks, len(looks)):
        store_looks(sqlite_engine, seen)
        still_final, still_ended = rows_before(sqlite_engine, settled)
        assert still_final == final
        assert still_ended.items() >= ended.items()  # one that went on may turn out to have ended long ago
        if chance.random() < 0.3:
            remove_old_samples(sqlite_engine, 30, NOW + timedelta(days=chance.randint(-2, 2)))
            with sqlite_engine.connect() as connection:
                settled = read_watermark(connection)
            final, ended = rows_before(sqlite_engine, settled)
    with sqlite_engine.connect() as connection:
        found, rollups = stored_history(connection), stored_rollups(connection)
    expected, wanted = history_of(looks), rollups_of(looks)
    assert (found.evidence, found.prices, found.terms) == (expected.evidence, expected.prices, expected.terms)
    assert found.uptime.items() <= expected.uptime.items()
    since = settled or START
    assert since_then(since - LOOKBACK, found.uptime) == since_then(since - LOOKBACK, expected.uptime)
    assert since_then(since, rollups.hourly) == since_then(since, wanted.hourly)
    assert since_then(since.date(), rollups.daily) == since_then(since.date(), wanted.daily)
    assert (rollups.days, rollups.gaps) == (wanted.days, wanted.gaps)


def rows_before(engine: sa.Engine, settled: datetime | None) -> tuple[Rows, Rows]:
    """The rollups of uptime that are final, and the incidents that had long ended."""
    if settled is None:
        return {}, {}
    with engine.connect() as connection:
        rollups = stored_rollups(connection)
    hours = {key: row for key, row in rollups.hourly.items() if key[1] < settled}
    days = {key: row for key, row in rollups.daily.items() if key[1] < settled.date()}
    catalogue = {day: row for day, row in rollups.catalogue.items() if day < settled.date()}
    ended = {k: row for k, row in rollups.incidents.items() if row[0] and row[0] < settled - LOOKBACK}
    return {"hours": hours, "days": days, "catalogue": catalogue}, ended


def since_then(time: Any, rows: Rows) -> Rows:
    return {key: row for key, row in rows.items() if key[1] >= time}
