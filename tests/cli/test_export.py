"""`endpoint-history export` as people type it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from endpoint_history.cli import app as cli
from tests.support.exporting import content

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], history_url: str) -> Command:
    """Run `endpoint-history export WORDS` on the short history; gives exit code, output, errors."""
    monkeypatch.setenv("DATABASE_URL", history_url)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["endpoint-history", "export", *words])
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return int(code or 0), printed.out, printed.err

    return run


def test_the_first_and_the_second_export_tell_what_they_did(command: Command) -> None:
    code, out, err = command("out")
    assert code == 0
    files = len(content(Path("out"))) - 1
    assert re.fullmatch(
        rf"Tables     25\nFiles      {files} written, 0 unchanged, 0 removed\nRows       \d+\nBytes      [\d,]+\n"
        rf"Export     {Path.cwd()}/out\n",
        out,
    )
    assert re.fullmatch(r"(\d+) of \1 months of tables read, .*\n", err)
    assert f"Files      0 written, {files} unchanged, 0 removed" in command("out")[1]


def test_the_tables_and_months_that_are_asked_for_are_exported_alone(command: Command) -> None:
    options = ("--only", "uptime_samples", "--only", "models", "--since", "2026-06", "--until", "2026-07")
    assert command("out", "--format", "csv", *options)[0] == 0
    assert set(content(Path("out"))) == {
        *("manifest.json", "models/data.csv", "uptime_samples/month=2026-06/data.csv"),
    }


def test_a_mended_export_says_so(command: Command) -> None:
    command("out")
    manifest = Path("out/manifest.json")
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    assert command("out")[1].startswith(
        "Mended     an earlier export had been cut short, so everything was looked at\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["out", "--only", "uptime_sample"], "there is no table or view 'uptime_sample'; near: uptime_samples, "),
        (["out", "--since", "2026-5"], "'2026-5' is not a month such as 2026-05"),
        (["out", "--since", "2026-08", "--until", "2026-05"], "until 2026-05 is not after since 2026-08"),
        (["history.db"], "can't write to "),
        (["https://example.org"], "DEST: nothing can be written to 'https://example.org'"),
        (["."], "is not an export: it holds files, and no manifest.json"),
    ],
)
def test_bad_input_is_told_in_one_line_and_exits_with_two(command: Command, words: list[str], told: str) -> None:
    before = set(content(Path()))
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert {path for path in content(Path()) if not path.startswith("history.db")} <= before


def test_a_database_that_is_not_there_exits_with_two(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///none.db")
    code, _, err = command("out")
    assert code == 2
    assert err == "endpoint-history: there is no database none.db yet; run: endpoint-history db upgrade\n"
    assert not Path("out").exists()


def test_without_pyarrow_one_line_says_what_to_install_and_csv_works(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "endpoint_history.analysis.export.parquet", raising=False)
    monkeypatch.delattr("endpoint_history.analysis.export.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert command("out") == (
        2,
        "",
        "endpoint-history: Parquet needs the package pyarrow, which is not installed: .venv/bin/pip install pyarrow;"
        " --format csv needs none\n",
    )
    assert not Path("out").exists()
    assert command("out", "--format", "csv")[0] == 0
