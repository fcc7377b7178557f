"""How fast and in how much memory history is built anew from its archive, against the least that it could take.

The floor reads the same bundles and writes the same rows: read, decompress, parse as JSON, and a plain `executemany`
into bare tables.
"""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.bare_tables import write_again
from benchmarks.conditions import (
    Took,
    command,
    count,
    fill_archive,
    in_fresh_process,
    machine,
    peak_mib,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import opened
from endpoint_history.loading.rebuild import rebuild
from models.tables import metadata

_BATCH = 500  # bodies for each transaction of the floor


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild took, of an empty database and again of the full one.

    Memory is the most that the process ever held: `before_mib` when it began, `peak_mib` at its end.
    """

    first: Took
    again: Took
    rows: int
    before_mib: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Floor:
    """What the least took; `orjson` is another parser, where that package is installed."""

    parse: Took
    orjson: Took | None
    write: Took


def measure_rebuild(url: str, archive: Path) -> Rebuilt:
    """Rebuild a database from this archive, twice."""
    with opened(url) as engine:
        before = peak_mib()
        with stopwatch() as first:
            rebuild(engine, Archive(str(archive)))
        with stopwatch() as again:
            rebuild(engine, Archive(str(archive)))
        peak = peak_mib()
        with engine.connect() as connection:
            counts = [sa.select(sa.func.count()).select_from(table) for table in metadata.sorted_tables]
            rows = sum(connection.execute(count).scalar_one() for count in counts)
    return Rebuilt(first, again, rows, before, peak)


def measure_floor(url: str, archive: Path) -> Floor:
    """Do the least with the archive and with the rows of a database that was rebuilt from it."""
    paths = sorted(archive.rglob("*.jsonl.gz"))
    parse, bodies = _parse(paths, json.loads)
    try:
        orjson, _ = _parse(paths, importlib.import_module("orjson").loads)
    except ImportError:
        orjson = None
    return Floor(parse, orjson, write_again(url, -(-bodies // _BATCH)))


def _parse(paths: list[Path], loads: Callable[[str | bytes], Any]) -> tuple[Took, int]:
    """Read every line and the body in it, and count them."""
    bodies = 0
    with stopwatch() as took:
        for path in paths:
            for line in gzip.decompress(path.read_bytes()).splitlines():
                loads(loads(line)["body"])
                bodies += 1
    return took, bodies


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("rebuild", __doc__)
    parser.add_argument("--bodies", type=count, nargs="+", default=[10_000], metavar="N", help="how many")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        for bodies in given.bodies:
            with scratch_folder() as archive:
                runs = in_fresh_process(fill_archive, archive, bodies)
                print(f"\n{bodies:,} bodies of {runs:,} runs", flush=True)
                for name, server in known.items():
                    with scratch_database(server) as url:
                        rebuilt = in_fresh_process(measure_rebuild, url, archive)
                        floor = in_fresh_process(measure_floor, url, archive)
                        print(_told(name, bodies, rebuilt, floor), flush=True)


def _told(name: str, bodies: int, rebuilt: Rebuilt, floor: Floor) -> str:
    least = floor.parse + floor.write
    seconds = rebuilt.first.seconds
    other = f", or {floor.orjson.seconds:.2f} with orjson" if floor.orjson else ""
    return "\n".join(
        [
            f"{name}",
            f"  rebuild {rebuilt.first}, {bodies / seconds:,.0f} bodies/s, {rebuilt.rows / seconds:,.0f} rows/s,"
            f" {rebuilt.first.against(least)}",
            f"  again   {rebuilt.again}, over what is there then, {rebuilt.again.against(least)}",
            f"  floor   {least}: parse {floor.parse.seconds:.2f}{other}, write {floor.write.seconds:.2f}",
            f"  memory  {rebuilt.peak_mib:8.0f} MiB at most, {rebuilt.before_mib:.0f} when it began",
        ]
    )


if __name__ == "__main__":
    main()
