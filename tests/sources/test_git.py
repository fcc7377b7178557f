"""Bodies from git repositories, made by the git program itself."""

from __future__ import annotations

import gc
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from endpoint_history.errors import ConfigurationError
from endpoint_history.refusals import Refused
from endpoint_history.sources.git import blobs as git_blobs
from endpoint_history.sources.git.source import open_git
from endpoint_history.sources.items import KnownBody, SavedBody, Source
from models.observation import Target
from tests.support.factories import MORNING, a_body, an_endpoint, at

GIT = shutil.which("git") or ""
pytestmark = pytest.mark.skipif(not GIT, reason="git is not installed")
BODY = "swift.json"
SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----"


@dataclass
class Repo:
    """A repository to commit to; `minute` counts from MORNING, and each commit without a time is one minute later."""

    folder: Path
    minute: float = 0

    def git(self, *arguments: str, **environment: str) -> str:
        command = [GIT, "-C", str(self.folder), *arguments]
        return subprocess.run(
            command, env=os.environ | environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(self, path: str | bytes, content: bytes) -> None:
        file = self.folder / os.fsdecode(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def commit(self, *options: str, author: datetime | None = None, committer: datetime | None = None) -> str:
        """Commit all there is, and give the commit's id."""
        self.minute += 1
        dates = {
            "GIT_AUTHOR_DATE": f"{author or at(self.minute):%Y-%m-%dT%H:%M:%S%z}",
            "GIT_COMMITTER_DATE": f"{committer or at(self.minute):%Y-%m-%dT%H:%M:%S%z}",
        }
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=saved", *options, **dates)
        return self.git("rev-parse", "HEAD")

    def save(self, content: bytes, path: str | bytes = BODY, **times: datetime) -> str:
        """Commit one file with this content."""
        self.write(path, content)
        return self.commit(**times)

    def object(self, revision: str) -> Path:
        """The file of a loose object."""
        blob = self.git("rev-parse", revision)
        file = self.folder / ".git/objects" / blob[:2] / blob[2:]
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return file


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    folder = tmp_path / "repo"
    folder.mkdir()
    made = Repo(folder)
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def opened(repo: Repo, *patterns: str, **options: Any) -> Source:
    return open_git(str(repo.folder), patterns or (BODY,), **{"time": None, "target": None} | options)


def found(source: Source) -> list[SavedBody]:
    items = [item for _, item in source.items]
    assert [item for item in items if isinstance(item, Refused)] == []
    return [item for item in items if isinstance(item, SavedBody)]


def refused(source: Source) -> list[str]:
    return [item.reason for _, item in source.items if isinstance(item, Refused)]


def priced(number: int, model: str = "acme/swift-1") -> bytes:
    """A body that differs from those of other numbers."""
    return a_body(an_endpoint(prompt=f"0.{number:06}"), model=model)


def a_walk(minute: float, *targets: str) -> bytes:
    data = [
        {"detailsPath": f"/api/v1/models/{target}/endpoints", "response": json.loads(priced(1, target))}
        for target in targets
    ]
    return json.dumps({"fetchedAt": f"{at(minute):%Y-%m-%dT%H:%M:%S}.000Z", "data": data}).encode()


def test_each_version_of_a_file_is_found_with_its_commit_and_time(repo: Repo) -> None:
    commits = [repo.save(priced(number)) for number in (1, 2, 3)]
    source = opened(repo)
    assert source.size == 3
    assert [done for done, _ in source.items] == [1, 2, 3]
    assert found(source) == [
        SavedBody(priced(number), at(number), None, f"{repo.folder}@{commit[:12]}:{BODY}")
        for number, commit in enumerate(commits, start=1)
    ]


def test_a_commit_that_does_not_touch_the_path_gives_nothing(repo: Repo) -> None:
    repo.save(priced(1))
    repo.save(b"read me", "README.md")
    repo.commit("--allow-empty")
    (repo.folder / BODY).chmod(0o755)
    repo.commit()
    assert len(found(opened(repo))) == opened(repo).size == 1


def test_content_that_comes_back_is_found_again(repo: Repo) -> None:
    for number in (1, 2, 1):
        repo.save(priced(number))
    assert [item.body for item in found(opened(repo))] == [priced(1), priced(2), priced(1)]


def test_the_same_content_at_two_paths_is_found_at_both(repo: Repo) -> None:
    repo.write("a.json", priced(1))
    repo.write("b.json", priced(1))
    repo.commit()
    assert [item.origin.rpartition(":")[2] for item in found(opened(repo, "*.json"))] == ["a.json", "b.json"]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("data", ["data/a.json", "data/deep/b.json"]),
        ("data/", ["data/a.json", "data/deep/b.json"]),
        ("./data/a.json", ["data/a.json"]),
        ("data/*.json", ["data/a.json"]),
        ("data/**/*.json", ["data/a.json", "data/deep/b.json"]),
        ("**/b.json", ["data/deep/b.json"]),
        (".", ["c[1].json", "data/a.json", "data/deep/b.json"]),
        ("c[1].json", ["c[1].json"]),
    ],
)
def test_a_pattern_is_a_path_a_folder_or_a_glob_as_in_a_shell(repo: Repo, pattern: str, paths: list[str]) -> None:
    for path in ("data/a.json", "data/deep/b.json", "c[1].json"):
        repo.write(path, priced(1))
    repo.commit()
    assert [item.origin.rpartition(":")[2] for item in found(opened(repo, pattern))] == paths


