"""The tables refuse what cannot be true, and give back what was put in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade
from endpoint_history.database.partitions import create_partitions
from models.listing import PRICE_KEYS
from models.tables import metadata
from tests.support import postgres
from tests.support.factories import MORNING, at

ONE = Decimal(1)
DAY = MORNING.date()
SUMS = {
    "uptime_pct": 90.0,
    "min_uptime_pct": 80.0,
    "samples": 2,
    "covered_seconds": 3600,
    "null_seconds": 0,
    "below_95_seconds": 1800,
    "below_80_seconds": 0,
}
ROWS: dict[str, dict[str, Any]] = {
    "runs": {"id": 1, "name": "r", "kind": "collect", "source": "live", "started_at": MORNING},
    "targets": {"id": 1, "author": "acme", "slug": "swift-1"},
    "models": {
        "id": 1,
        "openrouter_id": "acme/swift-1",
        "name": "Swift",
        "description": "",
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "first_seen_at": MORNING,
        "last_seen_at": MORNING,
    },
    "endpoints": {
        "id": 1,
        "model_id": 1,
        "variant": "acme/swift-1",
        "route": "north",
        "ordinal": 0,
        "name": "North",
        "first_seen_at": MORNING,
        "last_seen_at": MORNING,
    },
    "observations": {
        "id": 1,
        "run_id": 1,
        "target_id": 1,
        "observed_at": MORNING,
        "outcome": "ok",
        "complete": True,
        "is_evidence": True,
        "model_id": 1,
        "body_digest": "0123456789abcdef",
    },
    "target_models": {"target_id": 1, "model_id": 1},
    "pricing_snapshots": {
        "endpoint_id": 1,
        "observed_at": MORNING,
        "observation_id": 1,
        "listed": True,
        "prompt_usd": ONE,
        "completion_usd": ONE,
        "varies": False,
    },
    "listing_changes": {
        "endpoint_id": 1,
        "observed_at": MORNING,
        "observation_id": 1,
        "listed": True,
        "provider_name": "North",
        "supported_parameters": [],
    },
    "uptime_samples": {"endpoint_id": 1, "observed_at": MORNING},
    "performance_samples": {"endpoint_id": 1, "observed_at": MORNING},
    "uptime_hourly": {"endpoint_id": 1, "hour_at": MORNING, **SUMS},
    "uptime_daily": {"endpoint_id": 1, "day": DAY, **SUMS},
    "catalogue_daily": {"day": DAY, "sampled_endpoints": 1, "endpoints_with_uptime": 1},
    "incident_spans": {"endpoint_id": 1, "started_at": MORNING, "samples": 2, "worst_uptime_pct": 50.0},
    "evidence_daily": {
        "model_id": 1,
        "day": DAY,
        "observed": 1,
        "imported": 0,
        "missed_observations": 0,
        "failed": 0,
        "covered_seconds": 1800,
    },
    "closed_gaps": {
        "model_id": 1,
        "started_at": MORNING,
        "ended_at": at(90),
        "cadence_seconds": 1800,
        "missed_observations": 2,
        "failed": 1,
    },
    "stale_rollups": {"model_id": 1, "day": 20_589, "since": at(0)},
    "retention": {"final_before": MORNING},
    "alerts": {
        "event_id": "1",
        "event": "endpoint-history.alert.fired",
        "payload": {"text": "t"},
        "recorded_at": MORNING,
    },
    "not_found": {"target": "acme/swfit"},
    "drift": {"path": "data.new", "value": "", "first_seen_at": MORNING, "last_seen_at": MORNING, "observations": 1},
}
ABSENT = {"listed": False, "prompt_usd": None, "completion_usd": None}
FAILED = {"id": 2, "outcome": "failed", "complete": False, "is_evidence": False, "model_id": None}
NEW = {"id": 2, "observed_at": at(30)}
# Each is one step away from a row that is accepted.
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("runs", {"id": 2}),
    ("runs", {"id": 2, "name": "s", "kind": "guess"}),
    ("runs", {"id": 2, "name": "s", "finished_at": at(-1)}),
    ("targets", {"id": 2}),
    ("models", {"id": 2}),
    ("models", {"id": 2, "openrouter_id": "acme/swift-2", "last_seen_at": at(-1)}),
    ("endpoints", {"id": 2}),
    ("endpoints", {"id": 2, "ordinal": -1}),
    ("endpoints", {"id": 2, "ordinal": 1, "last_seen_at": at(-1)}),
    ("endpoints", {"id": 2, "ordinal": 1, "model_id": 7}),
    ("observations", {"id": 2, "is_evidence": False}),
    ("observations", {"id": 2, "body_digest": "f" * 16}),
    ("observations", NEW | {"outcome": "odd"}),
    ("observations", NEW | {"model_id": None, "is_evidence": False}),
    ("observations", NEW | {"outcome": "gone", "model_id": None}),
    ("observations", FAILED | {"is_evidence": True, "model_id": 1, "observed_at": at(30)}),
    ("observations", FAILED | {"complete": True}),
    ("observations", NEW | {"run_id": 7}),
    ("observations", NEW | {"target_id": 7}),
    ("observations", NEW | {"model_id": 7}),
    ("target_models", {"target_id": 7}),
    ("target_models", {"model_id": 7}),
    ("pricing_snapshots", {}),
    *(("pricing_snapshots", {"observed_at": at(30), f"{key}_usd": Decimal("-0.0000001")}) for key in PRICE_KEYS),
    ("pricing_snapshots", {"observed_at": at(30), "prompt_usd": None}),
    ("pricing_snapshots", {"observed_at": at(30), "completion_usd": None}),
    *(("pricing_snapshots", {"observed_at": at(30)} | ABSENT | {f"{key}_usd": ONE}) for key in PRICE_KEYS),
    ("pricing_snapshots", {"observed_at": at(30)} | ABSENT | {"varies": True}),
    ("pricing_snapshots", {"observed_at": at(30)} | ABSENT | {"discount": ONE}),
    ("pricing_snapshots", {"observed_at": at(30)} | ABSENT | {"overrides": []}),
    ("pricing_snapshots", {"observed_at": at(30)} | ABSENT | {"other_prices": {"video": "1"}}),
    ("pricing_snapshots", {"observed_at": at(30), "endpoint_id": 7}),
    ("pricing_snapshots", {"observed_at": at(30), "observation_id": 7}),
    ("listing_changes", {}),
    ("listing_changes", {"observed_at": at(30), "provider_name": None}),
    ("listing_changes", {"observed_at": at(30), "context_length": -1}),
    ("listing_changes", {"observed_at": at(30), "endpoint_id": 7}),
    ("listing_changes", {"observed_at": at(30), "observation_id": 7}),
    ("listing_changes", {"observed_at": at(30), "supported_parameters": None}),
    ("listing_changes", {"observed_at": at(30), "listed": False}),
    *(("observations", NEW | {name: -1}) for name in ("elapsed_ms", "body_bytes", "archive_line")),
    ("uptime_samples", {}),
    *(
        ("uptime_samples", {"observed_at": at(30), f"uptime_{window}_pct": percent})
        for window in ("5m", "30m", "1d")
        for percent in (100.01, -0.01)
    ),
    ("uptime_samples", {"observed_at": at(30), "endpoint_id": 7}),
    ("performance_samples", {}),
    ("performance_samples", {"observed_at": at(30), "endpoint_id": 7}),
    ("uptime_hourly", {}),
    *(
        (table, key | wrong)
        for table, key in (("uptime_hourly", {"hour_at": at(60)}), ("uptime_daily", {"day": at(1440).date()}))
        for wrong in (
            {"samples": 0},
            {"uptime_pct": None},
            {"below_95_seconds": 3601},
            {"below_80_seconds": 1801},
            {"endpoint_id": 7},
        )
    ),
    ("incident_spans", {}),
    ("incident_spans", {"started_at": at(30), "ended_at": at(30), "ended_by": "left"}),
    ("incident_spans", {"started_at": at(30), "ended_at": at(60)}),
    ("incident_spans", {"started_at": at(30), "ended_by": "left"}),
    ("incident_spans", {"started_at": at(30), "ended_at": at(60), "ended_by": "magic"}),
    ("incident_spans", {"started_at": at(30), "endpoint_id": 7}),
    ("evidence_daily", {}),
    ("evidence_daily", {"model_id": 7}),
    ("evidence_daily", {"day": at(1440).date(), "failed": 1}),
    ("closed_gaps", {}),
    ("closed_gaps", {"started_at": at(30), "failed": 3}),
    ("closed_gaps", {"started_at": at(30), "failed": -1}),
    ("closed_gaps", {"started_at": at(90)}),
    ("closed_gaps", {"model_id": 7}),
    ("stale_rollups", {}),
    ("retention", {}),
    ("stale_rollups", {"model_id": 7}),
    ("catalogue_daily", {}),
    ("alerts", {}),
    ("not_found", {}),
    ("drift", {}),
    ("drift", {"path": "data.newer", "last_seen_at": at(-1)}),
]
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("runs", {"id": 2, "name": "s", "kind": "backfill", "finished_at": MORNING}),
    ("endpoints", {"id": 2, "ordinal": 1}),
    ("observations", NEW),
    ("observations", NEW | {"outcome": "gone", "model_id": None, "is_evidence": False}),
    ("observations", {"id": 2, "body_digest": "f" * 16, "is_evidence": False}),
    ("observations", FAILED),
    ("pricing_snapshots", {"observed_at": at(30)} | {f"{key}_usd": Decimal(0) for key in PRICE_KEYS}),
    ("pricing_snapshots", {"observed_at": at(30)} | ABSENT),
    ("pricing_snapshots", {"observed_at": at(30), "prompt_usd": None, "completion_usd": None, "varies": True}),
    ("pricing_snapshots", {"observed_at": at(30), "discount": Decimal("-0.5")}),
    (
        "listing_changes",
        {"observed_at": at(30), "provider_name": None, "supported_parameters": None, "listed": False},
    ),
    ("uptime_samples", {"observed_at": at(30), "uptime_5m_pct": 0.0, "uptime_30m_pct": 100.0, "status": -10}),
    ("uptime_samples", {"observed_at": at(30), "uptime_1d_pct": None}),
]
DECIMALS = [
    "0.00000010000000000000000001",
    "12345678.000000371600",
    "0",
    "0.1",
    "1E-30",
    "1E+3",
    "99999999999999999999",
]
KOLKATA = timezone(timedelta(hours=5, minutes=30))
TIMES = [
    at(1),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 1, 1, 3, 0, tzinfo=KOLKATA),
]
TIME_TABLES = ["pricing_snapshots", "uptime_samples"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('tables')}/history.db"
        return
    with postgres.database(request.getfixturevalue("postgres_server")) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[sa.Engine]:
    """A database with one row in every table."""
    upgrade(url)
    with opened(url) as engine:
        with engine.begin() as connection:
            create_partitions(connection, [MORNING, at(30), *TIMES])
            for name, row in ROWS.items():
                connection.execute(sa.insert(metadata.tables[name]).values(row))
        yield engine


@pytest.fixture
def filled(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to it that leaves nothing behind."""
    with engine.connect() as connection:
        yield connection


