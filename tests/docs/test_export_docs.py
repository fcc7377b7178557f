"""docs/export.md is correct: queries, Python code, paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.duck import asked
from tests.support.exporting import export_to

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
[PYTHON] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

[SET_ZONE] = re.findall(r"^    (SET .*)$", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def _an_export(history_url: str) -> None:
    export_to("export", history_url)


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_returns_rows(query: str) -> None:
    assert len(asked(query)) > 1


def test_the_first_query_returns_the_mean_of_each_month() -> None:
    means = dict(asked(QUERIES[0]))
    assert list(means) == ["2026-05", "2026-06", "2026-07"]
    assert means["2026-05"] == 99.5


@pytest.mark.parametrize(("begin", "day"), [("", 15), (SET_ZONE, 16)], ids=["as it is", "in UTC"])
def test_duckdb_splits_days_in_utc_after_the_set_statement(begin: str, day: int) -> None:
    question = "SELECT day(min(observed_at)) FROM 'export/uptime_samples/**/*.parquet'"
    assert asked(f"SET TimeZone = 'Pacific/Honolulu'; {begin} {question}") == [(day,)]


def test_pandas_reads_samples_with_the_right_types() -> None:
    known: dict[str, Any] = {}
    exec(PYTHON, known)
    samples = known["samples"]
    assert len(samples) == asked("SELECT count(*) FROM 'export/uptime_samples/**/*.parquet'")[0][0]
    types = {name: str(type_) for name, type_ in samples.dtypes.items()}
    assert (types["model"], types["month"], types["ordinal"]) == ("category", "category", "int32")
    assert (types["observed_at"], types["uptime_30m_pct"]) == ("datetime64[us, UTC]", "float64")


def test_the_paths_on_the_page_exist() -> None:
    shown = re.findall(r"^    (export/\S+)$", PAGE, re.MULTILINE)
    assert len(shown) == 4
    assert [path for path in shown if not Path(path).is_file()] == []
