"""docs/queries.md shows the answers of both databases, and Datasette runs the same queries."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import rank_offers
from endpoint_history.database.engine import opened
from simulator import history
from simulator.cookbook import DATASETTE, PAGE, Question, answer, answered, asking, datasette, questions
from tests.support import postgres

PAGE_TEXT = PAGE.read_text()
QUESTIONS = questions(PAGE_TEXT)
MOST_ROWS = 13
# In its own process, because its imports emit warnings, which are errors here.
ASK_DATASETTE = """
import asyncio, json, sys
from pathlib import Path
from datasette.app import Datasette
from datasette.utils import parse_metadata

async def ask(database, metadata, asked):
    served = Datasette([database], metadata=parse_metadata(Path(metadata).read_text()))
    for name, values in asked.items():
        answer = await served.client.get(f"/history/{name}.json", params={**values, "_shape": "array"})
        print(json.dumps([name, answer.status_code, len(answer.json())]))

asyncio.run(ask(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def shown_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the history of the page on SQLite."""
    path = tmp_path_factory.mktemp("shown") / "history.db"
    history.make_history(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    """Return the history of the page on each database."""
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('shown_history')}"
        with opened(url) as engine, engine.connect() as connection:
            yield connection
        return
    with postgres.database(request.getfixturevalue("postgres_server")) as url:
        history.make_history(url)
        with opened(url) as engine, engine.connect() as connection:
            yield connection


def _by_title(question: Question) -> str:
    return question.name


@pytest.mark.parametrize("question", QUESTIONS, ids=_by_title)
def test_the_page_shows_the_answers_of_the_database(question: Question, connection: sa.Connection) -> None:
    assert answer(connection, question.sql) == question.shown


@pytest.mark.parametrize("question", QUESTIONS, ids=_by_title)
def test_an_answer_has_rows_and_not_too_many(question: Question) -> None:
    assert 1 <= len(question.shown.splitlines()) - 2 <= MOST_ROWS


def test_the_cheapest_offers_above_an_uptime_floor_equal_those_of_the_command(connection: sa.Connection) -> None:
    [question] = [question for question in QUESTIONS if "met-an-uptime-floor" in question.name]
    rows = connection.exec_driver_sql(question.sql).all()
    as_of, mix = datetime(2026, 3, 20, tzinfo=UTC), Usage(750, 250)
    found = rank_offers(
        connection, asking(question.sql)[1]["model"], mix, Conditions(uptime_pct=Decimal(99)), as_of=as_of
    ).offers
    assert [tuple(row[:2]) for row in rows] == [(offer.provider, offer.route) for offer in found]
    costs = [1000 * float(offer.cost_usd or 0) for offer in found]
    assert [row[2] for row in rows] == pytest.approx(costs)


def test_every_query_of_the_page_has_its_own_title() -> None:
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS) == PAGE_TEXT.count("```sql") >= 20


def test_generating_the_page_again_changes_nothing() -> None:
    shown = {question.sql: question.shown for question in QUESTIONS}
    assert answered(PAGE_TEXT, shown.__getitem__) == PAGE_TEXT


def test_datasette_yaml_holds_the_queries_of_the_page() -> None:
    assert DATASETTE.read_text() == datasette(PAGE_TEXT)


@pytest.mark.parametrize("question", QUESTIONS, ids=_by_title)
def test_a_parameter_replaces_the_literal_of_the_page(question: Question) -> None:
    sql, values = asking(question.sql)
    assert re.sub(r":(\w*[a-z]\w*)", lambda match: f"'{values[match[1]]}'", sql) == question.sql


def test_a_parameter_cannot_have_two_values() -> None:
    with pytest.raises(ValueError, match="model would be a and b"):
        asking("SELECT 1 WHERE model = 'a' OR model = 'b'")


def test_datasette_answers_every_query(shown_history: Path) -> None:
    asked = {question.name: asking(question.sql)[1] for question in QUESTIONS}
    command = [sys.executable, "-c", ASK_DATASETTE, str(shown_history), str(DATASETTE), json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [[question.name, 200, len(question.shown.splitlines()) - 2] for question in QUESTIONS]
    assert answers == expected, done.stderr


def test_a_database_with_history_is_not_mixed_with_the_simulated_one(
    history_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["history", history_url])
    assert history.main() == 2
    assert capsys.readouterr().err == "simulator: there is history in that database already; name another\n"