def test_paths_count_from_the_root_wherever_the_repository_is_entered(repo: Repo) -> None:
    repo.save(priced(1), "data/a.json")
    repo.git("config", "diff.relative", "true")
    source = open_git(str(repo.folder / "data"), ["data/a.json"], time=None, target=None)
    assert [item.origin.rpartition(":")[2] for item in found(source)] == ["data/a.json"]


def test_a_walk_gives_each_of_its_bodies_with_the_time_in_the_file(repo: Repo) -> None:
    commit = repo.save(a_walk(-5, "acme/swift-1", "acme/swift-2"), "walk.json")
    first, second = found(opened(repo, "walk.json"))
    assert (str(first.target), str(second.target)) == ("acme/swift-1", "acme/swift-2")
    assert first.observed_at == second.observed_at == at(-5)
    assert json.loads(second.body) == json.loads(priced(1, "acme/swift-2"))
    assert second.origin == f"{repo.folder}@{commit[:12]}:walk.json item 2"


def test_all_bodies_of_a_walk_belong_to_the_one_file_read(repo: Repo) -> None:
    for minute in (1, 2):
        repo.save(a_walk(minute, "acme/swift-1", "acme/swift-2"), "walk.json")
    source = opened(repo, "walk.json")
    assert source.size == 2
    assert [done for done, _ in source.items] == [1, 1, 2, 2]


def test_what_a_merge_takes_over_whole_is_the_branch_s_own_change(repo: Repo) -> None:
    repo.save(priced(1))
    repo.git("checkout", "--quiet", "-b", "side")
    repo.save(priced(2))
    repo.git("checkout", "--quiet", "main")
    repo.save(b"read me", "README.md")
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert [(item.body, item.observed_at) for item in found(opened(repo))] == [(priced(1), at(1)), (priced(2), at(2))]


def test_both_sides_of_a_merge_and_what_the_merge_itself_made_are_found(repo: Repo) -> None:
    repo.save(priced(1))
    repo.git("checkout", "--quiet", "-b", "side")
    repo.save(priced(2))
    repo.git("checkout", "--quiet", "main")
    repo.save(priced(3))
    repo.git("merge", "--quiet", "--no-commit", "--strategy=ours", "side")
    repo.save(priced(4))
    assert [item.body for item in found(opened(repo))] == [priced(number) for number in (1, 2, 3, 4)]


