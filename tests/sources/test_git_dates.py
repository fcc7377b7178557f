"""Which time a body from a git repository gets, and which are refused because their commit's time can't be theirs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from endpoint_history.refusals import Refused
from endpoint_history.sources.git.source import open_git
from endpoint_history.sources.items import KnownBody, SavedBody
from models.observation import Target
from tests.sources.test_git import GIT, Repo, a_walk, found, opened, priced, refused, repo
from tests.support.factories import at

__all__ = ["repo"]
pytestmark = pytest.mark.skipif(not GIT, reason="git is not installed")

LINES = "log.jsonl"


def a_line(number: int, time: datetime | None = None, key: str = "stamp", model: str = "acme/swift-1") -> bytes:
    """A body in one line, in an object with a time of its own if one is given."""
    body = json.loads(priced(number, model))
    given = body if time is None else {key: f"{time:%Y-%m-%dT%H:%M:%SZ}", "response": body}
    return json.dumps(given).encode() + b"\n"


def items(repo: Repo, *patterns: str, **options: Any) -> list[Any]:
    return [item for _, item in opened(repo, *patterns, **options).items]


def kinds(repo: Repo, *patterns: str, **options: Any) -> list[str]:
    return [type(item).__name__ for item in items(repo, *patterns, **options)]


def prices(repo: Repo, *patterns: str, **options: Any) -> list[tuple[str, datetime]]:
    """The price and the time of each body found."""
    return [
        (json.loads(item.body)["data"]["endpoints"][0]["pricing"]["prompt"], item.observed_at)
        for item in items(repo, *patterns, **options)
        if isinstance(item, SavedBody)
    ]


@pytest.mark.parametrize("dated", [True, False], ids=["with an unknown time field", "bodies alone"])
def test_a_line_that_was_there_before_is_not_observed_again(repo: Repo, dated: bool) -> None:
    content = b""
    for number in (1, 2, 3):
        content += a_line(number, at(number - 60) if dated else None)
        repo.save(content, LINES)
    assert prices(repo, LINES) == [(f"0.{number:06}", at(number)) for number in (1, 2, 3)]
    assert kinds(repo, LINES) == ["SavedBody", "KnownBody", "SavedBody", "KnownBody", "KnownBody", "SavedBody"]


def test_a_list_that_grows_at_either_end_gives_each_body_once(repo: Repo) -> None:
    for numbers in ((1,), (1, 2), (3, 1, 2)):
        repo.save(b"[" + b", ".join(priced(number) for number in numbers) + b"]", "all.json")
    assert prices(repo, "all.json") == [(f"0.{number:06}", at(number)) for number in (1, 2, 3)]


def test_the_same_body_appended_again_is_a_new_observation(repo: Repo) -> None:
    repo.save(a_line(1), LINES)
    repo.save(a_line(1) * 2, LINES)
    assert [item.observed_at for item in found_or_known(repo, LINES)] == [at(1), None, at(2)]


def found_or_known(repo: Repo, *patterns: str) -> list[Any]:
    return [item if isinstance(item, SavedBody) else _Nothing() for item in items(repo, *patterns)]


class _Nothing:
    observed_at = None


def test_a_bad_line_is_refused_once_and_not_again_by_each_commit(repo: Repo) -> None:
    content = b"not JSON\n"
    for number in (1, 2, 3):
        content += a_line(number)
        repo.save(content, LINES)
    assert len(refused(opened(repo, LINES))) == 1


def test_lines_of_both_sides_of_a_merge_are_not_observed_again_by_the_merge(repo: Repo) -> None:
    repo.save(a_line(1), LINES)
    repo.git("checkout", "--quiet", "-b", "side")
    repo.save(a_line(1) + a_line(2), LINES)
    repo.git("checkout", "--quiet", "main")
    repo.save(a_line(1) + a_line(3), LINES)
    repo.git("merge", "--quiet", "--no-commit", "--strategy=ours", "side")
    repo.save(a_line(1) + a_line(2) + a_line(3), LINES)
    assert prices(repo, LINES) == [(f"0.{number:06}", at(number)) for number in (1, 2, 3)]


def test_a_file_that_comes_back_after_its_removal_gives_only_what_was_not_in_it(repo: Repo) -> None:
    repo.save(a_line(1) + a_line(1, model="acme/heron-2"), LINES)
    (repo.folder / LINES).unlink()
    repo.commit()
    repo.save(a_line(1) + a_line(1, model="acme/heron-2") + a_line(3), LINES)
    assert prices(repo, LINES) == [("0.000001", at(1)), ("0.000001", at(1)), ("0.000003", at(3))]


def test_several_different_bodies_of_one_commit_time_are_refused_and_the_field_that_would_help_is_named(
    repo: Repo,
) -> None:
    repo.save(b"".join(a_line(number, at(number - 60)) for number in (1, 2, 3)), LINES)
    assert refused(opened(repo, LINES)) == 3 * [
        "3 different bodies of acme/swift-1 have only the one time 2026-05-16 09:01:00 UTC, the commit's author time: "
        "give --time field:stamp"
    ]
    assert prices(repo, LINES, time="field:stamp") == [(f"0.{number:06}", at(number - 60)) for number in (1, 2, 3)]


def test_bodies_of_other_targets_and_other_commits_are_not_refused_with_them(repo: Repo) -> None:
    repo.save(a_line(1), LINES)
    repo.save(a_line(1) + a_line(2) + a_line(3) + a_line(4, model="acme/heron-2"), LINES)
    assert kinds(repo, LINES) == ["SavedBody", "KnownBody", "Refused", "Refused", "SavedBody"]


def test_a_variant_and_its_model_are_two_targets(repo: Repo) -> None:
    free = json.loads(priced(2))
    free["data"]["endpoints"][0]["model_id"] = "acme/swift-1:free"
    repo.write("free.json", json.dumps(free).encode())
    repo.save(priced(1))
    assert kinds(repo, ".") == ["SavedBody", "SavedBody"]


def test_equal_bodies_of_one_commit_are_not_refused(repo: Repo) -> None:
    repo.write("latest.json", priced(1))
    repo.save(priced(1), "snapshots/x.json")
    assert kinds(repo, ".") == ["SavedBody", "SavedBody"]


def test_one_content_in_two_layouts_is_one_observation(repo: Repo) -> None:
    repo.write("latest.json", json.dumps(json.loads(priced(1)), indent=4).encode())
    repo.save(a_line(1) + a_line(2, model="acme/heron-2"), LINES)
    assert kinds(repo, ".") == ["SavedBody", "KnownBody", "SavedBody"]


def test_different_lines_of_a_file_that_only_its_name_dates_are_refused(repo: Repo) -> None:
    repo.save(a_line(1, at(-60)) + a_line(2, at(-30)) + a_line(3, model="acme/heron-2"), "2026-05-16.jsonl")
    (reason, _) = refused(opened(repo, ".", time="name:%Y-%m-%d"))
    assert reason.endswith("have only the one time 2026-05-16 00:00:00 UTC, the file's name: give --time field:stamp")
    assert kinds(repo, ".", time="name:%Y-%m-%d") == ["Refused", "Refused", "SavedBody"]


def test_different_bodies_of_commits_with_one_time_are_refused_too(repo: Repo) -> None:
    for number in (1, 2, 3):
        repo.save(priced(number), author=at(number), committer=at(9))
    assert kinds(repo, time="committer") == ["Refused"] * 3
    assert kinds(repo, time="author") == ["SavedBody"] * 3


def test_commits_of_one_time_are_found_wherever_they_are_in_history(repo: Repo) -> None:
    for number, minute in ((1, 1), (2, 2), (3, 1)):
        repo.save(priced(number), author=at(minute))
    assert sorted(kinds(repo)) == ["Refused", "Refused", "SavedBody"]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("acme__swift-1__20260401T000000Z.json", "path:%Y%m%dT%H%M%SZ"),
        ("snapshots/2026-04-01/swift.json", "path:%Y-%m-%d"),
        ("2026/04/01/swift.json", "path:%Y/%m/%d"),
        ("swift_2026-04-01_00-00-00.json", "path:%Y-%m-%d_%H-%M-%S"),
        ("swift-20260401000000.json", "path:%Y%m%d%H%M%S"),
    ],
)
def test_a_date_in_the_path_that_contradicts_the_commit_is_refused_with_the_rule_that_reads_it(
    repo: Repo, path: str, pattern: str
) -> None:
    repo.save(priced(1), path)
    (reason,) = refused(opened(repo, "."))
    assert reason.startswith("its path says 2026")
    assert f"--time '{pattern}'" in reason
    assert [time for _, time in prices(repo, ".", time=pattern)] == [datetime.fromisoformat("2026-04-01T00:00:00Z")]
    assert [time for _, time in prices(repo, ".", time="commit")] == [at(1)]


@pytest.mark.parametrize(
    "path",
    [
        "snapshots/2026-05-16/swift.json",
        "snapshots/2026-05-17/swift.json",
        "swift__20260516T090000Z.json",
        "data/acme/swift-2024-11-20.json",
        "data/acme/swift-20241120.json",
        "v2026.13.45/swift.json",
        "2026-02-31/swift.json",
    ],
)
def test_a_date_that_agrees_or_is_a_part_of_the_model_s_name_leaves_the_commit_s_time(repo: Repo, path: str) -> None:
    model = "acme/swift-2024-11-20" if "11-20" in path else "acme/swift-20241120" if "1120" in path else "acme/swift-1"
    repo.save(priced(1, model), path)
    assert [time for _, time in prices(repo, ".")] == [at(1)]


def test_many_dated_files_in_one_commit_are_dated_by_their_names(repo: Repo) -> None:
    for day in (1, 2, 3):
        repo.write(f"acme__swift-1__2026050{day}T000000Z.json", priced(day))
    repo.commit()
    assert kinds(repo, ".") == ["Refused"] * 3
    rules = {"time": "name:%Y%m%dT%H%M%SZ", "target": "name:{author}__{slug}__"}
    bodies = found(opened(repo, ".", **rules))
    assert [f"{item.observed_at:%m-%d}" for item in bodies] == ["05-01", "05-02", "05-03"]
    assert {item.target for item in bodies} == {Target("acme", "swift-1")}


def test_a_zone_dates_names_that_have_none(repo: Repo) -> None:
    repo.save(priced(1), "swift_20260516-1100.json")
    source = opened(repo, ".", time="name:_%Y%m%d-%H%M", zone="Europe/Berlin")
    assert [item.observed_at for item in found(source)] == [at(0)]


@pytest.mark.parametrize("move", ["rename", "overwrite", "copy"])
def test_content_that_a_commit_moves_is_not_observed_again(repo: Repo, move: str) -> None:
    repo.save(priced(1), "latest.json")
    if move == "rename":
        repo.git("mv", "latest.json", "old.json")
    else:
        repo.write("old.json", priced(1))
    if move == "overwrite":
        repo.write("latest.json", priced(2))
    repo.commit()
    expected = {"rename": [at(1)], "overwrite": [at(1), at(2)], "copy": [at(1), at(2)]}[move]
    assert [time for _, time in prices(repo, ".")] == expected


def test_a_moved_body_with_a_time_of_its_own_is_found(repo: Repo) -> None:
    repo.save(a_walk(-60, "acme/swift-1"), "walk.json")
    repo.git("mv", "walk.json", "old.json")
    repo.commit()
    assert [item.observed_at for item in found(opened(repo, "old.json"))] == [at(-60)]


@pytest.mark.parametrize(("hours", "is_guess"), [(2, False), (48, True)])
def test_an_author_time_far_from_the_committer_s_is_called_a_guess(repo: Repo, hours: int, is_guess: bool) -> None:
    repo.save(priced(1), author=at(1), committer=at(1) + timedelta(hours=hours))
    (item,) = found(opened(repo))
    assert item.observed_at == at(1)
    assert ("a guess; give --time author or --time committer" in item.dated_by) == is_guess
    assert found(opened(repo, time="author"))[0].dated_by == "the commit's author time"
    assert found(opened(repo, time="committer"))[0].dated_by == "the commit's committer time"


def test_each_body_says_how_it_was_dated(repo: Repo) -> None:
    repo.save(a_walk(-60, "acme/swift-1"), "walk.json")
    repo.save(priced(1))
    said = [item.dated_by for item in found(opened(repo, "."))]
    assert said[0].startswith("field")
    assert said[1] == "the commit's author time"


def test_where_a_shallow_clone_begins_a_rule_for_the_path_still_dates(repo: Repo) -> None:
    for number in (1, 2):
        repo.save(priced(number), f"2026-05-0{number}.json")
    shallow = repo.folder.parent / "shallow"
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.folder}", str(shallow))
    assert len(found(open_git(str(shallow), ["."], time="name:%Y-%m-%d", target=None))) == 2
    undated = open_git(str(shallow), ["."], time=None, target=None)
    assert all(reason.endswith("run git fetch --unshallow in the repository") for reason in refused(undated))


def test_more_bodies_than_memory_should_hold_wait_on_disk(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoint_history.sources.git.same_time._IN_MEMORY_BYTES", 1000)
    for number in range(5):
        repo.write(f"{number}.json", priced(number, f"acme/swift-{number}"))
    repo.commit()
    assert [item.body for item in found(opened(repo, "."))] == [priced(n, f"acme/swift-{n}") for n in range(5)]
    assert not [item for item in items(repo, ".") if isinstance(item, KnownBody | Refused)]
