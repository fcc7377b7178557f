"""Whether recorded bodies make one history: in whatever order, however often, into whichever database they are loaded.

The files are named `author__slug__TIME.json`. Compared is every row of every table, natural keys in the place of
surrogate ids. Left out is what tells of the load and not of what was loaded: the table `runs`, the run of each
observation, and the line of the archive that holds it.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.conditions import (
    command,
    machine,
    scratch_database,
    scratch_folder,
    servers,
)
from endpoint_history.archive.bundles import Archive
from endpoint_history.backfilling.importer import import_bodies
from endpoint_history.backfilling.result import Wanted
from endpoint_history.database.engine import opened
from endpoint_history.sources.files.source import open_files
from tests.reference.store import visible

_TIME = "name:%Y%m%dT%H%M%SZ"
_TARGET = "name:{author}__{slug}__"
_OF_THE_LOAD = {"run_id", "archive_line"}


def loads(names: list[str]) -> Iterator[tuple[str, list[list[str]]]]:
    """How the files are loaded: what each way is called, and the files of its one or two backfills in order."""
    yield "in name order", [sorted(names)]
    yield "in time order", [sorted(names, key=lambda name: name.rpartition("__")[2])]
    for seed in (1, 2, 3):
        yield f"shuffled, {seed}", [random.Random(seed).sample(names, len(names))]  # noqa: S311 - the same each time
    yield "twice over", [sorted(names), sorted(names, reverse=True)]


def load(url: str, archive: Path, backfills: list[list[str]]) -> tuple[int, int, str]:
    """Load these files: how many observations were new and how many known, and the digest of what is there then."""
    new = known = 0
    with opened(url) as engine:
        for names in backfills:
            source = open_files(names, time=_TIME, target=_TARGET)
            items = ((done, source.size, item) for done, item in source.items)
            result = import_bodies(engine, Archive(str(archive)), "files", items, Wanted(), at=datetime.now(UTC))
            if result.refusals or result.troubles:
                raise RuntimeError(f"{result.refusals} refused: {result.refused.examples} {result.troubles}")
            new, known = new + result.new, known + result.known
        with engine.connect() as connection:
            return new, known, _digest(visible(connection))


def _digest(rows: dict[str, list[str]]) -> str:
    content = {name: sorted(map(_of_what_was_loaded, texts)) for name, texts in rows.items() if name != "runs"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _of_what_was_loaded(text: str) -> str:
    return json.dumps({name: value for name, value in json.loads(text).items() if name not in _OF_THE_LOAD})


def main(arguments: list[str] | None = None) -> None:
    """Load in every way, print the digests, and end with 1 where they differ."""
    parser = command("real_bodies", __doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of recorded bodies")
    given = parser.parse_args(arguments)
    names = [path.name for path in given.folder.glob("*__*__*.json")]
    if not names:
        parser.error(f"there is no file author__slug__TIME.json in {given.folder}")
    digests = set()
    # There a file is its name, so that its origin, and with it the digest, is the same wherever the folder lies.
    with chdir(given.folder), servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        print(f"\n{len(names):,} files")
        for database, server in known.items():
            for way, backfills in loads(names):
                with scratch_database(server) as url, scratch_folder() as archive:
                    new, again, digest = load(url, archive, backfills)
                print(f"{database:<10} {way:<13} {new:6,} new {again:6,} known  {digest}", flush=True)
                digests.add(digest)
    print("all are equal" if len(digests) == 1 else f"{len(digests)} different histories")
    if len(digests) != 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
