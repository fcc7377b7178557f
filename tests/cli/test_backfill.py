"""`endpoint-history backfill` from each source, as people type it."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import downgrade, opened, upgrade
from endpoint_history.loading.rebuild import verify
from models.tables import observations
from tests.cli.test_app import Command, command
from tests.support.collecting import count, history
from tests.support.factories import MODEL, a_body, an_endpoint

__all__ = ["command"]

URL = "sqlite:///data/history.db"
PRICES = ("0.000001", "0.000001", "0.000002", "0.000001")
TIME = ("--time", "name:%Y%m%dT%H%M%SZ")


@pytest.fixture(autouse=True)
def _database() -> Iterator[None]:
    upgrade(URL)
    with stamina.set_testing(True, attempts=3):
        yield


def archive() -> Archive:
    return Archive("data/archive")


@pytest.fixture
def saved() -> Path:
    """A folder with a look a day at one model."""
    folder = Path("saved")
    folder.mkdir()
    for day, prompt in enumerate(PRICES, 1):
        (folder / f"acme__swift-1__202605{day:02}T120000Z.json").write_bytes(a_body(an_endpoint(prompt=prompt)))
    return folder


def test_files_tell_what_became_of_them(command: Command, saved: Path) -> None:
    (saved / "models__20260501T000000Z.json").write_text('{"data": [{"id": "acme/swift-1"}]}')
    code, out, _ = command("backfill", "files", "saved", *TIME)
    assert code == 3
    assert "Read       5: 4 new, 0 known, 0 not wanted\nRefused    1\n" in out
    assert "saved/models__20260501T000000Z.json: a list of models" in out
    assert "Changes    4 rows of prices and listings\n" in out


def test_files_twice_are_as_good_as_once(command: Command, saved: Path) -> None:
    command("backfill", "files", "saved", *TIME)
    before = history(URL)
    code, out, _ = command("backfill", "files", "saved/*T12*", "saved", *TIME)
    assert (code, out.splitlines()[0]) == (0, "Read       4: 0 new, 4 known, 0 not wanted")
    assert history(URL) == before


def test_a_dry_run_shows_the_first_changes_alone(command: Command, saved: Path) -> None:
    code, out, _ = command("backfill", "files", "saved", *TIME, "--dry-run")
    assert code == 0
    assert "acme/swift-1 at North (north/fp8): prompt $1/M -> $2/M" in out
    assert (count(URL, observations), archive().bundles()) == (0, [])


def test_since_until_and_only_choose(command: Command, saved: Path) -> None:
    words = ("--since", "2026-05-02", "--until", "2026-05-04T00:00Z", "--only", "acme/*")
    assert "4: 2 new, 0 known, 2 not wanted" in command("backfill", "files", "saved", *TIME, *words)[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("files", "nowhere"), "nowhere"),
        (("files", "saved", "--time", "sundial"), "sundial"),
        (("files", "saved", "--since", "May"), "since: 'May' is no time such as 2026-05-16"),
        (("files", "saved", "--since", "2026-05-02", "--until", "2026-05-01"), "is not after since"),
        (("files", "saved", "--only", "acme"), "'acme' is no target"),
        (("git", "saved", "*.json"), "saved"),
        (("wayback", "swift-1"), "'swift-1' is not an author/slug pair"),
        (
            ("wayback", "acme/swift-1", "--base-url", "ftp://me:sesame@x"),
            "base-url: expected an http or https address such as",
        ),
        (("archive", "--since", "May"), "since: 'May' is no time such as 2026-05-16"),
        (("archive", "--only", "acme"), "'acme' is no target"),
        (("archive", "--rebuild", "--verify"), "--rebuild and --verify can't go together"),
        (("archive", "--dry-run", "--rebuild"), "--dry-run and --rebuild can't go together"),
        (("archive", "--dry-run", "--verify"), "--dry-run and --verify can't go together"),
        (("archive", "--rebuild", "--since", "2026-05-02"), "rebuild is always of the whole archive"),
        (("archive", "--verify", "--only", "acme/*"), "verify is always of the whole archive"),
        (("archive", "--verify", "--until", "2026-05-02"), "verify is always of the whole archive"),
        (("archive", "--rebuild", "--all"), "rebuild is always of the whole archive"),
        (("archive",), "there is no bundle in the archive "),
        (("archive", "--rebuild"), "there is no bundle in the archive "),
    ],
)
def test_wrong_usage_gets_its_reason_before_anything_is_written(
    command: Command, saved: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = command("backfill", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert "sesame" not in err
    assert archive().bundles() == []


@pytest.fixture
def kept(command: Command, saved: Path) -> list[str]:
    """An archive of four looks on four days, in two bundles, and an empty database; yields the bundles."""
    command("backfill", "files", "saved/*0501*", "saved/*0502*", *TIME)
    command("backfill", "files", "saved", *TIME)
    downgrade(URL, "base")
    upgrade(URL)
    return archive().bundles()


def test_the_archive_fills_an_empty_database_and_tells_it_as_every_source_does(
    command: Command, kept: list[str]
) -> None:
    code, out, err = command("backfill", "archive")
    assert (code, [line.split("  ")[0] for line in out.splitlines()]) == (
        0,
        ["Read", "Refused", "Changes", "Conflicts"],
    )
    assert out.startswith("Read       4 observations of 2 bundles: 4 new, 0 known, 0 not wanted\nRefused    0\n")
    assert re.fullmatch(r"(\d) of \1 kB read, 4 observations(, [\d.,]+/s)?\n", err)
    assert command("backfill", "archive")[1].startswith(
        "Read       0 observations, as all bundles are held whole: 0 new, 0 known"
    )
    assert command("backfill", "archive", "--all")[1].startswith(
        "Read       4 observations of 2 bundles: 0 new, 4 known"
    )


def test_a_part_of_the_archive_and_then_all(command: Command, kept: list[str]) -> None:
    words = ("--since", "2026-05-02", "--until", "2026-05-04T00:00Z", "--only", "acme/*")
    code, out, _ = command("backfill", "archive", *words)
    assert (code, out.splitlines()[0]) == (0, "Read       4 observations of 2 bundles: 2 new, 0 known, 2 not wanted")
    assert command("backfill", "archive")[1].startswith(
        "Read       4 observations of 2 bundles: 2 new, 2 known, 0 not wanted"
    )
    assert command("backfill", "archive", "--verify")[0] == 0


def test_a_dry_run_of_the_archive_shows_the_first_changes_alone(command: Command, kept: list[str]) -> None:
    code, out, _ = command("backfill", "archive", "--dry-run")
    assert code == 0
    assert out.startswith(
        "Read       4 observations of 2 bundles: 4 new, 0 known, 0 not wanted\nRefused    0\nChanges    4 rows"
    )
    assert "acme/swift-1 at North (north/fp8): prompt $1/M -> $2/M" in out
    assert count(URL, observations) == 0


def test_damage_of_the_archive_is_named_and_exits_with_three(command: Command, kept: list[str]) -> None:
    (path,) = Path("data/archive").absolute().rglob(f"{kept[1]}*")
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(lines[0] + lines[1].replace(b"0.000001", b"0.000009")))
    told = f"Refused    1\n  {path}: line 2 at byte {len(lines[0])}: its checksum is wrong\n"
    code, out, _ = command("backfill", "archive")
    assert (code, told in out) == (3, True)
    assert out.startswith("Read       4 observations of 2 bundles: 3 new, 0 known, 0 not wanted\n")
    code, out, _ = command("backfill", "archive", "--verify")
    assert code == 3
    damaged = f"Damaged    1 bundle of the archive can't be read whole\n  {path}: line 2 at byte {len(lines[0])}: "
    assert out.startswith(damaged)
    assert ("only good copy" in out, "Differs" in out, "--rebuild" in out) == (True, False, False)
    code, out, err = command("backfill", "archive", "--rebuild")
    assert (code, out) == (1, "")
    assert f"nothing was changed, as the archive is damaged: {path}: line 2 at byte " in err


def test_an_empty_database_is_not_compared(command: Command, kept: list[str]) -> None:
    nothing = "nothing loaded yet; to load the archive: endpoint-history backfill archive"
    assert command("backfill", "archive", "--verify") == (3, f"Database   {URL}, {nothing}\n", "")


def test_a_git_history_comes_in_by_its_commits(command: Command) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", "repo", "-c", "user.name=A", "-c", "user.email=a@b", *words], check=True)

    Path("repo").mkdir()
    git("init", "--quiet")
    for day, prompt in enumerate(PRICES, 1):
        (Path("repo") / "body.json").write_bytes(a_body(an_endpoint(prompt=prompt), description=str(day)))
        git("add", ".")
        git("commit", "--quiet", "-m", "x", "--date", f"2026-05-0{day}T12:00:00+02:00")
    code, out, _ = command("backfill", "git", "repo", "body.json")
    assert (code, out.splitlines()[0]) == (0, "Read       4: 4 new, 0 known, 0 not wanted")
    assert "Changes    4 rows" in out


def test_all_sources_together_can_be_rebuilt_from_our_archive(command: Command, saved: Path) -> None:
    command("backfill", "files", "saved", *TIME)
    look = {"detailsPath": f"/api/v1/models/{MODEL}/endpoints", "response": json.loads(a_body(an_endpoint()))}
    Path("walk.json").write_text(json.dumps({"fetchedAt": "2026-05-02T18:00:00Z", "data": [look]}))
    assert command("backfill", "files", "walk.json")[0] == 0
    with opened(URL) as engine:
        assert verify(engine, archive())[1] == []