def test_a_side_whose_change_the_merge_dropped_is_found(repo: Repo) -> None:
    repo.save(priced(1))
    repo.git("checkout", "--quiet", "-b", "side")
    repo.save(priced(2))
    repo.git("checkout", "--quiet", "main")
    repo.commit("--allow-empty")
    repo.git("merge", "--quiet", "--no-edit", "--strategy=ours", "side")
    assert [item.body for item in found(opened(repo))] == [priced(1), priced(2)]


def test_a_merge_of_three_is_read(repo: Repo) -> None:
    repo.save(b"read me", "README.md")
    for branch in ("left", "right"):
        repo.git("checkout", "--quiet", "-b", branch, "main")
        repo.save(b"{}", branch)
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-commit", "--no-ff", "left", "right")
    repo.save(priced(1))
    assert [item.body for item in found(opened(repo))] == [priced(1)]


def test_a_renamed_file_is_no_new_observation_whichever_path_is_asked_for(repo: Repo) -> None:
    repo.save(priced(1), "old.json")
    repo.git("mv", "old.json", "new.json")
    repo.commit()
    assert [item.origin.rpartition(":")[2] for item in found(opened(repo, "."))] == ["old.json"]
    assert [type(item) for _, item in opened(repo, ".").items] == [SavedBody, KnownBody]
    assert found(opened(repo, "new.json")) == []


def test_a_removed_file_proves_nothing(repo: Repo) -> None:
    repo.save(priced(1))
    repo.git("rm", "--quiet", BODY)
    repo.commit("--allow-empty")
    repo.save(priced(2))
    assert [item.body for item in found(opened(repo))] == [priced(1), priced(2)]
    assert opened(repo).size == 2


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"with blank.json", "with blank.json"),
        (b"two\nlines.json", "two\\nlines.json"),
        (b"\n:leading.json", "\\n:leading.json"),
        (b"\"quoted'.json", "\"quoted'.json"),
        (b":colon.json", ":colon.json"),
        (b"commit x y z", "commit x y z"),
        ("préis.json".encode(), "préis.json"),
        (b"latin-\xe9.json", "latin-\\xe9.json"),
        (b"tab\t\x1b[31m.json", "tab\\t\\x1b[31m.json"),
    ],
)
def test_a_path_of_any_bytes_is_read_and_shown_in_one_line(repo: Repo, path: bytes, shown: str) -> None:
    try:
        commit = repo.save(priced(1), path)
    except OSError:
        pytest.skip("this file system has no such name")
    for pattern in (os.fsdecode(path), "."):
        [item] = found(opened(repo, pattern))
        assert item.origin == f"{repo.folder}@{commit[:12]}:{shown}"


