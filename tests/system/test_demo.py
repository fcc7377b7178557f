"""`make demo`, run as a process, twice: with few models and days, all else as anybody has it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from endpoint_history.archive.bundles import Archive
from endpoint_history.site.output.slugs import file_name
from simulator import demo
from simulator.market import Market
from simulator.past import walks, write_past
from tests.support.prefect_server import environment

MODELS, DAYS = 6, 3
SEED = 1552
MARKET = Market(MODELS, SEED)
END = datetime(2026, 11, 27, 18, 20, 7, tzinfo=UTC)
HOSTILE = "DATABASE_URL=sqlite:///mine.db\nARCHIVE_URL=mine\nRETENTION_DAYS=soon\n"


@dataclass(frozen=True)
class Demo:
    """What a demo in this folder said, and which bundles it left."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    bundles: set[Path]

    def ask(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "data/demo/history.db")) as connection:
            return connection.execute(sql).fetchall()


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "simulator", "--demo", "--models", str(MODELS), "--days", str(DAYS)]
    # What somebody has set for a real history, and for a real Prefect, which does not answer.
    others = {"ARCHIVE_URL": "mine", "MAX_CONNECTIONS": "none", "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    given = environment(folder / "home", COLUMNS="1000", **others)
    return subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, timeout=300, check=False)


def bundles(folder: Path) -> set[Path]:
    archive = folder / "data/demo/archive"
    return {path.relative_to(archive) for path in archive.rglob("*.jsonl.gz")}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    (folder / ".env").write_text(HOSTILE)
    done = run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, done, bundles(folder))


