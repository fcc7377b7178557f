"""What a Parquet file says of a value, and how it lies in it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endpoint_history.analysis.export.datasets import Dataset, lay_out
from endpoint_history.analysis.export.parquet import write
from models.listing import canonical_decimal
from models.types import ExactDecimal, UtcTime
from tests.support.duck import asked
from tests.support.exporting import LONG_PRICE, LONGEST_PRICE, export_to

PRICES = st.decimals(0, 9_999, allow_nan=False).filter(lambda d: len(canonical_decimal(d).partition(".")[2]) <= 60)
priced = sa.Table(
    "priced", sa.MetaData(), sa.Column("at", UtcTime, primary_key=True), sa.Column("price_usd", ExactDecimal)
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.parquet"


def rows_of(file: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    return asked(f"SELECT {columns} FROM '{file}'")


@pytest.fixture
def out(history_url: str, tmp_path: Path) -> Path:
    """An export of the short history."""
    export_to(tmp_path / "export", history_url)
    return tmp_path / "export"


def write_prices(file: Path, prices: list[Decimal | None]) -> None:
    rows = [(number, None if price is None else canonical_decimal(price)) for number, price in enumerate(prices)]
    write(file, lay_out(Dataset(priced, "at"), "sqlite"), [((), rows)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | PRICES, min_size=1, max_size=5))
def test_no_decimal_of_a_price_is_lost(file: Path, prices: list[Decimal | None]) -> None:
    write_prices(file, prices)
    stored = rows_of(file, "coalesce(CAST(unrounded::JSON ->> 'price_usd' AS VARCHAR), CAST(price_usd AS VARCHAR))")
    assert [None if text is None else Decimal(text) for (text,) in stored] == prices


def test_a_price_of_more_than_thirty_decimals_is_rounded_and_stands_beside_as_text(file: Path) -> None:
    write_prices(file, [Decimal(LONG_PRICE), Decimal("0." + "3" * 31), Decimal("0." + "6" * 60), None])
    assert rows_of(file, "price_usd, unrounded") == [
        (Decimal(LONG_PRICE), None),
        (Decimal("0." + "3" * 30), '{"price_usd":"0.' + "3" * 31 + '"}'),
        (Decimal("0." + "6" * 29 + "7"), '{"price_usd":"0.' + "6" * 60 + '"}'),
        (None, None),
    ]


def test_duckdb_compares_and_multiplies_prices_as_the_numbers_they_are(file: Path) -> None:
    write_prices(file, [Decimal(LONG_PRICE), Decimal("0.0000001")])
    assert asked(f"SELECT price_usd * 1000000 FROM '{file}' WHERE price_usd > 0.0000001") == [
        (Decimal("0.10000000000000001"),)
    ]


def test_every_column_has_the_type_that_the_manifest_tells(out: Path) -> None:
    described = asked(f"DESCRIBE FROM '{out}/pricing_snapshots/*/*.parquet'")
    types = {name: type_ for name, type_, *_ in described}
    assert types["observed_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["prompt_usd"] == types["discount"] == "DECIMAL(38,30)"
    assert types["listed"] == "BOOLEAN"
    assert types["ordinal"] == "INTEGER"
    assert types["overrides"] == types["model"] == types["month"] == "VARCHAR"
    samples = asked(f"DESCRIBE FROM '{out}/uptime_samples/*/*.parquet'")
    assert dict(row[:2] for row in samples) == {
        **dict.fromkeys(("model", "variant", "route", "month"), "VARCHAR"),
        **dict.fromkeys(("uptime_5m_pct", "uptime_30m_pct", "uptime_1d_pct"), "DOUBLE"),
        "ordinal": "INTEGER",
        "observed_at": "TIMESTAMP WITH TIME ZONE",
        "status": "SMALLINT",
    }


def test_values_come_back_as_they_were_seen(out: Path) -> None:
    samples = asked(f"FROM '{out}/uptime_samples/month=2026-05/*.parquet' ORDER BY ALL")
    assert samples[0] == (
        *("acme/swift-1", "acme/swift-1", "South_é", 0),
        *(datetime(2026, 5, 16, 9, 0, tzinfo=UTC), -2, 100.0, None, None, "2026-05"),
    )
    prices = "listed, request_usd, discount, overrides, other_prices, unrounded"
    changes = rows_of(out / "pricing_snapshots/month=2026-06/data.parquet", prices)
    assert (False, None, None, None, None, None) in changes
    long = f'{{"request_usd":"{LONGEST_PRICE}"}}'
    assert (True, Decimal(0), Decimal("-0.25"), None, '{"video":"0.1"}', long) in [
        tuple(value.normalize() if isinstance(value, Decimal) else value for value in row) for row in changes
    ]
    assert '[{"prompt":"0.0000005","utc_end":600,"utc_start":0}]' in [row[3] for row in changes]


def test_samples_lie_offer_by_offer_in_order_of_time(out: Path) -> None:
    rows = rows_of(out / "uptime_samples/month=2026-05/data.parquet", "model, variant, route, ordinal, observed_at")
    assert len(rows) > 5
    assert rows == sorted(rows)


def test_row_groups_are_cut_by_rows_alone(file: Path) -> None:
    samples = Dataset(sa.Table("n", sa.MetaData(), sa.Column("at", UtcTime)), "at")
    sizes: list[int] = []
    chance = random.Random(1)
    while sum(sizes) < 300_000:
        sizes.append(chance.choice([0, 1, 1_488, 140_000]))
    write(file, lay_out(samples, "sqlite"), [((), [(at,) for at in range(size)]) for size in sizes])
    stored = pq.ParquetFile(file).metadata
    groups = [stored.row_group(number).num_rows for number in range(stored.num_row_groups)]
    assert groups == [*[131_072] * (sum(sizes) // 131_072), sum(sizes) % 131_072]
