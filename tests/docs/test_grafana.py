"""The queries of dashboards/grafana.json work, and return the columns that its panels need."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from models.listing import PER_TOKEN
from models.observation import Observation
from models.views import views
from tests.support import exporting, postgres
from tests.support.exporting import JULY
from tests.support.factories import MODEL, a_look, an_endpoint, at

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "dashboards" / "grafana.json").read_text()
BOARD = json.loads(TEXT)
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
BY_TITLE = {panel["title"]: panel for panel in PANELS}
SERIES = [panel for panel in PANELS if panel["type"] == "timeseries"]
TABLES = [panel for panel in PANELS if panel["type"] == "table"]
VARIABLES = {variable["name"]: variable["query"] for variable in BOARD["templating"]["list"]}
QUERIES = [(panel["title"], target["rawSql"]) for panel in PANELS for target in panel["targets"]]
OF_THE_WHOLE = {"Last evidence", "Coverage of the day"}
HOSTILE, QUOTED = "O'Neil'); SELECT 1 --", "acme/quoted"
BEGIN, END = at(0), at(JULY + 60)
# What the data source makes of time; a macro that is not here fails.
MACROS = {"timeFilter": "{column} BETWEEN '{begin}' AND '{end}'", "timeFrom": "'{begin}'", "timeTo": "'{end}'"}
BOOL, BIGINT, SMALLINT, INTEGER, NUMBER, TEXT_TYPE, TIME = 16, 20, 21, 23, 701, 25, 1184
NUMBERS = {BIGINT, SMALLINT, INTEGER, NUMBER}
Rows = list[tuple[Any, ...]]


def expanded(sql: str, begin: datetime = BEGIN, end: datetime = END, **chosen: str | list[str]) -> str:
    """The query as the database gets it: variables first, quoted where it says `:sqlstring`, then time."""

    def values(match: re.Match[str]) -> str:
        value = chosen[match[1]]
        texts = [value] if isinstance(value, str) else value
        return ",".join("'" + text.replace("'", "''") + "'" for text in texts)

    def time(match: re.Match[str]) -> str:
        return MACROS[match[1]].format(
            column=match[2],
            **{name: f"{instant:%Y-%m-%dT%H:%M:%SZ}" for name, instant in [("begin", begin), ("end", end)]},
        )

    return re.sub(r"\$__(\w+)\(([^)]*)\)", time, re.sub(r"\$\{(\w+):sqlstring\}", values, sql))


@pytest.fixture(scope="module")
def owner(postgres_server: str) -> Iterator[psycopg.Connection]:
    """The owner of a history: some eventful months, and a provider with a name to fear, in trouble."""
    with postgres.database(postgres_server) as url:
        exporting.load(url, [*exporting.eventful_months(), *_quoted()])
        with connected(url) as connection:
            yield connection


def _quoted() -> Iterator[Observation]:
    for minute, price in [(0, "0.000001"), (30, "0.000003")]:
        offer = an_endpoint("x", price, provider_name=HOSTILE, model_id=QUOTED, uptime_last_30m=50)
        yield a_look(offer, minute=JULY + minute, target=QUOTED, model=QUOTED)


@pytest.fixture(scope="module")
def reader(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """One who may read the documented views and nothing else."""
    name = f"reader_{secrets.token_hex(4)}"
    seen = ", ".join([*views.tables])
    owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT SELECT ON {seen} TO {name}".encode())
    try:
        with psycopg.connect(make_conninfo(owner.info.dsn, user=name, password="x"), autocommit=True) as connection:
            yield connection
    finally:
        owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def connected(url: str) -> psycopg.Connection:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def asked(connection: psycopg.Connection, sql: str) -> tuple[dict[str, int], Rows]:
    """The type of each column, and the rows."""
    cursor = connection.execute(sql.encode())
    return {column.name: column.type_code for column in cursor.description or []}, cursor.fetchall()


@pytest.fixture(scope="module")
def everyone(reader: psycopg.Connection) -> list[str]:
    """What the variable `provider` means when all are chosen."""
    return [name for (name,) in asked(reader, VARIABLES["provider"])[1]]


def test_the_variables_offer_every_model_and_provider(reader: psycopg.Connection, everyone: list[str]) -> None:
    models = [name for (name,) in asked(reader, VARIABLES["model"])[1]]
    assert models == [QUOTED, MODEL, "zeta/swift-2"]
    assert everyone == ["=SUM(A1)", "North", HOSTILE]


@pytest.mark.parametrize(("title", "sql"), QUERIES)
def test_every_query_gives_rows_of_types_that_grafana_knows(
    title: str, sql: str, reader: psycopg.Connection, everyone: list[str]
) -> None:
    types, rows = asked(reader, expanded(sql, model=MODEL, provider=everyone))
    assert rows
    assert set(types.values()) <= {*NUMBERS, BOOL, TEXT_TYPE, TIME}
    assert [name for name, kind in types.items() if name.endswith(("_at", "_from")) and kind != TIME] == []


@pytest.mark.parametrize("panel", SERIES, ids=lambda panel: panel["title"])
def test_a_line_has_times_in_order_a_name_and_a_number(
    panel: dict[str, Any], reader: psycopg.Connection, everyone: list[str]
) -> None:
    types, rows = asked(reader, expanded(panel["targets"][0]["rawSql"], model=MODEL, provider=everyone))
    assert list(types.values()) == [TIME, TEXT_TYPE, NUMBER]
    assert list(types)[:2] == ["time", "metric"]
    times = [row[0] for row in rows]
    assert times == sorted(times)
    assert BEGIN - timedelta(days=1) < times[0] < times[-1] <= END  # a day begins before its first observation
    metrics = {row[1] for row in rows}
    # As many as there are of both: a time at which a line has no row would tear it.
    assert len(rows) == len({row[:2] for row in rows}) == len(set(times)) * len(metrics)
    assert {row[2] for row in rows} > {None}


@pytest.mark.parametrize("panel", [panel for panel in PANELS if panel["type"] == "stat"], ids=lambda p: p["title"])
def test_a_figure_is_one_number(panel: dict[str, Any], reader: psycopg.Connection, everyone: list[str]) -> None:
    types, [[number]] = asked(reader, expanded(panel["targets"][0]["rawSql"], model=MODEL, provider=everyone))
    assert set(types.values()) <= NUMBERS
    assert number is not None


@pytest.mark.parametrize("panel", TABLES, ids=lambda panel: panel["title"])
def test_every_number_of_a_table_has_a_unit_and_every_link_a_column(
    panel: dict[str, Any], reader: psycopg.Connection, everyone: list[str]
) -> None:
    types, _ = asked(reader, expanded(panel["targets"][0]["rawSql"], model=MODEL, provider=everyone))
    assert {name for name, kind in types.items() if kind in NUMBERS} == _overridden(panel, "unit")
    assert _overridden(panel, "links") == {"model", "provider"} & set(types)


@pytest.mark.parametrize(("title", "sql"), [item for item in QUERIES if item[0] not in OF_THE_WHOLE])
def test_a_name_with_a_quote_stays_a_name(title: str, sql: str, reader: psycopg.Connection) -> None:
    """Every panel also shows the chosen provider only."""
    types, rows = asked(reader, expanded(sql, model=QUOTED, provider=[HOSTILE, "nobody"]))
    assert rows
    if "provider" in types:
        assert {row[list(types).index("provider")] for row in rows} == {HOSTILE}


@pytest.mark.parametrize(("title", "sql"), [item for item in QUERIES if "model:" in item[1]])
def test_a_model_that_is_none_finds_nothing(
    title: str, sql: str, reader: psycopg.Connection, everyone: list[str]
) -> None:
    assert asked(reader, expanded(sql, model="x' OR 'a' = 'a", provider=everyone))[1] == []


@pytest.mark.parametrize(("title", "sql"), QUERIES)
def test_variables_are_quoted_and_macros_known(title: str, sql: str) -> None:
    assert "$" not in expanded(sql, model="m", provider=["p"])


def test_a_price_is_drawn_as_it_held_and_an_absence_is_a_gap(postgres_url: str) -> None:
    stays, before, after = an_endpoint("b", "0.000002"), an_endpoint("a"), an_endpoint("a", "0.000003")
    seen = [(0, [before, stays]), (30, [before, stays]), (60, [stays]), (90, [after, stays]), (120, [after, stays])]
    exporting.load(postgres_url, [a_look(*endpoints, minute=minute) for minute, endpoints in seen])
    sql = BY_TITLE["Prompt price"]["targets"][0]["rawSql"]
    with connected(postgres_url) as connection:
        _, rows = asked(connection, expanded(sql, at(15), at(150), model=MODEL, provider=["North"]))
    drawn = {(int((time - at(0)) / timedelta(minutes=1)), metric): price for time, metric, price in rows}
    first = {15: 1, 30: 1, 60: None, 90: 3, 120: 3, 150: None}
    second = {15: 2, 30: 2, 60: 2, 90: 2, 120: 2, 150: None}
    assert drawn == {
        **{(minute, "North a"): price for minute, price in first.items()},
        **{(minute, "North b"): price for minute, price in second.items()},
    }


def test_a_day_without_uptime_is_a_gap_and_no_zero(postgres_url: str) -> None:
    silent, day = an_endpoint(uptime_last_30m=None), exporting.DAY
    exporting.load(
        postgres_url, [a_look(an_endpoint()), a_look(silent, minute=2 * day), a_look(silent, minute=3 * day)]
    )
    sql = BY_TITLE["Uptime by day"]["targets"][0]["rawSql"]
    with connected(postgres_url) as connection:
        _, rows = asked(connection, expanded(sql, at(0), at(9 * day), model=MODEL, provider=["North"]))
    assert [row[2] for row in rows] == [99.5, None, None, None]
    assert {row[0].astimezone(UTC).hour for row in rows} == {0}
    assert {row[1] for row in rows} == {"North north/fp8 (requests)"}


@pytest.mark.parametrize("panel", SERIES, ids=lambda panel: panel["title"])
def test_no_line_is_drawn_over_a_gap(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
    assert "nullValue" not in json.dumps(panel)


def test_prices_are_drawn_as_steps() -> None:
    prices = [panel for panel in SERIES if panel["title"].endswith(" price")]
    assert [panel["fieldConfig"]["defaults"]["custom"]["lineInterpolation"] for panel in prices] == ["stepAfter"] * 2


def test_the_age_of_the_evidence_is_measured_at_the_end_of_the_range(reader: psycopg.Connection) -> None:
    sql = BY_TITLE["Last evidence"]["targets"][0]["rawSql"]
    assert asked(reader, expanded(sql, end=at(JULY + 75)))[1] == [(45.0,)]
    assert asked(reader, expanded(sql, end=at(50)))[1] == [(20.0,)]


def test_the_coverage_is_that_of_the_last_day(postgres_url: str) -> None:
    exporting.load(postgres_url, [a_look(an_endpoint(), minute=minute) for minute in (0, 30, 120, 150)])
    sql = BY_TITLE["Coverage of the day"]["targets"][0]["rawSql"]
    with connected(postgres_url) as connection:
        assert asked(connection, expanded(sql, end=at(180)))[1] == [(pytest.approx(100 * 4 / 6),)]
        assert asked(connection, expanded(sql, end=at(2 * exporting.DAY)))[1] == [(None,)]


def test_a_price_change_has_the_unit_of_the_web_pages(reader: psycopg.Connection, everyone: list[str]) -> None:
    sql = BY_TITLE["Price changes"]["targets"][0]["rawSql"]
    [listed] = re.findall(r"price_key IN \(([^)]*)\) AS per_token", sql)
    assert set(re.findall(r"'(\w+)'", listed)) == PER_TOKEN
    types, rows = asked(reader, expanded(sql, provider=everyone))
    shown = [dict(zip(types, row, strict=True)) for row in rows]
    prompts = [row for row in shown if row["price_key"] == "prompt" and row["model"] == QUOTED]
    assert {row["unit"] for row in prompts} == {"USD per 1M tokens"}
    assert [(row["before"], row["after"], row["change"]) for row in prompts] == [(1, 3, 2)]
    assert {row["unit"] for row in shown if row["price_key"] == "request"} == {"USD each"}
    assert {row["kind"] for row in shown} == {"repriced"}


def _overridden(panel: dict[str, Any], setting: str) -> set[str]:
    """The columns that have such a setting of their own."""
    overrides = panel["fieldConfig"]["overrides"]
    return {rule["matcher"]["options"] for rule in overrides if setting in {item["id"] for item in rule["properties"]}}