@pytest.fixture(scope="module")
def shown_again(shown: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A second demo, in a copy of the folder of the first."""
    folder = tmp_path_factory.mktemp("again") / "demo"
    shutil.copytree(shown.folder, folder)
    return Demo(folder, run(folder), bundles(folder))


def looks(packed: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


@pytest.mark.slow
def test_a_demo_ends_well_and_quietly(shown: Demo) -> None:
    assert (shown.done.returncode, shown.done.stderr) == (0, "")


@pytest.mark.slow
def test_the_past_comes_by_backfill_and_the_present_by_a_collect(shown: Demo) -> None:
    past = len(list(walks(END, timedelta(days=DAYS))))
    assert re.search(rf"Read +\d+ observations of {past} bundles", shown.done.stdout)
    assert "Refused    0\n" in shown.done.stdout
    assert f"{MODELS + 2} ok, 0 gone, 0 failed, of {MODELS + 2}" in shown.done.stdout
    assert "counted once: " in shown.done.stdout
    assert shown.ask("SELECT count(*) FROM models") == [(MODELS + 1,)]


@pytest.mark.slow
def test_each_step_tells_how_long_it_took(shown: Demo) -> None:
    assert len(re.findall(r"^\w.* +\d+\.\d s$", shown.done.stdout, re.MULTILINE)) == 9


@pytest.mark.slow
def test_the_site_is_where_the_demo_says(shown: Demo) -> None:
    [url] = re.findall(r"^Look +(file://\S+)$", shown.done.stdout, re.MULTILINE)
    page = Path(unquote(urlsplit(url).path))
    assert page.is_relative_to(shown.folder / "data/demo")
    assert f"{MODELS + 1} models" in shown.done.stdout
    assert [path for path in page.parent.rglob("*.html") if demo.NOTICE not in path.read_text()] == []
    model = MARKET.listing()[0]["id"]
    assert (page.parent / "models" / f"{file_name(model)}.html").is_file()


@pytest.mark.slow
def test_the_questions_are_asked_of_the_history_and_answered(shown: Demo) -> None:
    asked = [line for line in shown.done.stdout.splitlines() if re.match(r".*\? +\d", line)]
    assert len(asked) == 4
    answers = shown.done.stdout.split(asked[1])[1].split(asked[2])[0]
    assert "FROM daily_uptime" in answers
    assert re.search(r"^  [A-Z][a-z]+ +\d+ +(minutes|requests) +[\d.]+ +\d+$", answers, re.MULTILINE)
    assert "uptime of 99.5 % or more" in shown.done.stdout


@pytest.mark.slow
def test_a_second_demo_goes_on_from_now(shown: Demo, shown_again: Demo) -> None:
    assert (shown_again.done.returncode, shown_again.done.stderr) == (0, "")
    assert shown.bundles < shown_again.bundles
    assert len(shown_again.bundles) == len(shown.bundles) + 1
    assert "0 new, 0 known" in shown_again.done.stdout
    [(first,)] = shown_again.ask("SELECT count(*) FROM runs WHERE cadence_seconds IS NULL")
    assert first == 2


@pytest.mark.parametrize("other", [(MARKET, DAYS + 1), (Market(MODELS + 1, SEED), DAYS), (Market(MODELS, 1), DAYS)])
def test_a_demo_of_another_market_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], other: tuple[Market, int]
) -> None:
    kept = tmp_path / "data/demo/market.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"models": MODELS, "seed": SEED, "days": DAYS}))
    monkeypatch.chdir(tmp_path)
    assert demo.run_demo(*other) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        "simulator: data/demo holds a demo of another market; to begin anew: rm -r data/demo\n",
    )
    assert [path.name for path in kept.parent.iterdir()] == ["market.json"]


@pytest.mark.slow
def test_the_folder_of_all_data_is_closed_to_other_users(shown: Demo) -> None:
    assert (shown.folder / "data").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_nothing_of_the_users_own_is_touched(shown: Demo) -> None:
    assert {path.name for path in shown.folder.iterdir()} <= {".env", "data", "home"}
    assert [path.name for path in (shown.folder / "data").iterdir()] == ["demo"]
    assert not list((shown.folder / "home").rglob("*.db"))
    assert (shown.folder / ".env").read_text() == HOSTILE


def test_the_past_is_what_a_collector_would_have_archived(tmp_path: Path) -> None:
    paths = MARKET.paths()
    count = write_past(tmp_path / "archive", MARKET, paths, END, timedelta(days=1))
    archive = Archive(str(tmp_path / "archive"))
    names = archive.bundles()
    assert len(names) == count == 48
    for name in names[::12]:
        found = list(archive.load(name))
        assert [str(look.target) for look in found] == paths
        assert all(json.loads(look.body or b"") == MARKET.body(str(look.target), look.observed_at) for look in found)
    assert max(look.observed_at for look in archive.load(names[-1])) < END


def test_a_past_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    left = tmp_path / "archive.part" / "2020" / "01"
    left.mkdir(parents=True)
    (left / "20200101T000000Z-collect-simulated.jsonl.gz").write_bytes(b"half")
    write_past(tmp_path / "archive", MARKET, MARKET.paths()[:1], END, timedelta(hours=2))
    assert not list(tmp_path.rglob("2020*"))


def test_sixty_days_have_a_schedule_that_becomes_closer_and_two_holes() -> None:
    planned = list(walks(END, timedelta(days=60)))
    gaps = [(after.at - walk.at, walk.cadence) for walk, after in pairwise(planned)]
    assert [gap for gap, cadence in gaps if gap != cadence] == [timedelta(hours=12)]
    minutes = [int(cadence.total_seconds()) // 60 for _, cadence in gaps]
    assert [(cadence, len(list(group))) for cadence, group in groupby(minutes)] == [(180, 381), (60, 264), (30, 47)]
    failing = [walk for walk in planned if walk.fails]
    assert len(failing) == 7
    name, packed = failing[0].bundle(MARKET, MARKET.paths())
    assert {(look["run"], look["status"]) for look in looks(packed)} == {(name, 503)}


def test_sixty_days_hold_all_that_the_demo_is_to_show() -> None:
    market = Market(20, SEED)
    listed: dict[tuple[str, str, int], str] = {}
    discounts, conditions, down = set(), set(), set()
    for walk in list(walks(END, timedelta(days=60)))[::2]:
        for path in market.paths():
            items = (market.body(path, walk.at) or {})["data"]["endpoints"]
            keys = {(path, item["tag"], item["context_length"]) for item in items}
            for key in keys | {key for key in listed if key[0] == path}:
                mark = "+" if key in keys else "-"
                listed[key] = listed.get(key, "") + mark * (not listed.get(key, "").endswith(mark))
            discounts |= {item["pricing"]["discount"] for item in items}
            conditions |= {name for item in items for entry in item["pricing"].get("overrides", ()) for name in entry}
            down |= {item["provider_name"] for item in items if item["status"] == -5}
    assert {"+-", "+-+"} <= {shape[:3] for shape in listed.values()}
    assert len({key[:2] for key in listed}) < len(listed), "no twins"
    assert len(discounts) >= 3
    assert {"min_prompt_tokens", "utc_start"} <= conditions
    assert len(down) > 5


def test_a_step_that_fails_is_shown_and_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 2, stdout="endpoint-history: no room on the disk\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(demo, "_prefect_made", nullcontext)
    assert demo.run_demo(Market(1), 1) == 2
    told = capsys.readouterr().out
    assert "  $ .venv/bin/endpoint-history db upgrade\n  endpoint-history: no room on the disk\n" in told
    assert "backfill" not in told
