"""A question about one model or one day pays for no other, in the plans of both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from flows.database import opened, upgrade
from models.views import views

LARGE = "pricing_snapshots|listing_changes|observations|uptime_samples"
ALIASES = "p|r|b|n|q|o|s|c|x|ap|zp"


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    upgrade(database_url)
    with opened(database_url) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Empty tables are scanned; what is scanned even so has no index.
            connection.execute(sa.text("SET enable_seqscan = off"))
        yield connection


def scans(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[str]:
    """The steps of the plan that read a large table from end to end."""
    text = query.compile(connection, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    steps = [str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {text}")]
    assert len(steps) > 3
    whole = rf"SCAN ({ALIASES}|{LARGE})\b" if connection.dialect.name == "sqlite" else rf"Seq Scan on ({LARGE})\b"
    return [step for step in steps if re.search(whole, step)]


@pytest.mark.parametrize("view", views.tables.values(), ids=str)
def test_a_question_about_one_model_is_answered_by_indexes(view: sa.Table, connection: sa.Connection) -> None:
    assert scans(connection, sa.select(view).where(view.c.model == "acme/swift-1")) == []


@pytest.mark.parametrize("view", [v for v in views.tables.values() if v.name != "current_prices"], ids=str)
def test_a_question_about_one_day_is_answered_by_indexes(view: sa.Table, connection: sa.Connection) -> None:
    time = view.c.valid_from if "valid_from" in view.c else view.c.observed_at
    day = (sa.text(f"{time.name} >= '2026-05-16 00:00:00'"), sa.text(f"{time.name} < '2026-05-17 00:00:00'"))
    assert scans(connection, sa.select(view).where(*day)) == []


def test_the_prices_of_today_read_neither_all_looks_nor_all_samples(connection: sa.Connection) -> None:
    found = scans(connection, sa.select(views.tables["current_prices"]))
    assert [step for step in found if re.search(r"\b(observations|uptime_samples|o|s)\b", step)] == []
