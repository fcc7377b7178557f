"""What `endpoint-history backfill` says of all that can be wrong: one line each, and the rest goes on."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import stamina

from endpoint_history.database.engine import opened, upgrade
from models.tables import observations, runs
from simulator import faults
from simulator.wayback import serving_wayback
from tests.cli.test_app import Command, command
from tests.sources.test_files import a_tar, a_zip, many, write
from tests.sources.test_wayback import PATH, an_archive_of, good
from tests.support.collecting import count
from tests.support.factories import MODEL, NOT_FOUND, a_body, an_endpoint

__all__ = ["command"]

URL = "sqlite:///data/history.db"
BODY = a_body(an_endpoint())
DAY = "20260501T000000Z"
MODELS = json.dumps({"data": [{"id": MODEL, "pricing": {"prompt": "1", "completion": "2"}}]}).encode()
PAGE = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


@pytest.fixture(autouse=True)
def _database() -> Iterator[None]:
    upgrade(URL)
    with stamina.set_testing(True, attempts=2):
        yield


def a_walk(fetched: str) -> bytes:
    item = {"detailsPath": f"/api/v1/models/{MODEL}/endpoints", "response": json.loads(BODY)}
    return json.dumps({"fetchedAt": fetched, "data": [item]}).encode()


def a_repository() -> Path:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", "repo", "-c", "user.name=A", "-c", "user.email=a@b", *words], check=True)

    write("repo/body.json")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "x", "--date", "2026-05-01T12:00:00+02:00")
    return Path("repo")


def observed() -> list[datetime]:
    with opened(URL) as engine, engine.connect() as connection:
        return list(connection.execute(sa.select(observations.c.observed_at).order_by(sa.text("1"))).scalars())


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (f"x_{DAY}.json", MODELS, "a list of models (a /models page), whose prices are only the cheapest provider's"),
        (f"x_{DAY}.json", NOT_FOUND, "an API error body: Model not found"),
        (f"x_{DAY}.json", PAGE, "a web page"),
        (f"x_{DAY}.json", b"", "empty"),
        (f"x_{DAY}.json", b"\x89PNG\x00\xff", "not JSON: not UTF-8 at byte 0"),
        (f"x_{DAY}.json", BODY[:-40], "not JSON: "),
        (f"x_{DAY}.json", b'{"data": {"id": "a/b"}}', "JSON without an endpoints list"),
        ("x_20990501T000000Z.json", BODY, "its time 2099-05-01 00:00:00 UTC is in the future (name)"),
        ("x_19990501T000000Z.json", BODY, "its time 1999-05-01 00:00:00 UTC is before OpenRouter existed (name)"),
        ("x.json", BODY, "no time; name its place with --time"),
        ("x.json", a_walk("yesterday"), "fetchedAt: 'yesterday' is no time; expected ISO 8601 with a zone, or unix"),
        ("x.json", a_walk("2026-05-01T00:00:00"), "fetchedAt: the time '2026-05-01T00:00:00' has no zone"),
        (f"x_{DAY}.jsonl.gz", gzip.compress(BODY, mtime=0)[:9], "the file is cut off here, byte 0 of its content"),
        (f"x_{DAY}.json.gz", gzip.compress(bytes(40 * 2**20), mtime=0), "larger than 32 MiB"),
        (f"x_{DAY}.json", BODY[:-1] + b" " * 6 * 2**20 + b"}", "a body larger than 5 MiB"),
    ],
)
def test_a_file_that_cannot_be_taken_is_named_with_the_reason(
    command: Command, name: str, content: bytes, told: str
) -> None:
    write(f"in/{name}", content)
    write(f"in/{MODEL.replace('/', '__')}__20260502T000000Z.json")
    code, out, err = command("backfill", "files", "in")
    assert code == 3
    assert out.startswith(f"Read       2: 1 new, 0 known, 0 not wanted\nRefused    1\n  in/{name}")
    assert f": {told}" in out.splitlines()[2]
    assert observed() == [datetime(2026, 5, 2, tzinfo=UTC)]
    assert "Traceback" not in err


def test_of_a_tar_that_was_cut_all_that_can_be_read_is_taken(command: Command) -> None:
    packed = Path(a_tar("whole.tar", many())).read_bytes()
    write("cut.tar", packed[: len(packed) * 2 // 3])
    code, out, _ = command("backfill", "files", "cut.tar")
    assert code == 3
    assert count(URL, observations) > 15
    assert out.splitlines()[1] == "Refused    1"
    assert out.splitlines()[2].startswith("  cut.tar: damaged tar")
    assert "unreadable from byte " in out.splitlines()[2]


def test_a_zip_that_was_cut_is_refused(command: Command) -> None:
    whole = Path(a_zip("whole.zip", many())).read_bytes()
    write("cut.zip", whole[: len(whole) * 2 // 3])
    code, out, _ = command("backfill", "files", "cut.zip")
    assert (code, count(URL, observations)) == (1, 0)
    assert out.splitlines()[1] == "Refused    1"
    assert out.splitlines()[2].startswith("  cut.zip: ")


@pytest.mark.parametrize("path", ["../x_20260501T000000Z.json", "/x_20260501T000000Z.json", "C:\\x.json"])
def test_a_path_that_escapes_its_archive_is_refused_and_the_others_are_not(command: Command, path: str) -> None:
    a_zip("x.zip", {path: BODY, f"y_{DAY}.json": BODY})
    code, out, _ = command("backfill", "files", "x.zip")
    assert (code, out.splitlines()[:2]) == (3, ["Read       2: 1 new, 0 known, 0 not wanted", "Refused    1"])
    assert out.splitlines()[2].endswith(": its path escapes the archive")


def test_times_of_any_zone_are_one_and_the_same(command: Command) -> None:
    write("a.json", a_walk("2026-05-01T09:00:00+09:00"))
    write("b.json", a_walk("2026-04-30T19:00:00-05:00"))
    write("c.json", a_walk("2026-05-01T01:00:00Z"))
    code, out, _ = command("backfill", "files", "a.json", "b.json", "c.json", "--until", "2026-05-01T03:00+02:00")
    assert (code, out.splitlines()[0]) == (0, "Read       3: 1 new, 1 known, 1 not wanted")
    assert observed() == [datetime(2026, 5, 1, tzinfo=UTC)]


def test_captures_that_are_no_bodies_are_named_and_the_rest_goes_on(command: Command) -> None:
    bodies = [MODELS, NOT_FOUND, PAGE, a_body(an_endpoint(model_id=PATH), model=PATH)]
    days = [f"2026030{day}000000" for day in range(1, 5)]
    there = an_archive_of(*((day, good(body)) for day, body in zip(days, bodies, strict=True)))
    with serving_wayback(there) as base_url:
        words = ("backfill", "wayback", PATH, "--base-url", base_url)
        code, out, _ = command(*words, REQUESTS_PER_SECOND="0")
    assert (code, out.splitlines()[0]) == (3, "Read       4: 1 new, 0 known, 0 not wanted")
    reasons = [line.rpartition("/endpoints: ")[2] for line in out.splitlines()[2:5]]
    told = [
        "a list of models, not the endpoints of one: ask /api/v1/models/AUTHOR/SLUG/endpoints",
        "an error body under HTTP 200: Model not found",
    ]
    assert reasons == [*told, "a web page, not JSON"]


@pytest.mark.parametrize(
    ("author", "told"),
    [
        ("2099-05-01T12:00:00Z", "its time 2099-05-01 12:00:00 UTC is in the future"),
        ("1970-01-02T00:00:00Z", "its time 1970-01-02 00:00:00 UTC is before OpenRouter existed"),
    ],
)
def test_a_commit_with_an_impossible_time_is_named_with_the_time_that_may_help(
    command: Command, author: str, told: str
) -> None:
    repository = a_repository()
    words = ("git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--amend", "--quiet")
    subprocess.run([*words, "-m", "x", "--date", author], check=True)
    code, out, _ = command("backfill", "git", "repo", "body.json")
    assert code == 1
    assert f"{told} (the commit's author time, more than a day from its committer time: a guess" in out.splitlines()[2]
    assert "--time committer" in out.splitlines()[2]


def test_a_listing_that_stays_away_is_named(command: Command) -> None:
    there = an_archive_of()
    there.answers["/cdx/search/cdx"] = faults.KINDS["503"]
    with serving_wayback(there) as base_url:
        words = ("backfill", "wayback", PATH, "--base-url", base_url)
        code, out, _ = command(*words, REQUESTS_PER_SECOND="0")
    assert (code, out.splitlines()[1]) == (1, "Refused    1")
    assert ": HTTP 503: " in out.splitlines()[2]


def test_an_archive_that_is_away_gets_one_line(command: Command) -> None:
    code, out, err = command("backfill", "wayback", PATH, "--base-url", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err == "endpoint-history: http://127.0.0.1:9 can't be reached: connection refused\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("files", "in/*.xml"), "the pattern 'in/*.xml' matches no file"),
        (("files", "bad\nname"), "there is no file bad\ufffdname"),
        (("files", "empty"), "there is no file in the folder empty"),
        (("files", "in", "--since", "0001-01-01T00:00+09:00"), "since: '0001-01-01T00:00+09:00' is no time"),
        (("files", "in", "--until", "9999-12-31T23:00-09:00"), "until: '9999-12-31T23:00-09:00' is no time"),
        (("git", "empty", "body.json"), "empty is not a git repository"),
        (("git", "nowhere", "body.json"), "there is no folder 'nowhere'"),
        (("git", "repo", "other.json"), "no commit of repo touches other.json"),
        (("git", "repo", "../body.json"), "no commit of repo touches ../body.json"),
        (("git", "repo", "body.json", "--time", "mtime"), "time 'mtime' means nothing in git"),
        (("wayback", "a/b", "--until", "0001-01-01"), "until: '0001-01-01' is no time"),
        (("wayback", "a/*"), "'a/*' is not an author/slug pair"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line_and_nothing_is_written(
    command: Command, words: tuple[str, ...], told: str
) -> None:
    write(f"in/x_{DAY}.json")
    Path("empty").mkdir()
    a_repository()
    code, out, err = command("backfill", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"endpoint-history: {told}")
    assert (count(URL, runs), Path("data/archive").exists()) == (0, False)
