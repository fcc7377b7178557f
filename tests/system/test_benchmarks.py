"""The benchmarks run, and notice what they are there to notice. At their real size nobody waits for them here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stamina

from benchmarks import (
    aged,
    alerts,
    analysts,
    correctness,
    dlt_tick,
    endurance,
    export,
    git_history,
    late,
    real_bodies,
    rebuild,
    site,
    tick,
    told_by_dlt,
    told_by_git_history,
    told_by_us,
)
from tests.support import postgres
from tests.support.correctness_cases import CASES
from tests.support.factories import MODEL, a_body, an_endpoint

ROOT = Path(__file__).parents[2]


def here(function: Callable[..., Any], *args: Any) -> Any:
    """In this process: a fresh one takes a second to start."""
    return function(*args)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A folder of three recorded bodies, the price of the second its own."""
    for number, prompt in enumerate(["0.000001", "0.000003", "0.000001"]):
        body = a_body(an_endpoint(prompt=prompt))
        (tmp_path / f"{MODEL.replace('/', '__')}__20260516T0{number}0000Z.json").write_bytes(body)
    return tmp_path


def test_the_rebuild_is_measured_against_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    rebuild.main(["--bodies", "20"])
    told = capsys.readouterr().out
    assert "20 bodies of 1 runs" in told
    assert re.search(
        r"SQLite\n +rebuild +[0-9.]+ s \([0-9.]+ of CPU here\), [0-9,]+ bodies/s, .* times the floor", told
    )
    assert re.search(r"memory +[0-9]+ MiB at most", told)


@pytest.mark.slow
def test_alerts_are_measured_by_the_collect_and_over_all(capsys: pytest.CaptureFixture[str]) -> None:
    alerts.main(["--days", "1", "--runs", "1"])
    told = capsys.readouterr().out
    assert re.search(r"a collect +[0-9]+ ms \([0-9]+ ms of CPU here\)", told)
    assert re.search(r"alerts test +[0-9.]+ s .*, [0-9]+ alerts and returns", told)


@pytest.mark.slow
def test_late_looks_are_measured_against_those_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "in_fresh_process", here)
    late.main(["--history", "20", "--looks", "2"])
    assert re.search(r"SQLite +median late +[0-9.]+ ms, at the end +[0-9.]+ ms, ratio [0-9.]+", capsys.readouterr().out)


@pytest.mark.slow
def test_a_collect_on_much_history_is_measured_against_one_on_little(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aged, "in_fresh_process", here)
    aged.main(["--days", "2", "--ticks", "1"])
    assert re.search(r"ratio +[0-9.]+ \([0-9.]+ of CPU\)", capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is told by Linux alone")
def test_collects_are_measured_hour_by_hour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endurance, "in_fresh_process", here)
    monkeypatch.setattr(endurance, "_HOUR", 2)
    endurance.main(["--targets", "3", "--ticks", "4"])
    told = capsys.readouterr().out
    assert re.search(r"hour  2 .* MiB, database [0-9]+ MB", told)
    assert re.search(r"3 targets, 4 collects: last hour to first [0-9.]+ of CPU, memory [0-9.]+", told)


@pytest.mark.slow
def test_a_collect_is_measured_against_bare_walks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick, "in_fresh_process", here)
    tick.main(["--models", "5", "--ticks", "1"])
    told = capsys.readouterr().out
    assert "5 models, SQLite" in told
    for what in ("httpx", "aiohttp"):
        assert re.search(rf"{what} +[0-9.]+ s, a collect takes [0-9.]+ of it", told)
    assert re.search(r"bundle +0\.[0-9]+ of a gzip for each body", told)


@pytest.mark.slow
def test_a_collect_is_measured_against_dlt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlt_tick, "in_fresh_process", here)
    dlt_tick.main(["--models", "5", "--ticks", "1"])
    told = capsys.readouterr().out
    assert "5 models, SQLite\n  ours " in told
    for what in ("dlt, fastest", "dlt, by its docs", "httpx", "aiohttp"):
        assert re.search(rf"{what} +[0-9.]+ s \([0-9.]+ of CPU\), worst [0-9.]+, ours takes [0-9.]+ of it", told)


def test_a_dlt_that_stores_too_little_is_not_measured() -> None:
    with pytest.raises(
        RuntimeError, match=r"dlt holds \(1, 2\) prices and samples, [0-9]+ endpoints were seen 2 times"
    ):
        dlt_tick.check((1, 2), models=5, walks=2)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_git_repository_is_measured_against_its_floor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_history, "in_fresh_process", here)
    git_history.main(["--commits", "1"])
    told = capsys.readouterr().out
    assert "170 bodies in 1 commits" in told
    for what in ("source only", "import, SQLite"):
        assert re.search(rf"{what} +[0-9.]+ s .*, [0-9,]+ bodies/s, [0-9.]+ times the floor", told)