def _add(connection: sa.Connection, name: str, /, **changes: Any) -> sa.RowMapping:
    """Insert the row of that table with these changes, and give back what the database now has of it."""
    table, row = metadata.tables[name], ROWS[name] | changes
    connection.execute(sa.insert(table).values(row))
    key = [column == row[column.name] for column in table.primary_key.columns]
    return connection.execute(sa.select(table).where(*key)).mappings().one()


def test_every_table_has_a_row_here() -> None:
    assert ROWS.keys() == metadata.tables.keys()


@pytest.mark.parametrize(("name", "changes"), REFUSED)
def test_a_row_that_cannot_be_true_is_refused(name: str, changes: dict[str, Any], filled: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        _add(filled, name, **changes)


@pytest.mark.parametrize(("name", "changes"), ACCEPTED)
def test_a_row_that_can_be_true_is_kept(name: str, changes: dict[str, Any], filled: sa.Connection) -> None:
    row = _add(filled, name, **changes)
    assert {key: row[key] for key in changes} == changes


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"target_models", "retention", "stale_rollups"}))
def test_a_column_that_must_be_filled_refuses_null(name: str, filled: sa.Connection) -> None:
    table = metadata.tables[name]
    required = [column for column in table.columns if not (column.nullable or column.primary_key)]
    for column in required:
        with pytest.raises(sa.exc.IntegrityError), filled.begin_nested():
            filled.execute(sa.update(table).values({column.name: sa.null()}))


