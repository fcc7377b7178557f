"""A question about one model or one day pays for no other, in the plans of both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened, upgrade
from models.views import current_prices, price_intervals, views

LARGE = {"pricing_snapshots", "listing_changes", "observations", "uptime_samples"}
PRICE_VIEWS = [view for view in views.tables.values() if {"valid_from", "observed_at"} & set(view.c.keys())]
OWN = {"k", "w", "i", "y", "CONSTANT"}  # what the views call lists of names, entries of overrides, and what they made


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    upgrade(database_url)
    with opened(database_url) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            for choice in ("seqscan", "hashjoin", "mergejoin"):  # right for tables as empty as these, and for no others
                connection.execute(sa.text(f"SET enable_{choice} = off"))
        yield connection


def scans(connection: sa.Connection, query: sa.Select[Any]) -> list[str]:
    """What the plan reads from end to end: on PostgreSQL of the large tables, on SQLite of all, by alias."""
    text = query.compile(connection, compile_kwargs={"literal_binds": True})
    if connection.dialect.name == "sqlite":
        steps = [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        scanned = [match[1] for step in steps if (match := re.match(r"SCAN (?:TABLE )?(?:\w+ AS )?(\w+)", step))]
        return [name for name in scanned if name not in OWN and not name.isdigit()]
    [[plan]] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}").scalars()
    return [n["Relation Name"] for n in nodes(plan["Plan"]) if not n.keys() & {"Index Cond", "Recheck Cond"}]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a plan that read a large table."""
    if plan.get("Relation Name") in LARGE:
        yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


@pytest.mark.parametrize("view", PRICE_VIEWS, ids=str)
def test_a_question_about_one_model_is_answered_by_indexes(view: sa.Table, connection: sa.Connection) -> None:
    assert scans(connection, sa.select(view).where(view.c.model == "acme/swift-1")) == []


@pytest.mark.parametrize("view", [view for view in PRICE_VIEWS if view is not current_prices], ids=str)
def test_a_question_about_one_day_is_answered_by_indexes(view: sa.Table, connection: sa.Connection) -> None:
    time = "valid_from" if "valid_from" in view.c else "observed_at"
    day = f"{time} >= '2026-05-16 00:00:00' AND {time} < '2026-05-17 00:00:00'"
    assert scans(connection, sa.select(view).where(sa.text(day))) == []


def test_the_prices_of_today_read_neither_all_looks_nor_all_samples(connection: sa.Connection) -> None:
    assert set(scans(connection, sa.select(current_prices))) <= {"pricing_snapshots", "p", "e", "m"}


def test_a_question_about_everything_is_seen_to_read_everything(connection: sa.Connection) -> None:
    assert scans(connection, sa.select(price_intervals)) != []