def test_author_and_committer_times_are_told_apart_across_zones(repo: Repo) -> None:
    author = datetime(2026, 5, 16, 1, 30, tzinfo=timezone(timedelta(hours=-7)))
    committer = datetime(2026, 5, 16, 20, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    repo.save(priced(1), author=author, committer=committer)
    times = {rule: found(opened(repo, time=rule))[0].observed_at for rule in (None, "commit", "author", "committer")}
    assert times == {None: author, "commit": author, "author": author, "committer": committer}
    assert {time.tzinfo for time in times.values()} == {UTC}


def test_a_time_in_the_file_counts_only_where_the_rule_lets_it(repo: Repo) -> None:
    repo.save(a_walk(-60, "acme/swift-1"))
    times = [found(opened(repo, time=rule))[0].observed_at for rule in ("commit", "field", "author", "committer")]
    assert times == [at(-60), at(-60), at(1), at(1)]


def test_an_unreadable_time_in_the_file_does_not_matter_where_the_commit_s_counts(repo: Repo) -> None:
    repo.save(a_walk(0, "acme/swift-1").replace(b"2026-05-16T", b"some day "))
    assert len(refused(opened(repo))) == 1
    assert [item.observed_at for item in found(opened(repo, time="author"))] == [at(1)]


def test_a_body_without_a_time_of_its_own_is_refused_where_only_that_counts(repo: Repo) -> None:
    repo.save(priced(1))
    (reason,) = refused(opened(repo, time="field"))
    assert reason.startswith("no time in observed_at")


def test_a_commit_without_a_readable_time_is_refused_and_the_rest_goes_on(repo: Repo) -> None:
    first = repo.save(priced(1))
    raw = repo.git("cat-file", "commit", first).replace(str(int(at(1).timestamp())), "9" * 30)
    (repo.folder.parent / "commit").write_text(raw + "\n")
    broken = repo.git("hash-object", "-t", "commit", "-w", "--literally", str(repo.folder.parent / "commit"))
    repo.git("reset", "--quiet", "--soft", broken)
    repo.save(priced(2))
    items = [item for _, item in opened(repo, time="author", since=MORNING).items]
    assert [type(item) for item in items] == [Refused, SavedBody]
    assert isinstance(items[0], Refused)
    assert "no readable time" in items[0].reason


def test_since_and_until_leave_out_commits_by_the_time_that_counts(repo: Repo) -> None:
    for minute in (1, 2, 3, 4):
        repo.save(priced(minute), author=at(minute), committer=at(minute + 10))
    by_author = opened(repo, time="author", since=at(2), until=at(3))
    by_committer = opened(repo, time="committer", since=at(12))
    assert by_author.size == 2
    assert [item.body for item in found(by_author)] == [priced(2), priced(3)]
    assert [item.observed_at for item in found(by_committer)] == [at(12), at(13), at(14)]


def test_since_and_until_leave_nothing_out_where_the_file_may_have_another_time(repo: Repo) -> None:
    repo.save(a_walk(-600, "acme/swift-1"))
    for rule in (None, "commit", "field"):
        assert len(found(opened(repo, time=rule, until=at(-500)))) == 1


def test_a_source_of_which_all_is_left_out_is_empty(repo: Repo) -> None:
    repo.save(priced(1))
    source = opened(repo, time="author", since=at(60))
    assert (source.size, list(source.items)) == (0, [])


@pytest.mark.parametrize(
    ("rule", "target"),
    [
        (None, None),
        ("body", None),
        ("acme/other", Target("acme", "other")),
        ("path:data/{author}/{slug}.json", Target("acme", "swift-1:free")),
        ("path:{author}/acme/{slug}.json", Target("data", "swift-1:free")),
    ],
)
def test_the_target_is_told_by_the_body_the_path_or_the_user(repo: Repo, rule: str | None, target: object) -> None:
    repo.save(priced(1), "data/acme/swift-1:free.json")
    assert [item.target for item in found(opened(repo, "data", target=rule))] == [target]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("data/readme.json", "its path does not match data/{author}/{slug}.json"),
        ("data/acme/a b.json", "its path does not match data/{author}/{slug}.json"),
    ],
)
def test_a_path_that_tells_no_target_is_refused(repo: Repo, path: str, reason: str) -> None:
    repo.save(priced(1), path)
    [said] = refused(opened(repo, "data", target="path:data/{author}/{slug}.json"))
    assert said.startswith(reason)