@pytest.mark.parametrize("text", DECIMALS)
@pytest.mark.parametrize("column", ["prompt_usd", "image_usd", "discount"])
def test_exact_decimals_survive_the_round_trip(column: str, text: str, filled: sa.Connection) -> None:
    row = _add(filled, "pricing_snapshots", observed_at=at(30), **{column: Decimal(text)})
    assert row[column] == Decimal(text)


@pytest.mark.parametrize("features", [{"b": {"d": 1, "c": 2}, "a": 3}, {"a": 3, "b": {"c": 2, "d": 1}}], ids=str)
def test_equal_json_is_equal_text_whatever_the_order_of_its_keys(
    features: dict[str, Any], filled: sa.Connection
) -> None:
    table = metadata.tables["endpoints"]
    filled.execute(table.update().values(features=features))
    text = filled.execute(sa.select(sa.cast(sa.type_coerce(table.c.features, sa.Text), sa.Text))).scalars().first()
    assert text == '{"a": 3, "b": {"c": 2, "d": 1}}'


def test_a_float_is_refused_as_a_price(filled: sa.Connection) -> None:
    with pytest.raises(sa.exc.StatementError, match="a price is a Decimal, not float"):
        _add(filled, "pricing_snapshots", observed_at=at(30), prompt_usd=0.1)


