"""CSV that every reader understands in one way, and that runs nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from endpoint_history.analysis.export.csv import write
from endpoint_history.analysis.export.datasets import Dataset, lay_out
from models.types import UtcTime
from tests.support.duck import asked
from tests.support.exporting import LONG_PRICE, LONGEST_PRICE, export_to

TABLE = sa.Table("t", sa.MetaData(), sa.Column("at", UtcTime), sa.Column("text", sa.Text), sa.Column("n", sa.Double))
LAYOUT = lay_out(Dataset(TABLE, "at"), "sqlite")


def written(tmp_path: Path, *rows: tuple[int, str | None, float | None]) -> bytes:
    write(tmp_path / "data.csv", LAYOUT, [((), list(rows))])
    return (tmp_path / "data.csv").read_bytes()


@pytest.fixture
def out(history_url: str, tmp_path: Path) -> Path:
    """An export of the short history."""
    export_to(tmp_path / "export", history_url, "csv")
    return tmp_path / "export"


def test_lines_end_and_cells_are_quoted_as_rfc_4180_says(tmp_path: Path) -> None:
    assert written(tmp_path, (0, 'a, "b"\nc', 1.5), (1, None, None)) == (
        b'at,text,n\r\n1970-01-01T00:00:00Z,"a, ""b""\nc",1.5\r\n1970-01-01T00:00:01Z,,\r\n'
    )


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0d1", "'=1", "''"]
INVISIBLE = (
    *("\ufeff", "\u200b", "\u2060", "\u00a0", "\u3000", "\u202e", "\u2066", "\u00ad", "\u034f", "\u3164", "\ufe0f"),
    *("\u2800", "\u180e", "\U000e0020", "\x1b", " ", "\v", "\x00", "\ufeff \u200d"),
)
FORMS = [
    "=",
    "+",
    "-",
    "@",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe66",
    "\ufe62",
    "\ufe63",
    "\ufe6b",
    "\u207a",
    "\u2212",
]


@pytest.mark.parametrize(
    "text", [*FORMULAS, *(f"{char}=1+1" for char in INVISIBLE), *(f"\u200b{form}1" for form in FORMS)]
)
def test_text_that_a_spreadsheet_might_run_has_a_mark_in_front(tmp_path: Path, text: str) -> None:
    written(tmp_path, (0, text, None))
    with (tmp_path / "data.csv").open(newline="", encoding="utf-8") as file:
        [_, [_, cell, _]] = list(csv.reader(file))
    assert cell[0] == "'"
    assert cell.removeprefix("'") == text


@pytest.mark.parametrize("text", ["a=1", " a=1", "\u200b1", "\ufeff", "1", "", '{"a":"=1"}', "模型=1", "(=1)"])
def test_other_text_stays_as_it_is(tmp_path: Path, text: str) -> None:
    written(tmp_path, (0, text, -1.0))
    with (tmp_path / "data.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][1:] == [text, "-1.0"]


def test_prices_have_all_their_places(out: Path) -> None:
    prices = pd.read_csv(out / "pricing_snapshots/month=2026-06/data.csv", dtype=str)
    assert LONG_PRICE in set(prices["prompt_usd"])
    assert LONGEST_PRICE in set(prices["request_usd"])
    assert "-0.25" in set(prices["discount"])


def test_duckdb_reads_it_with_types(out: Path) -> None:
    question = "SELECT month, provider_name, listed, observed_at"
    rows = asked(f"{question} FROM '{out}/listing_changes/**/*.csv' WHERE model LIKE 'zeta%'")
    assert [(month, provider, listed) for month, provider, listed, _ in rows] == [
        ("2026-05", "'=SUM(A1)", True),
        ("2026-06", None, False),
        ("2026-07", "'=SUM(A1)", True),
    ]
    assert str(rows[0][3])[:19] == "2026-05-16 09:01:00"


def test_what_a_failed_look_tells_comes_back_whole(out: Path) -> None:
    looks = pd.read_csv(out / "observations/month=2026-05/data.csv")
    assert 'say "no",\r\nthen =1+1' in set(looks["error"])
