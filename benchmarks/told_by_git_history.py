"""What the tool git-history tells of a case: each walk a commit, dated by when its looks were.

A late walk is a commit on top with an older date, as git takes it. What failed is not written, a 404 is as it came.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from git_history.cli import cli

from tests.support.correctness_cases import Case, Interval, Walk, intervals

Seen = dict[str, Decimal]  # the price in USD for a million tokens, by endpoint

_KEPT = {200, 404}
_CONVERT = """
data = json.loads(content)
for body in data if isinstance(data, list) else [data]:
    for endpoint in body["data"]["endpoints"] if "data" in body else []:
        yield {"model": body["data"]["id"], "tag": endpoint["tag"], **endpoint["pricing"]}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to use it: the versions of items that `--id` tells apart, or all items of all commits; in which files."""

    name: str
    ids: bool
    file_per_model: bool


WAYS = [
    Way("--id, one file", ids=True, file_per_model=False),
    Way("no --id, one file", ids=False, file_per_model=False),
    Way("no --id, a file for each model", ids=False, file_per_model=True),
]


def told_by_git_history(case: Case, way: Way, folder: Path) -> list[Interval]:
    """Commit each walk, in the order in which they come, and read what the tool makes of the repository."""
    repository, database = folder / "repository", folder / "git-history.db"
    files = _commit(case, way, repository)
    for number, file in enumerate(files):
        words = ["file", str(database), file, "--repo", str(repository), "--convert", _CONVERT, "--silent"]
        words += ["--id", "model", "--id", "tag", "--full-versions"] if way.ids else []
        with warnings.catch_warnings(action="ignore"):  # its own: it opens repositories in a deprecated way
            cli.main([*words, "--namespace", f"n{number}"], standalone_mode=False)
    with closing(sqlite3.connect(database)) as connection:
        read = _versions if way.ids else _items
        return [interval for number in range(len(files)) for interval in read(connection, f"n{number}")]


def _commit(case: Case, way: Way, repository: Path) -> list[str]:
    """Make the repository; the files that it holds."""
    _git("init", "--quiet", "--initial-branch=main", str(repository))
    names = set[str]()
    stream = b""
    for walk in case.walks:
        files = dict(_files(walk, way))
        names |= files.keys()
        stream += _commit_of(walk.observed_at, files)
    _git("-C", str(repository), "fast-import", "--quiet", stdin=stream)
    _git("-C", str(repository), "reset", "--quiet", "--hard", "main")
    return sorted(names)


def _files(walk: Walk, way: Way) -> Iterator[tuple[str, bytes]]:
    kept = {path: answer.body for path, answer in walk.answers.items() if answer.status in _KEPT}
    if way.file_per_model:
        yield from ((f"{path.replace('/', '__')}.json", body) for path, body in kept.items())
    else:
        yield "walk.json", json.dumps([json.loads(body) for body in kept.values()]).encode()


def _commit_of(when: datetime, files: Mapping[str, bytes]) -> bytes:
    """A commit as git fast-import takes it; a file that is not given stays as it was."""
    head = f"commit refs/heads/main\ncommitter Scraper <scraper@example.com> {int(when.timestamp())} +0000\ndata 0\n"
    changes = (b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(body), body) for name, body in files.items())
    return head.encode() + b"".join(changes)


def _git(*words: str, stdin: bytes = b"") -> None:
    subprocess.run(["git", *words], input=stdin, check=True)  # noqa: S607


def _versions(connection: sqlite3.Connection, namespace: str) -> Iterator[Interval]:
    """The versions of each item by date. That one is gone, nothing says."""
    query = f"""
        SELECT model, tag, prompt, commit_at FROM {namespace}_version AS version
        JOIN commits ON commits.id = version._commit ORDER BY commit_at
    """  # noqa: S608
    steps: dict[str, list[tuple[datetime, Decimal | None]]] = {}
    for model, tag, prompt, when in connection.execute(query):
        steps.setdefault(f"{model} {tag}", []).append((datetime.fromisoformat(when), Decimal(prompt).scaleb(6)))
    for endpoint, changes in steps.items():
        yield from intervals(endpoint, changes)


def _items(connection: sqlite3.Connection, namespace: str) -> Iterator[Interval]:
    """Each commit by date has a row for each item that was in the file."""
    query = f"""
        SELECT commit_at, model, tag, prompt FROM commits JOIN namespaces ON namespaces.id = commits.namespace
        LEFT JOIN {namespace} AS item ON item._commit = commits.id WHERE namespaces.name = ? ORDER BY commit_at
    """  # noqa: S608
    commits: dict[datetime, Seen] = {}
    for when, model, tag, prompt in connection.execute(query, (namespace,)):
        seen = commits.setdefault(datetime.fromisoformat(when), {})
        if model is not None:
            seen[f"{model} {tag}"] = Decimal(prompt).scaleb(6)
    for endpoint in sorted({endpoint for seen in commits.values() for endpoint in seen}):
        yield from intervals(endpoint, [(when, seen.get(endpoint)) for when, seen in commits.items()])