@pytest.mark.parametrize("time", TIMES, ids=str)
@pytest.mark.parametrize("name", TIME_TABLES)
def test_times_come_back_as_aware_utc(name: str, time: datetime, filled: sa.Connection) -> None:
    found = _add(filled, name, observed_at=time)["observed_at"]
    assert (found, found.tzinfo) == (time, UTC)


@pytest.mark.parametrize("name", TIME_TABLES)
def test_nothing_finer_than_a_second_is_kept(name: str, filled: sa.Connection) -> None:
    table = metadata.tables[name]
    filled.execute(sa.insert(table).values(ROWS[name] | {"observed_at": at(30) + timedelta(microseconds=999_999)}))
    assert filled.scalar(sa.select(sa.func.max(table.c.observed_at))) == at(30)


@pytest.mark.parametrize("name", TIME_TABLES)
def test_a_time_without_a_zone_is_refused(name: str, filled: sa.Connection) -> None:
    with pytest.raises(sa.exc.StatementError, match="a time without a time zone"):
        _add(filled, name, observed_at=datetime(2026, 5, 16, 9, 0))  # noqa: DTZ001


@pytest.mark.parametrize("name", TIME_TABLES)
def test_times_sort_in_the_database_as_they_follow(name: str, filled: sa.Connection) -> None:
    for time in TIMES:
        _add(filled, name, observed_at=time)
    column = metadata.tables[name].c.observed_at
    assert list(filled.scalars(sa.select(column).order_by(column))) == sorted([MORNING, *TIMES])


@pytest.mark.parametrize(
    ("name", "read"),
    [("pricing_snapshots", "datetime(observed_at)"), ("uptime_samples", "datetime(observed_at, 'unixepoch')")],
)
def test_the_functions_of_sqlite_read_its_times(name: str, read: str, tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/history.db")
    with opened(f"sqlite:///{tmp_path}/history.db") as engine, engine.begin() as connection:
        connection.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
        connection.execute(sa.insert(metadata.tables[name]).values(ROWS[name]))
        assert connection.scalar(sa.text(f"SELECT {read} FROM {name}")) == "2026-05-16 09:00:00"
        connection.rollback()


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_every_column_and_table_has_a_comment(table: sa.Table) -> None:
    assert [column.name for column in table.columns if not (column.comment or "").endswith(".")] == []
    assert table.comment


def test_postgresql_itself_has_every_comment(postgres_url: str) -> None:
    upgrade(postgres_url)
    with opened(postgres_url) as engine:
        look = sa.inspect(engine)
        found = {
            name: (look.get_table_comment(name)["text"], {c["name"]: c["comment"] for c in look.get_columns(name)})
            for name in metadata.tables
        }
    assert found == {t.name: (t.comment, {c.name: c.comment for c in t.columns}) for t in metadata.sorted_tables}
