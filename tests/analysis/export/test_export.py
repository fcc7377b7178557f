"""All history in files: the same bytes from every database, and only what was touched written again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.analysis.export.datasets import DATASETS
from endpoint_history.analysis.export.destination import Destination
from endpoint_history.analysis.export.write import Format, export
from endpoint_history.database.engine import opened, writing
from models.observation import Run
from models.tables import observations, runs, uptime_samples
from models.views import observation_gaps
from tests.support.collecting import count
from tests.support.duck import asked
from tests.support.exporting import (
    LONG_PRICE,
    MAY,
    content,
    counts,
    eventful_months,
    export_to,
    load,
    months_of,
)
from tests.support.factories import MODEL, RUN, a_failed_look, a_look, an_endpoint


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "export"


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_any_order_of_loading_and_either_database_make_the_same_bytes(
    tmp_path: Path, postgres_url: str, file_format: Format
) -> None:
    looks = eventful_months()
    found = []
    for number, url in enumerate([f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db", postgres_url]):
        load(url, looks, seed=number)
        export_to(tmp_path / str(number), url, file_format)
        found.append(content(tmp_path / str(number)))
    assert len(found[0]) > 20
    assert found[0] == found[1]
    assert found[0] == found[2]


def test_every_row_of_every_table_is_there(database_url: str, out: Path) -> None:
    load(database_url, eventful_months())
    exported = export_to(out, database_url)
    in_files = {
        dataset.name: asked(f"SELECT count(*) FROM '{out}/{dataset.name}/**/*.parquet'")[0][0] for dataset in DATASETS
    }
    assert in_files == {dataset.name: count(database_url, dataset.table) for dataset in DATASETS}
    assert {name for name, rows in in_files.items() if not rows} == {"retention"}
    assert exported.rows == sum(in_files.values())


def test_no_surrogate_id_is_exported(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    tables = json.loads((out / "manifest.json").read_text())["tables"]
    columns = {column["name"] for table in tables.values() for column in table["columns"]}
    assert [name for name in columns if name == "id" or (name.endswith("_id"))] == []


def test_a_price_change_is_named_by_its_offer_and_proved_by_its_look(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    question = f"""
        SELECT p.month, p.prompt_usd, o.http_status
        FROM '{out}/pricing_snapshots/**/*.parquet' p
        JOIN '{out}/observations/**/*.parquet' o USING (author, slug, observed_at)
        WHERE (p.model, p.variant, p.route, p.ordinal) = ('{MODEL}', '{MODEL}', 'north/fp8', 0) AND o.is_evidence
        ORDER BY p.observed_at"""
    assert asked(question) == [("2026-05", Decimal("0.000001"), 200), ("2026-06", Decimal(LONG_PRICE), 200)]


def test_the_mean_uptime_of_each_offer_and_month_is_ours(database_url: str, out: Path) -> None:
    load(database_url, eventful_months())
    export_to(out, database_url)
    s = uptime_samples
    with opened(database_url) as engine, engine.connect() as connection:
        rows = connection.execute(sa.select(s.c.endpoint_id, s.c.observed_at, s.c.uptime_30m_pct)).all()
    ours: dict[tuple[int, str], list[float | None]] = {}
    for id_, at, uptime in rows:
        ours.setdefault((id_, f"{at:%Y-%m}"), []).append(uptime)
    theirs = asked(f"""
        SELECT count(*), sum(uptime_30m_pct) FROM '{out}/uptime_samples/**/*.parquet'
        GROUP BY model, variant, route, ordinal, month""")
    told = [(len(given), sum(v for v in given if v is not None) or None) for given in ours.values()]
    assert sorted(theirs, key=str) == sorted(told, key=str)


def test_failed_looks_are_counted_as_we_count_them(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    failed = asked(f"SELECT count(*) FROM '{out}/observations/**/*.parquet' WHERE outcome = 'failed'")
    assert failed == [(count(history_url, observations, observations.c.outcome == "failed"),)]
    assert failed == [(1,)]


def test_the_second_export_writes_nothing(history_url: str, out: Path) -> None:
    first = export_to(out, history_url)
    before = {path: path.stat() for path in out.rglob("*") if path.is_file()}
    again = export_to(out, history_url)
    assert counts(first) == (len(before) - 1, 0, 0)
    assert counts(again) == (0, len(before) - 1, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == {p: s.st_mtime_ns for p, s in before.items()}
    assert {path: path.stat().st_ino for path in before} == {p: s.st_ino for p, s in before.items()}


def test_late_data_writes_the_month_that_it_touches(history_url: str, out: Path, tmp_path: Path) -> None:
    export_to(out, history_url)
    before = content(out)
    load(history_url, [a_look(an_endpoint(prompt="0.000007"), an_endpoint("South_é"), minute=MAY + 15)])
    export_to(out, history_url)
    after = content(out)
    touched = {path for path in after if after[path] != before.get(path)}
    of_may = {f"{table}/month=2026-05/data.parquet" for table in ("observations", "uptime_samples", "price_changes")}
    assert of_may <= touched
    assert {path for path in touched if "month=2026-05" not in path} == {"manifest.json"}
    export_to(tmp_path / "fresh", history_url)
    assert after == content(tmp_path / "fresh")


def test_a_month_that_is_no_more_loses_its_files_and_folders(history_url: str, out: Path) -> None:
    export_to(out, history_url)
    with opened(history_url) as engine, writing(engine) as connection:
        connection.execute(
            uptime_samples.delete().where(uptime_samples.c.observed_at < datetime(2026, 6, 1, tzinfo=UTC))
        )
    exported = export_to(out, history_url)
    assert counts(exported)[2] == 1
    assert months_of(list(content(out)), "uptime_samples") == ["2026-06", "2026-07"]
    assert sorted(path.name for path in (out / "uptime_samples").iterdir()) == ["month=2026-06", "month=2026-07"]


def test_out_of_scope_nothing_is_made_and_nothing_goes(history_url: str, out: Path) -> None:
    export_to(out, history_url, since="2026-06", until="2026-07")
    assert months_of(list(content(out)), "observations") == ["2026-06"]
    export_to(out, history_url, since="2026-07")
    assert months_of(list(content(out)), "observations") == ["2026-06", "2026-07"]
    told = json.loads((out / "manifest.json").read_text())["tables"]["observations"]
    assert [file["month"] for file in told["files"]] == ["2026-06", "2026-07"]
    assert told["rows"] == sum(file["rows"] for file in told["files"])


def test_an_export_in_steps_is_that_of_one_go(history_url: str, out: Path, tmp_path: Path) -> None:
    [samples] = [dataset for dataset in DATASETS if dataset.name == "uptime_samples"]
    export_to(out, history_url, since="2026-07")
    before = content(out)
    export_to(out, history_url, datasets=(samples,), since="2026-07")
    assert content(out) == before
    export_to(out, history_url)
    export_to(tmp_path / "fresh", history_url)
    assert content(out) == content(tmp_path / "fresh")


def test_looks_of_one_second_lie_in_the_order_of_their_columns(history_url: str, out: Path) -> None:
    earlier = Run("20260101T000000Z-backfill-a", "backfill", "files")
    looks = [a_look(minute=1, target="a/b", run=earlier), a_failed_look(minute=1, target="a/b")]
    load(history_url, looks)
    export_to(out, history_url)
    told = asked(f"SELECT run, outcome FROM '{out}/observations/month=2026-05/*.parquet' WHERE author = 'a'")
    assert told == [(earlier.name, "ok"), (RUN.name, "failed")]


def test_what_is_written_meanwhile_is_not_seen(database_url: str, out: Path, tmp_path: Path) -> None:
    load(database_url, eventful_months())
    export_to(tmp_path / "before", database_url)
    late = [a_look(an_endpoint(prompt="0.000007"), minute=MAY + 15)]

    def write_once(*_: int) -> None:
        if late:
            load(database_url, [late.pop()])

    with opened(database_url) as engine:
        export(engine, Destination(str(out)), "parquet", progress=write_once)
    assert content(out) == content(tmp_path / "before")
    assert counts(export_to(out, database_url))[0] > 0


def test_a_gap_that_lasts_is_left_out_as_it_grows_by_the_minute(history_url: str, out: Path) -> None:
    with opened(history_url) as engine, writing(engine) as connection:
        connection.execute(runs.update().values(finished_at=datetime(2026, 11, 1, tzinfo=UTC)))
    gaps = observation_gaps
    assert count(history_url, gaps, gaps.c.ended_at.is_(None)) > 0
    export_to(out, history_url)
    told = asked(f"SELECT count(*) FROM '{out}/observation_gaps/**/*.parquet'")
    assert told == [(count(history_url, gaps, gaps.c.ended_at.is_not(None)),)]
