"""`endpoint-history cheapest` as people type it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from endpoint_history.cli import app as cli
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from tests.support.factories import MODEL, a_look, an_endpoint

URL = "sqlite:///data/history.db"
TOKENS = ("--input-tokens", "10000", "--output-tokens", "1000")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `endpoint-history cheapest WORDS`; gives exit code, output, errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["endpoint-history", "cheapest", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int | None)
        return end.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(autouse=True)
def _history() -> None:
    """Three offers, seen every half hour for two hours: one is down now and then, one has no uptime."""
    upgrade(URL)
    looks = [
        a_look(
            an_endpoint("north/fp8", "0.00000010000000000000001", provider_name="North\x1b[31m"),
            an_endpoint("south", uptime_last_30m=None, quantization=None, context_length=0),
            an_endpoint("west", "0.000002", uptime_last_30m=90 if half_hour == 2 else 100, quantization="bf16"),
            minute=30 * half_hour,
        )
        for half_hour in range(5)
    ]
    with opened(URL) as engine, writing(engine) as connection:
        store(connection, [(look, read_observation(look)) for look in looks])


def test_the_terminal_shows_the_ranks_and_who_is_left_out(command: Command) -> None:
    words = (*TOKENS, "--uptime", "97.5", "--over", "2h", "--as-of", "2026-05-16T11:00")
    assert command("--model", MODEL, *words) == (
        0,
        """\
Model      acme/swift-1 as of 2026-05-16 11:00:00 UTC, last look 2026-05-16 11:00:00 UTC
Usage      10,000 tokens in, 1,000 out
Wanted     uptime of 97.5 % or more, since 2026-05-16 09:00:00 UTC

             cost USD  uptime %  covered  provider    route      quantization  context