def test_a_body_that_says_it_is_another_target_s_is_refused(repo: Repo) -> None:
    repo.save(a_walk(1, "acme/swift-1", "acme/swift-2"))
    source = opened(repo, target="acme/swift-1")
    assert [type(item) for _, item in source.items] == [SavedBody, Refused]
    assert refused(source) == ["the file says that this is acme/swift-2, not acme/swift-1"]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\0\xff\xfe", b"<html></html>", b"", b"[1, 2"])
def test_content_that_is_no_body_is_refused_where_it_lies_and_the_rest_goes_on(repo: Repo, content: bytes) -> None:
    commit = repo.save(content)
    repo.save(priced(1))
    *items, (done, last) = opened(repo).items
    for _, item in items:
        assert isinstance(item, Refused)
        assert item.origin.startswith(f"{repo.folder}@{commit[:12]}:{BODY}")
        assert len(item.reason.splitlines()) == 1
    assert items
    assert isinstance(last, SavedBody)
    assert done == 2


def test_a_huge_file_is_refused_unread_and_the_rest_goes_on(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_blobs, "MAX_BLOB_BYTES", 5000)
    repo.save(b"x" * 5_000_001)
    repo.save(priced(1))
    repo.save(b"x" * 5001)
    items = [item for _, item in opened(repo).items]
    assert [type(item) for item in items] == [Refused, SavedBody, Refused]
    assert refused(opened(repo)) == [f"blob of {size} bytes: at most 5,000 are read" for size in ("5,000,001", "5,001")]


def test_links_and_submodules_are_refused(repo: Repo) -> None:
    first = repo.save(priced(1), "data/a.json")
    (repo.folder / "data/b.json").symlink_to("a.json")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{first},data/c.json")
    repo.git("add", "data/b.json")
    repo.git("commit", "--quiet", "--message=links")
    repo.git("reset", "--quiet", "--hard")
    repo.save(priced(2), "data/d.json")
    assert refused(opened(repo, "data")) == [
        "a symbolic link, not a file: name the path of the file that it leads to",
        "a submodule, not a file: load its own repository",
    ]
    assert len([item for _, item in opened(repo, "data").items if isinstance(item, SavedBody)]) == 2


def remove(file: Path) -> None:
    file.unlink()


def overwrite(file: Path) -> None:
    file.write_bytes(b"no object")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


@pytest.mark.parametrize("damage", [remove, overwrite, truncate])
def test_an_object_that_is_gone_or_damaged_is_refused_and_the_rest_goes_on(
    repo: Repo, damage: Callable[[Path], None]
) -> None:
    commits = [repo.save(priced(number) + b" " * number * 5000) for number in (1, 2, 3, 4)]
    damage(repo.object(f"{commits[1]}:{BODY}"))
    damage(repo.object(f"{commits[2]}:{BODY}"))
    items = [item for _, item in opened(repo).items]
    assert [type(item) for item in items] == [SavedBody, Refused, Refused, SavedBody]
    for reason in refused(opened(repo)):
        assert reason.startswith("the object ")
        assert "\n" not in reason


def test_a_bare_repository_is_read(repo: Repo) -> None:
    repo.save(priced(1))
    bare = repo.folder.parent / "bare.git"
    repo.git("clone", "--quiet", "--bare", str(repo.folder), str(bare))
    assert [item.body for item in found(open_git(str(bare), [BODY], time=None, target=None))] == [priced(1)]


def test_packed_objects_are_read(repo: Repo) -> None:
    for number in range(20):
        repo.save(priced(number))
    repo.git("gc", "--quiet")
    assert [item.body for item in found(opened(repo))] == [priced(number) for number in range(20)]


def test_a_partial_clone_fetches_nothing(repo: Repo) -> None:
    for number in (1, 2, 3):
        repo.save(priced(number))
    repo.git("config", "uploadpack.allowFilter", "true")
    partial = repo.folder.parent / "partial"
    repo.git("clone", "--quiet", "--filter=blob:none", f"file://{repo.folder}", str(partial))
    items = [item for _, item in open_git(str(partial), [BODY], time=None, target=None).items]
    assert [type(item) for item in items] == [Refused, Refused, SavedBody]  # the last was checked out
    missing = Repo(partial).git("rev-list", "--objects", "--all", "--missing=print").count("?")
    assert missing == 2


def test_where_a_shallow_clone_begins_the_commit_s_time_is_not_the_file_s(repo: Repo) -> None:
    repo.save(priced(1), "old.json")
    repo.save(a_walk(-60, "acme/swift-1"), "walk.json")
    repo.save(priced(3))
    repo.save(priced(4))
    shallow = repo.folder.parent / "shallow"
    repo.git("clone", "--quiet", "--depth=2", f"file://{repo.folder}", str(shallow))
    items = [item for _, item in open_git(str(shallow), ["."], time=None, target=None).items]
    assert [type(item) for item in items] == [Refused, Refused, SavedBody, SavedBody]
    assert isinstance(items[0], Refused)
    assert "shallow clone" in items[0].reason
    assert isinstance(items[2], SavedBody)
    assert items[2].observed_at == at(-60)


def test_nothing_that_the_repository_configures_is_run_and_nothing_is_written(repo: Repo) -> None:
    repo.write(".gitattributes", b"*.json diff=evil filter=evil\n")
    repo.save(priced(1))
    signed = repo.git("cat-file", "commit", repo.save(priced(2))).replace("\n\n", f"\ngpgsig {SIGNATURE}\n\n", 1)
    (repo.folder.parent / "commit").write_text(signed + "\n")
    repo.git("reset", "--quiet", repo.git("hash-object", "-t", "commit", "-w", str(repo.folder.parent / "commit")))
    trap = repo.folder.parent / "trap"
    program = repo.folder.parent / "evil"
    program.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
    program.chmod(0o755)
    keys = ("core.pager", "core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "gpg.program")
    for key in (*keys, "filter.evil.smudge", "core.sshCommand"):
        repo.git("config", key, str(program))
    for key in ("log.showSignature", "log.follow", "diff.relative", "diff.renames"):
        repo.git("config", key, "true")
    before = sorted((path, path.stat().st_mtime_ns) for path in repo.folder.rglob("*"))
    assert len(found(opened(repo))) == 2
    assert not trap.exists()
    assert sorted((path, path.stat().st_mtime_ns) for path in repo.folder.rglob("*")) == before


def test_variables_that_name_another_repository_do_not_count(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.save(priced(1))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/nowhere")
    assert len(found(opened(repo))) == 1


def test_replaced_objects_are_read_as_they_were_committed(repo: Repo) -> None:
    repo.save(priced(1))
    repo.save(priced(2))
    repo.git("replace", f"HEAD:{BODY}", f"HEAD~1:{BODY}")
    assert [item.body for item in found(opened(repo))] == [priced(1), priced(2)]


@pytest.fixture
def children() -> Callable[[], list[str]]:
    """The processes that this one started and has not waited for."""
    task = Path("/proc/self/task")
    if not task.is_dir():
        pytest.skip("no /proc here")

    def named() -> list[str]:
        return [pid for thread in task.iterdir() for pid in (thread / "children").read_text().split()]

    before = named()
    return lambda: [pid for pid in named() if pid not in before]


def test_an_abandoned_reading_leaves_no_process(repo: Repo, children: Callable[[], list[str]]) -> None:
    for number in range(5):
        repo.save(priced(number) + b" " * 3_000_000)
    items = iter(opened(repo).items)
    next(items)
    assert len(children()) == 1
    del items
    gc.collect()
    assert children() == []


def test_a_reading_that_raises_or_ends_leaves_no_process(repo: Repo, children: Callable[[], list[str]]) -> None:
    for number in range(3):
        repo.save(priced(number))

    def read_with_trouble() -> None:
        for _ in opened(repo).items:
            raise KeyError

    with pytest.raises(KeyError):
        read_with_trouble()
    gc.collect()
    assert children() == []
    assert len(found(opened(repo))) == 3
    assert children() == []


def test_a_source_that_nobody_reads_leaves_nothing_open(repo: Repo) -> None:
    repo.save(priced(1))
    gc.collect()  # what other tests left
    descriptors = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        opened(repo)
    gc.collect()
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_two_readings_of_one_source_do_not_disturb_each_other(repo: Repo) -> None:
    for number in range(5):
        repo.save(priced(number))
    source = opened(repo)
    assert [one == other for one, other in zip(source.items, source.items, strict=True)] == [True] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patterns": ["nowhere.json"]}, "no commit of {repo} touches nowhere.json"),
        ({"patterns": [BODY, "no\nwhere"]}, "no commit of {repo} touches no\\nwhere"),
        ({"patterns": ["../other.json"]}, "no commit of {repo} touches ../other.json"),
        ({"patterns": []}, "name at least one path of the repository"),
        ({"patterns": [""]}, "'' is not a path"),
        ({"patterns": ["a\0b"]}, "'a\\\\x00b' is not a path"),
        ({"repository": "{repo}/nowhere"}, "there is no folder '{repo}/nowhere'"),
        ({"repository": "{repo}/" + BODY}, "there is no folder '{repo}/" + BODY + "'"),
        ({"repository": "a\0b"}, "there is no folder 'a"),
        ({"repository": "x" * 300}, "there is no folder 'x"),
        ({"repository": "~nobody-of-this-name/repo"}, "there is no folder '~nobody"),
        ({"repository": "{repo}/.."}, "{repo}/.. is not a git repository"),
        ({"time": "mtime"}, "time 'mtime' means nothing in git; expected field, name:PATTERN, path:PATTERN, or commit"),
        ({"time": ""}, "time '' is not known; expected 'field', "),
        ({"time": "path:%Q"}, "time 'path:%Q': %Q is not known; see docs/backfill.md"),
        ({"time": "name:%d"}, "time 'name:%d' names no year (%Y); see docs/backfill.md"),
        ({"zone": "Mars"}, "zone: 'Mars' is not a known time zone"),
        ({"target": "gpt-4o"}, "target 'gpt-4o' is not known; expected 'body', 'author/slug', "),
        ({"target": "path:{slug}.json"}, "target 'path:{slug}.json' needs {author} and {slug} once each"),
        ({"target": "path:{author}/{slug}/{slug}"}, "target 'path:{author}/{slug}/{slug}' needs"),
    ],
)
def test_what_cannot_be_read_at_all_is_told_in_one_line(repo: Repo, options: dict[str, Any], message: str) -> None:
    repo.save(priced(1))
    given = {"repository": str(repo.folder), "patterns": [BODY], "time": None, "target": None} | options
    given["repository"] = given["repository"].replace("{repo}", str(repo.folder))
    with pytest.raises(ConfigurationError) as raised:
        open_git(**given)
    assert str(raised.value).startswith(message.replace("{repo}", str(repo.folder)))
    assert len(str(raised.value).splitlines()) == 1


def test_a_path_that_only_another_branch_has_names_the_branch(repo: Repo) -> None:
    repo.save(b"read me", "README.md")
    repo.git("checkout", "--quiet", "--orphan", "data")
    repo.save(priced(1))
    repo.git("checkout", "--quiet", "main")
    with pytest.raises(
        ConfigurationError, match=r"/repo touches swift\.json, but one of refs/heads/data does: load a cl"
    ):
        opened(repo)


def test_a_repository_without_commits_is_told(repo: Repo) -> None:
    with pytest.raises(ConfigurationError, match=r"^\S+/repo has no commits$"):
        opened(repo)


def test_a_repository_whose_history_is_damaged_is_told_with_git_s_reason(repo: Repo) -> None:
    repo.save(priced(1))
    repo.save(priced(2))
    repo.object("HEAD~1^{tree}").unlink()
    with pytest.raises(ConfigurationError, match=r"^\S+/repo: git says: .*tree"):
        opened(repo)


def test_a_missing_git_program_is_told(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo.folder))
    with pytest.raises(ConfigurationError, match=r"^git is not installed"):
        opened(repo)


def test_a_repository_of_another_user_is_refused_in_git_s_own_words(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.save(priced(1))
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/git"
    wrapper.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "{GIT}" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(
        ConfigurationError, match=r"dubious ownership in repository.*safe\.directory \S+/repo$"
    ) as raised:
        opened(repo)
    assert len(str(raised.value).splitlines()) == 1