def test_recorded_bodies_make_one_history_in_every_order(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real_bodies.main([str(recorded)])
    told = capsys.readouterr().out
    assert re.findall("SQLite +([a-z]+ [a-z]+)", told) == ["in name", "in time", "twice over"]
    assert re.findall("shuffled, ([0-9])", told) == ["1", "2", "3"]
    assert told.endswith("all are equal\n")


@pytest.mark.parametrize(
    ("benchmark", "arguments", "reason"),
    [
        (rebuild, ["--bodies", "0"], "'0' is not a whole number from 1 on"),
        (late, ["--looks", "few"], "'few' is not a whole number from 1 on"),
        (real_bodies, ["."], "there is no file author__slug__TIME.json in ."),
    ],
)
def test_what_cannot_be_measured_is_told(
    benchmark: Any, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"{reason}\n")


def test_a_missing_postgresql_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(postgres, "_PROGRAMS", ("no-such-program",))
    with pytest.raises(SystemExit) as ended:
        late.main(["--postgres"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("no PostgreSQL server programs")


def test_histories_that_differ_are_told(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = sorted(path.name for path in recorded.glob("*.json"))
    monkeypatch.setattr(real_bodies, "loads", lambda names: [("all", [names]), ("some", [others]), ("one", [[first]])])
    with pytest.raises(SystemExit) as ended:
        real_bodies.main([str(recorded)])
    assert ended.value.code == 1
    assert capsys.readouterr().out.endswith("3 different histories\n")


@pytest.mark.slow
def test_an_export_is_measured_and_answers_as_the_database_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "in_fresh_process", here)
    monkeypatch.setattr(export, "TIMES", 1)
    export.main(["--days", "1"])
    told = capsys.readouterr().out
    assert re.search(r"SQLite +first +[0-9.]+ s", told)
    assert re.search(r"0 files written by the second; [0-9,]+ samples of [0-9.]+ bytes\n", told)
    assert told.endswith("the answers are the same\n")


@pytest.mark.slow
def test_every_view_is_asked_about_a_model_a_day_and_everything(capsys: pytest.CaptureFixture[str]) -> None:
    analysts.main(["--days", "1", "--runs", "1"])
    told = capsys.readouterr().out
    assert "bytes a sample all in, 57," in told
    for view in ("current_prices", "price_changes", "daily_uptime", "incidents", "daily_coverage"):
        assert re.search(rf"{view} +model [0-9.,]+ ms .*; all [0-9.,]+ ms", told)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_other_tools_are_asked_about_the_same_cases(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_by_dlt, "WAYS", told_by_dlt.WAYS[1:3])
    with stamina.set_testing(True, attempts=1):
        correctness.main(["--case", "one failed fetch"])
    told = capsys.readouterr().out
    says = dict(re.findall(r"^  (\S.*?) {2,}SQLite +(right|wrong.*)$", told, re.MULTILINE))
    wrong = "wrong about 2: acme/busy-1 north at 09:30: not listed, was $1"
    assert says == {
        "endpoint-history": "right",
        "dlt, whole extract, what failed is skipped": wrong,
        "dlt, merge_key: the model": "right",
        "git-history, --id, one file": "right",
        "git-history, no --id, one file": wrong,
        "git-history, no --id, a file for each model": "right",
    }
    documented = comparison()
    assert {name: text[:5] for name, text in says.items()} == {
        name: documented[name]["one failed fetch"][:5] for name in says
    }


def comparison() -> dict[str, dict[str, str]]:
    """The table of docs/comparison.md: what each says of each case."""
    lines = [line for line in (ROOT / "docs" / "comparison.md").read_text().splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.replace("`", "").strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def test_the_comparison_has_every_case_and_every_way() -> None:
    documented = comparison()
    ways = [f"dlt, {way.name}" for way in told_by_dlt.WAYS]
    ways += [f"git-history, {way.name}" for way in told_by_git_history.WAYS]
    assert list(documented) == ["endpoint-history", *ways]
    assert all(list(row) == [case.name for case in CASES] for row in documented.values())
    assert set(documented["endpoint-history"].values()) == {"right"}


def test_being_wrong_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_by_us, "told_by_us", lambda _: [])
    monkeypatch.setattr(told_by_dlt, "WAYS", [])
    monkeypatch.setattr(told_by_git_history, "WAYS", [])
    with pytest.raises(SystemExit) as ended:
        correctness.main(["--case", "late data"])
    assert ended.value.code == 1


@pytest.mark.slow
def test_a_site_is_built_twice_and_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "in_fresh_process", here)
    monkeypatch.setattr(site, "VIEWS", 1)
    site.main(["--days", "1"])
    told = capsys.readouterr().out
    assert re.search(r"SQLite +first +[0-9.]+ s", told)
    assert re.search(r"second .* 0 files written\n  [0-9]+ files, [0-9.]+ MB; first page [0-9]+ kB", told)
    assert re.search(r"a model, shown +[0-9]+ ms|no browser is installed", told)