0.0030000000000000001     99.50   100.0%  North�[31m  north/fp8  fp8           131,072
                0.022     97.50   100.0%  North       west       bf16          131,072

Left out   1
  North south, 0.012 USD: uptime unknown: none given at 4 looks
""",
        "",
    )


def test_an_instant_may_have_a_zone(command: Command) -> None:
    for time in ("2026-05-16T10:10", "2026-05-16T10:10Z", "2026-05-16T12:10+02:00"):
        assert " as of 2026-05-16 10:10:00 UTC" in command("--model", MODEL, *TOKENS, "--as-of", time)[1]


def test_nothing_that_meets_the_conditions_exits_with_one(command: Command) -> None:
    code, out, _ = command("--model", MODEL, *TOKENS, "--uptime", "100")
    assert code == 1
    assert "No offer meets these conditions." in out
    assert "Left out   3" in out


def told(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "offers": len(answer["offers"]), "left_out": len(answer["left_out"])}


def test_json_tells_everything_exactly(command: Command) -> None:
    words = ("--uptime", "97.50", "--over", "2h", "--cached-share", "0.25", "--requests", "3", "--quantization", "fp8")
    code, out, err = command("--model", MODEL, *TOKENS, *words, "--as-of", "2026-05-16T11:00", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert told(answer) == {
        "model": MODEL,
        "as_of": "2026-05-16T11:00:00Z",
        "seen_at": "2026-05-16T11:00:00Z",
        "uptime_since": "2026-05-16T09:00:00Z",
        "usage": {
            "input_tokens": 10_000,
            "output_tokens": 1_000,
            "cached_share": "0.25",
            "cache_write": 0,
            "images": 0,
            "requests": 3,
        },
        "conditions": {
            "uptime_pct": "97.5",
            "over_seconds": 7200,
            "quantizations": ["fp8"],
            "providers": [],
            "context_length": None,
        },
        "offers": 1,
        "left_out": 2,
        "notes": [],
    }
    assert answer["offers"][0] == {
        "provider": "North\x1b[31m",
        "route": "north/fp8",
        "variant": MODEL,
        "ordinal": 0,
        "endpoint_id": 1,
        "cost_usd": "0.0090000000000000003",
        "uptime_pct": 99.5,
        "covered_share": 1.0,
        "samples": 4,
        "status": 0,
        "quantization": "fp8",
        "context_length": 131072,
        "notes": [],
        "reasons": [],
    }
    assert {offer["route"]: offer["reasons"] for offer in answer["left_out"]} == {
        "south": ["quantization unknown", "uptime unknown: none given at 4 looks"],
        "west": ["quantization bf16"],
    }


def test_csv_has_a_row_for_each_offer(command: Command) -> None:
    _, out, _ = command("--model", MODEL, *TOKENS, "--uptime", "99", "--over", "2h", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["rank"], row["route"], row["cost_usd"], row["reasons"]) for row in rows] == [
        ("1", "north/fp8", "0.0030000000000000001", ""),
        ("", "south", "0.012", "uptime unknown: none given at 4 looks"),
        ("", "west", "0.022", "uptime of 97.500 %"),
    ]
    assert {(row["model"], row["as_of"]) for row in rows} == {(MODEL, "2026-05-16T11:00:00Z")}


def test_the_usage_and_what_is_wanted_are_told_in_words(command: Command) -> None:
    words = ("--requests", "2000", "--cached-share", "0.8", "--cache-write", "1000", "--images", "2")
    wanted = ("--quantization", "fp8", "--quantization", "unknown", "--provider", "north", "--context", "100")
    _, out, _ = command("--model", MODEL, *TOKENS, *words, *wanted)
    assert (
        "Usage      2,000 requests of 10,000 tokens in, 1,000 out each, 80 % of the input cached,"
        " 1,000 tokens written to the cache, 2 images\n"
    ) in out
    assert "Wanted     provider north, quantization fp8 or unknown, context of 100 tokens or more, any uptime," in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "acme/swift"], "--model: 'acme/swift' is not in this history; nearest: acme/swift-1"),
        (["--model", "Swift-1"], "--model: 'Swift-1' is not in this history; nearest: acme/swift-1"),
        (["--input-tokens", "many"], "--input-tokens: 'many' is no whole number"),
        (["--input-tokens", "-5"], "--input-tokens: -5 is no whole number between 0 and 1,000,000,000,000"),
        (["--output-tokens", "1e3"], "--output-tokens: '1e3' is no whole number"),
        (["--requests", "0"], "--requests: 0 is no whole number between 1 and"),
        (["--images", "0.5"], "--images: '0.5' is no whole number"),
        (["--cached-share", "80%"], "--cached-share: '80%' is no number such as 0.8 or 99.5"),
        (["--cached-share", "80"], "--cached-share: 80 is no share between 0 and 1, such as 0.8"),
        (["--cached-share", "-0.5"], "--cached-share: -0.5 is no share"),
        (["--cached-share", "0.95", "--cache-write", "501"], "--cache-write: more tokens than the input has"),
        (["--uptime", "100.5"], "--uptime: 100.5 is no percentage between 0 and 100"),
        (["--uptime", "-1"], "--uptime: -1 is no percentage"),
        (["--uptime", "nan"], "--uptime: 'nan' is no number"),
        (["--over", "soon"], "--over: 'soon' is no span such as 7d, 24h or 90m"),
        (["--over", "0d"], "--over: a span is from 1m to 3660d"),
        (["--over", "9999999d"], "--over: a span is from 1m to 3660d"),
        (["--as-of", "yesterday"], "--as-of: 'yesterday' is no time such as 2026-05-16"),
        (["--as-of", "0001-01-01T00:00+10:00"], "--as-of: '0001-01-01T00:00+10:00' is no time"),
        (["--as-of", "2025-01-01"], "--as-of: the history of acme/swift-1 begins at 2026-05-16 09:00:00 UTC"),
        (["--as-of", "2999-12-31"], "--as-of: 2999-12-31 00:00:00 UTC lies in the future"),
        (["--quantization", "fp9"], "--quantization: no offer has 'fp9'; they have: bf16, fp8, unknown"),
        (["--provider", "sout"], "--provider: no offer is of 'sout'; "),
        (["--context", "-1"], "--context: -1 is negative"),
        (["--context", "128k"], "--context: '128k' is no whole number"),
        (["--json", "--csv"], "--json or --csv, not both"),
    ],
    ids=str,
)
def test_bad_input_gets_one_line_and_exit_code_two(command: Command, words: list[str], told: str) -> None:
    code, out, err = command("--model", MODEL, *TOKENS, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"endpoint-history: {told}")
    assert err.count("\n") == 1
