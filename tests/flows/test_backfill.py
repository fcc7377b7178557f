"""The flow `backfill` as Prefect runs it: each source, each mode, and what is wrong with its form."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError

from endpoint_history.database.engine import upgrade
from flows.backfill import backfill
from models.tables import observations
from simulator.market import Market
from simulator.wayback import Archive as SimulatedArchive
from simulator.wayback import serving_wayback
from tests.flows.test_collect import command, runs_named
from tests.support.collecting import count, history
from tests.support.factories import a_body, an_endpoint
from tests.support.prefect_server import ask, deploy, pause, until

URL = "sqlite:///history.db"
FILES = {"source": "files", "paths": ["saved"], "time": "name:%Y%m%dT%H%M%SZ"}
ARCHIVE = {"source": "archive"}
RUN = """
import asyncio, json, sys
from flows.backfill import backfill

async def run():
    for given in json.loads(sys.argv[1]):
        state = await backfill(**given, return_state=True)
        print(json.dumps([state.name, state.message]))

asyncio.run(run())
"""


@pytest.fixture(autouse=True)
def _database() -> None:
    upgrade(URL)


@pytest.fixture
def saved() -> Path:
    """A folder with a look a day at one model."""
    folder = Path("saved")
    folder.mkdir()
    for day in range(1, 5):
        body = a_body(an_endpoint(prompt=f"0.00000{day}"))
        (folder / f"acme__swift-1__202605{day:02}T120000Z.json").write_bytes(body)
    return folder


def run(api: str, *given: dict[str, Any]) -> list[list[str]]:
    """Run the flow with these parameters, one after the other; gives state name and message of each."""
    done = command("python", "-c", RUN, json.dumps(given), PREFECT_API_URL=api)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def artifacts(api: str) -> list[str]:
    found = ask(api, "artifacts", artifacts={"key": {"any_": ["backfill-outcome"]}}, sort="CREATED_DESC")
    return [str(artifact["data"]) for artifact in found]


def test_a_backfill_tells_its_end_and_nothing_of_the_past(prefect_api: str, saved: Path) -> None:
    assert run(prefect_api, FILES | {"mode": "dry-run"}, FILES) == [
        ["Completed", "dry run: 4 read, 4 new, 0 known, 0 refused"],
        ["Completed", "4 read, 4 new, 0 known, 0 refused"],
    ]
    named = {"event": {"prefix": ["endpoint-history."]}, "order": "DESC"}
    wanted = ("endpoint-history.backfilled", "files", 4)

    def told() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = ask(prefect_api, "events", filter=named)
        found = [(e["event"], e["payload"].get("source"), e["payload"].get("new")) for e in events]
        return events if wanted in found else []

    others = until(told, 30)
    # Other tests may have collected on this server: theirs are news.
    changed = [other["payload"]["run"] for other in others if other["event"] == "endpoint-history.changed"]
    assert [run_name for run_name in changed if "-backfill-" in run_name] == []


@pytest.mark.slow
def test_a_verify_fails_where_the_database_was_changed_and_a_rebuild_mends_it(prefect_api: str, saved: Path) -> None:
    verify, rebuild = ARCHIVE | {"mode": "verify"}, ARCHIVE | {"mode": "rebuild"}
    sound = "the database is what its archive gives: 4 observations of 1 bundles"
    assert run(prefect_api, FILES, verify)[1] == ["Completed", sound]
    before = history(URL)
    with sqlite3.connect("history.db") as connection:
        connection.execute("UPDATE pricing_snapshots SET prompt_usd = '9' WHERE observed_at LIKE '2026-05-03%'")
    connection.close()
    found = "pricing_snapshots (1 rows only in the database, 1 only by the archive)"
    assert run(prefect_api, verify) == [["Failed", f"the database differs from its archive in {found}"]]
    assert f"    Differs    {found}\n" in artifacts(prefect_api)[0]
    assert "pricing_snapshots_prompt_usd 9" in artifacts(prefect_api)[0]
    assert run(prefect_api, rebuild, verify) == [["Completed", sound], ["Completed", sound]]
    assert history(URL) == before


@pytest.mark.slow
def test_a_part_of_the_archive_is_loaded_from_prefect_too(prefect_api: str, saved: Path) -> None:
    run(prefect_api, FILES)
    Path("history.db").unlink()
    upgrade(URL)
    part = ARCHIVE | {"since": "2026-05-02", "until": "2026-05-04", "only": ["acme/*"]}
    assert run(prefect_api, part, ARCHIVE, ARCHIVE | {"everything": True}) == [
        ["Completed", "4 read, 2 new, 0 known, 0 refused"],
        ["Completed", "4 read, 2 new, 2 known, 0 refused"],
        ["Completed", "4 read, 0 new, 4 known, 0 refused"],
    ]


@pytest.mark.slow
def test_a_worker_verifies_by_what_is_deployed(prefect_api: str, saved: Path) -> None:
    run(prefect_api, FILES)
    deploy(prefect_api, Path.cwd())
    pause(prefect_api)
    words = ("deployment", "run", "backfill/backfill", "--param", "source=archive", "--param", "mode=verify")
    work = ("worker", "start", "--pool", "endpoint-history", "--run-once")
    for given in (words, work):
        done = command("prefect", *given, PREFECT_API_URL=prefect_api)
        assert done.returncode == 0, done.stdout + done.stderr
    (verified,) = until(lambda: runs_named(prefect_api, "backfill archive, verify", deployed=True), 60)
    assert verified["state"]["message"] == "the database is what its archive gives: 4 observations of 1 bundles"


@pytest.mark.slow
def test_captures_come_from_the_address_that_is_given(prefect_api: str) -> None:
    market = Market(models=2)
    with serving_wayback(SimulatedArchive(market)) as base_url:
        given = {"source": "wayback", "paths": market.paths()[:1], "base_url": base_url}
        ((name, _),) = run(prefect_api, given)
    assert name == "Completed"
    assert count(URL, observations, observations.c.origin.like(f"{base_url}/web/%")) > 3


def test_what_is_wrong_with_a_form_fails_with_one_line(prefect_api: str, saved: Path) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "a backfill from files needs paths": {"source": "files"},
        "a backfill from git needs repository": {"source": "git", "paths": ["*.json"]},
        "paths means nothing for a backfill from archive": ARCHIVE | {"paths": ["saved"]},
        "base_url means nothing for a backfill from files": FILES | {"base_url": "https://web.archive.org"},
        "everything means nothing for a backfill from files": FILES | {"everything": True},
        "verify means nothing for a backfill from files": FILES | {"mode": "verify"},
        "rebuild is always of the whole archive: no since, until, only or all": (
            ARCHIVE | {"mode": "rebuild", "since": "2026-05-01"}
        ),
        "base-url: expected an http or https address such as https://web.archive.org, without user or query": {
            "source": "wayback", "paths": ["acme/swift-1"], "base_url": "https://me:sesame@x"
        },
        "since: 'May' is no time such as 2026-05-16 or 2026-05-16T09:00Z": FILES | {"since": "May"},
        "until 2026-05-01 00:00 is not after since 2026-05-02 00:00": (
            FILES | {"since": "2026-05-02", "until": "2026-05-01"}
        ),
        "there is no file nowhere; expected a file, a folder or a pattern": FILES | {"paths": ["nowhere"]},
    }  # fmt: skip
    assert run(prefect_api, *wrong.values()) == [["Failed", message] for message in wrong]
    assert count(URL, observations) == 0


@pytest.mark.slow
def test_a_source_that_gives_nothing_fails(prefect_api: str) -> None:
    Path("page.html").write_text("<html>")
    assert run(prefect_api, {"source": "files", "paths": ["page.html"], "time": "mtime"}) == [
        ["Failed", "1 read, 0 new, 0 known, 1 refused (1 × a web page, not JSON)"]
    ]


@pytest.mark.slow
def test_what_is_read_in_part_is_in_the_state_and_in_the_artifact(prefect_api: str) -> None:
    Path("odd").mkdir()
    Path("odd/acme__swift-1__20260501T120000Z.json").write_bytes(a_body(an_endpoint(), an_endpoint("west", "free")))
    said = "1 read, 1 new, 0 known, 0 refused; 1 endpoint could not be read (1 × prompt is not a number: 'free')"
    odd = FILES | {"paths": ["odd"]}
    assert run(prefect_api, odd | {"mode": "dry-run"}, odd) == [
        ["Completed", f"dry run: {said}"],
        ["Completed", said],
    ]
    for artifact in artifacts(prefect_api)[:2]:
        assert "    Unread     1 endpoint could not be read, of 1 body" in artifact
        assert "    Dated by   the file's name, in 1 body" in artifact


@pytest.mark.parametrize(
    "given",
    [
        {"source": "attic"},
        FILES | {"mode": "undo"},
        FILES | {"only": ["acme"]},
        FILES | {"paths": [""]},
        FILES | {"since": ""},
        FILES | {"until": "2" * 501},
        {},
    ],
    ids=str,
)
def test_prefect_refuses_what_no_form_can_mean(given: dict[str, Any]) -> None:
    with pytest.raises((ParameterTypeError, TypeError)):
        backfill.validate_parameters(given)


def test_the_form_offers_the_sources_and_the_modes() -> None:
    form = backfill.parameters.properties
    assert form["source"]["enum"] == ["archive", "files", "git", "wayback"]
    assert form["mode"]["enum"] == ["load", "dry-run", "rebuild", "verify"]
    assert backfill.parameters.required == ["source"]
