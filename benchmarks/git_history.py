"""How fast a git repository that committed whole walks is result, against reading it and nothing else.

The floor asks one `git cat-file --batch` for the same blobs and parses each with `json.loads`.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.conditions import (
    CADENCE,
    START,
    Took,
    command,
    count,
    in_fresh_process,
    machine,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.importer import import_bodies
from endpoint_history.backfilling.result import Wanted
from endpoint_history.database.engine import opened
from endpoint_history.refusals import Refused
from endpoint_history.sources.git.source import open_git
from endpoint_history.sources.items import Source
from simulator.market import Market

_MARKET = Market(models=154)
_PATHS = _MARKET.paths()[:170]
_FILE = "walk.json"


def make_repository(folder: Path, commits: int) -> int:
    """Commit so many walks, each half an hour after the one before; how many bodies they hold."""
    _git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    with subprocess.Popen(["git", "-C", folder, "fast-import", "--quiet"], stdin=subprocess.PIPE) as process:  # noqa: S607
        assert process.stdin is not None  # noqa: S101 - for mypy
        for number in range(commits):
            process.stdin.writelines(_commit(START + number * CADENCE))
    if process.returncode:
        raise RuntimeError("git fast-import failed")
    return commits * len(_PATHS)


def measure_floor(repository: Path) -> Took:
    """Read every version of the file and parse it."""
    with stopwatch() as took:
        _read_plainly(repository)
    return took


def _read_plainly(repository: Path) -> None:
    ids = [line.split()[3] for line in _git(repository, "log", "--raw", "--no-abbrev", "--format=", "--", _FILE)]
    with tempfile.TemporaryFile() as asked:
        asked.write(b"\n".join(ids))
        asked.seek(0)
        batch = ["git", "-C", str(repository), "cat-file", "--batch", "--buffer"]
        process = subprocess.Popen(batch, stdin=asked, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None  # noqa: S101 - for mypy
        for _ in ids:
            size = int(process.stdout.readline().split()[2])
            json.loads(process.stdout.read(size))
            process.stdout.read(1)


def measure_source(repository: Path) -> Took:
    """Find every body, judged and dated, and do nothing with it."""
    with stopwatch() as took:
        if any(isinstance(item, Refused) for _, item in _opened(repository).items):
            raise RuntimeError("a body was refused")
    return took


def measure_import(repository: Path, url: str, archive: Path) -> Took:
    """Bring all into the archive and into the tables."""
    with opened(url) as engine, stopwatch() as took:
        source = _opened(repository)
        items = ((done, source.size, item) for done, item in source.items)
        result = import_bodies(engine, Archive(str(archive)), "git", items, Wanted(), at=datetime.now(UTC))
    if result.refusals or result.troubles:
        raise RuntimeError(f"{result.refusals} refused: {result.refused.examples} {result.troubles}")
    return took


def _opened(repository: Path) -> Source:
    return open_git(str(repository), [_FILE], time=None, target=None)


def _commit(at: datetime) -> Iterator[bytes]:
    items = [{"detailsPath": f"/api/v1/models/{path}/endpoints", "response": _MARKET.body(path, at)} for path in _PATHS]
    walk = json.dumps({"fetchedAt": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "data": items}).encode()
    when = f"Saver <saver@example.org> {int(at.timestamp())} +0000"
    yield f"commit refs/heads/main\nauthor {when}\ncommitter {when}\ndata 5\nsaved\nM 100644 inline {_FILE}\n".encode()
    yield b"data %d\n%b\n" % (len(walk), walk)


def _git(folder: Path, *arguments: str) -> list[bytes]:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, stdout=subprocess.PIPE).stdout.splitlines()  # noqa: S607


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("git_history", __doc__)
    parser.add_argument("--commits", type=count, default=1000, metavar="N", help="how many walks")
    parser.add_argument("--source-only", action="store_true", help="import nothing")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known, scratch_folder() as folder:
        print(f"{machine(known.values())}, {_git(folder, '--version')[0].decode()}")
        bodies = in_fresh_process(make_repository, folder, given.commits)
        print(f"\n{bodies:,} bodies in {given.commits:,} commits of one file")
        floor = in_fresh_process(measure_floor, folder)
        print(f"{'floor':<18} {floor}, {bodies / floor.seconds:,.0f} bodies/s", flush=True)
        _tell("source only", bodies, in_fresh_process(measure_source, folder), floor)
        for name, server in {} if given.source_only else known.items():
            with scratch_database(server) as url, scratch_folder() as archive:
                _tell(f"import, {name}", bodies, in_fresh_process(measure_import, folder, url, archive), floor)


def _tell(what: str, bodies: int, took: Took, floor: Took) -> None:
    print(f"{what:<18} {took}, {bodies / took.seconds:,.0f} bodies/s, {took.against(floor)}", flush=True)


if __name__ == "__main__":
    main()
