"""`endpoint-history alerts` as people type it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from endpoint_history.cli import app as cli
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from tests.support.factories import a_look, an_endpoint

URL = "sqlite:///data/history.db"
RULE = '[[rule]]\nname = "any\u202e"\non = "price"\nhold_minutes = 0\nrearm_minutes = 0\n'
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `endpoint-history alerts WORDS`; gives exit code, output, errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["endpoint-history", "alerts", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int | None)
        return end.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(autouse=True)
def _history() -> None:
    """A price that doubled three days ago and was back two days ago."""
    upgrade(URL)
    now = datetime.now(UTC).replace(microsecond=0)
    looks = [
        a_look(an_endpoint(prompt=prompt), observed_at=now - timedelta(days=days))
        for days, prompt in [(4, "0.000001"), (3, "0.000002"), (2, "0.000001")]
    ]
    with opened(URL) as engine, writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])


def test_the_terminal_shows_what_would_have_been_told(command: Command) -> None:
    Path("alerts.toml").write_text(RULE)
    code, out, err = command("test", "--days", "7")
    fired, returned, counts, summary = out.splitlines()
    assert (code, err) == (0, "")
    assert fired.endswith(" UTC  fired     any\ufffd: acme/swift-1 at North (north/fp8): prompt $1/M -> $2/M (+100 %)")
    assert returned.endswith("back to normal: prompt $2/M -> $1/M (-50 %)")
    assert counts == "any\ufffd: 1 alert, 1 return"
    assert summary.startswith("1 rule in alerts.toml, from ")


def test_only_so_many_days_are_looked_back(command: Command) -> None:
    Path("alerts.toml").write_text(RULE)
    _, out, _ = command("test", "--days", "1", "--json")
    assert json.loads(out)["alerts"] == []


def test_a_program_gets_exact_values(command: Command) -> None:
    Path("alerts.toml").write_text(RULE)
    _, out, _ = command("test", "--json")
    told = json.loads(out)
    assert [(found["kind"], found["before"]) for found in told["alerts"]] == [
        ("fired", {"prompt": "0.000001"}),
        ("returned", {"prompt": "0.000002"}),
    ]
    assert told["rules"] == ["any\u202e"]


def test_no_rules_tell_nothing(command: Command) -> None:
    code, out, err = command("test")
    assert (code, err) == (0, "")
    assert out.startswith("No rule is in force: write one into alerts.toml\n0 rules in alerts.toml, from ")


def test_rules_in_another_file_are_read(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.toml").write_text(RULE)
    monkeypatch.setenv("ALERTS_FILE", "mine.toml")
    assert "1 rule in mine.toml" in command("test")[1]


def test_a_rule_that_is_wrong_is_told_in_one_line(command: Command) -> None:
    Path("alerts.toml").write_text("[[rule]]\nname = 'x'\non = 'price'\nholds = 5\n")
    code, out, err = command("test")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "alerts.toml: rule 'x': 'holds' is not known in a rule on 'price'" in err


@pytest.mark.parametrize("words", [(), ("--block", "a/b", "--webhook-url", "https://example.com")])
def test_where_alerts_go_is_said_once(command: Command, words: tuple[str, ...]) -> None:
    assert command("install", *words) == (
        2, "", "endpoint-history: alerts install: --block or --webhook-url is needed, one of the two\n",
    )  # fmt: skip


def test_alerts_are_installed_on_a_server_that_is_named(command: Command) -> None:
    code, out, err = command("install", "--block", "slack-webhook/team")
    assert (code, out) == (2, "")
    assert err == "endpoint-history: alerts install: PREFECT_API_URL has to name a Prefect server\n"


def test_a_test_message_needs_a_server(command: Command) -> None:
    code, out, err = command("send-test")
    assert (code, out) == (2, "")
    assert err == "endpoint-history: alerts send-test: PREFECT_API_URL has to name a Prefect server\n"
