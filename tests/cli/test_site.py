"""The site as a command, and as a flow."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from endpoint_history.cli import app as cli
from endpoint_history.errors import HistoryError
from flows.site import site as flow
from tests.support.exporting import content

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], history_url: str) -> Command:
    """Run `endpoint-history site WORDS` on the short history; gives exit code, output, errors."""
    monkeypatch.setenv("DATABASE_URL", history_url)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["endpoint-history", "site", *words])
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return int(code or 0), printed.out, printed.err

    return run


def test_the_first_and_the_second_build_tell_what_they_did(command: Command) -> None:
    code, out, err = command()
    assert code == 0
    files = len(content(Path("data/site"))) - 1
    assert out.splitlines() == [
        "Pages      2 models, 2 providers",
        f"Files      {files} written, 0 unchanged",
        f"Site       {Path.cwd()}/data/site",
    ]
    assert re.fullmatch(r"(\d+) of \1 pages made.*\n", err)
    assert f"Files      0 written, {files} unchanged" in command()[1]


def test_another_folder_is_made_with_those_above_it(command: Command) -> None:
    assert command("a/b")[0] == 0
    assert Path("a/b/index.html").is_file()


def test_without_jinja2_one_line_says_what_to_install(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("endpoint_history.site.build", "endpoint_history.site.output.render"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(name, raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert command() == (
        2,
        "",
        "endpoint-history: the site needs the package jinja2, which is not installed: .venv/bin/pip install jinja2\n",
    )
    assert not Path("data/site").exists()


@pytest.mark.parametrize(
    ("folder", "told"), [("history.db", "can't write to "), (".", "is not a site: it holds files, and no ")]
)
def test_a_folder_that_will_not_do_is_told_in_one_line_and_exits_with_two(
    command: Command, folder: str, told: str
) -> None:
    code, out, err = command(folder)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert {path.name for path in Path().iterdir()} <= {"history.db", "history.db-wal", "history.db-shm"}


def test_the_flow_ends_completed_with_what_it_did(monkeypatch: pytest.MonkeyPatch, history_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", history_url)
    state = asyncio.run(flow.fn("out"))
    assert state.is_completed()
    assert re.match(r"Pages 2 models, 2 providers; Files \d+ written, 0 unchanged; Site /", str(state.message))


def test_the_flow_ends_failed_in_one_line_where_there_is_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///nothing.db")
    state = asyncio.run(flow.fn())
    assert state.is_failed()
    assert "there is no database" in str(state.message)
    assert isinstance(state.data, HistoryError)
