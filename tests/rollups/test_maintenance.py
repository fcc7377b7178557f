"""Maintenance as a command and as a flow."""

from __future__ import annotations

import asyncio
import sys

import pytest

from endpoint_history.cli import app as cli
from endpoint_history.database.engine import upgrade
from endpoint_history.errors import HistoryError
from flows.maintain import maintain


def test_the_command_says_what_it_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///history.db")
    monkeypatch.setattr(sys, "argv", ["endpoint-history", "maintain"])
    upgrade("sqlite:///history.db")
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().out
    assert (end.value.code or 0, told.startswith("sqlite:///history.db is in order")) == (
        0,
        True,
    )


def test_the_flow_ends_completed_with_the_same_words(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    upgrade(database_url)
    state = asyncio.run(maintain.fn())
    assert state.is_completed()
    assert str(state.message).endswith("is in order; all raw samples are kept")


def test_the_flow_ends_failed_in_one_line_where_there_is_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///nothing.db")
    state = asyncio.run(maintain.fn())
    assert state.is_failed()
    assert "there is no database" in str(state.message)
    assert isinstance(state.data, HistoryError)
