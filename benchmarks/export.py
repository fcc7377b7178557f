"""How long an export of the simulated year takes, how many bytes a sample has in it, and how fast DuckDB answers.

The first export, the second, which finds nothing to write, and three questions, asked of the files and of the database:
the command ends with 1 where the answers differ.
"""

from __future__ import annotations

import random
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from benchmarks.conditions import (
    Took,
    command,
    count,
    in_fresh_process,
    machine,
    peak_mib,
    scratch_database,
    scratch_folder,
    servers,
    stopwatch,
)
from benchmarks.simulated_year import Year, fill
from endpoint_history.analysis.export.datasets import DATASETS, lay_out
from endpoint_history.analysis.export.destination import Destination
from endpoint_history.analysis.export.manifest import Manifest
from endpoint_history.analysis.export.parquet import write
from endpoint_history.analysis.export.plan import Exported
from endpoint_history.analysis.export.write import export
from endpoint_history.database.engine import opened

Answer = list[tuple[Any, ...]]

TIMES = 20
_MONTH = {"sqlite": "strftime('%Y-%m', {})", "postgresql": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM')"}
_SAMPLED = {"sqlite": "datetime(s.observed_at, 'unixepoch')", "postgresql": "s.observed_at"}

# Each as the files are asked and as the database is, whose words for the month of a row are {sampled} and {changed}.
_QUESTIONS = {
    "mean uptime of every offer in every month": (
        "SELECT model, route, month, avg(uptime_30m_pct) FROM '{out}/uptime_samples/**/*.parquet' GROUP BY ALL",
        "SELECT m.openrouter_id, e.route, {sampled}, avg(s.uptime_30m_pct) FROM uptime_samples s"
        " JOIN endpoints e ON e.id = s.endpoint_id JOIN models m ON m.id = e.model_id GROUP BY 1, 2, 3",
    ),
    "the worst uptime of one model's offers in every month": (
        "SELECT route, month, min(uptime_30m_pct), count(*) FROM '{out}/uptime_samples/**/*.parquet'"
        " WHERE model = 'maker/model-7' GROUP BY ALL",
        "SELECT e.route, {sampled}, min(s.uptime_30m_pct), count(*) FROM models m"
        " JOIN endpoints e ON e.model_id = m.id JOIN uptime_samples s ON s.endpoint_id = e.id"
        " WHERE m.openrouter_id = 'maker/model-7' GROUP BY 1, 2",
    ),
    "price rows and different prices of every month": (
        "SELECT month, count(*), count(DISTINCT prompt_usd) FROM '{out}/pricing_snapshots/**/*.parquet' GROUP BY ALL",
        "SELECT {changed}, count(*), count(DISTINCT s.prompt_usd) FROM pricing_snapshots s GROUP BY 1",
    ),
}
_OFFERS, _TICKS_A_DAY, _FEWEST_REQUESTS = 1_200, 48, 100


@dataclass(frozen=True, slots=True)
class Measured:
    """One export in a process of its own, and the most memory that this held."""

    took: Took
    peak_mib: float
    exported: Exported


def measure_export(url: str, folder: Path) -> Measured:
    """Export a database to a folder as Parquet."""
    with opened(url) as engine:
        with stopwatch() as took:
            exported = export(engine, Destination(str(folder)), "parquet")
        return Measured(took, peak_mib(), exported)


def measure_answers(url: str, out: Path) -> list[tuple[str, list[Took], Took, bool]]:
    """Of each question: how long DuckDB took, many times, and the database, once, and whether they say the same."""
    found = []
    with opened(url) as engine, engine.connect() as connection, duckdb.connect() as duck:
        for name, (of_files, of_database) in _QUESTIONS.items():
            tooks = []
            for _ in range(TIMES):
                with stopwatch() as took:
                    theirs = duck.execute(of_files.format(out=out)).fetchall()
                tooks.append(took)
            with stopwatch() as ours_took:
                ours = [tuple(row) for row in connection.exec_driver_sql(_spelt(of_database, engine)).all()]
            found.append((name, tooks, ours_took, _rounded(ours) == _rounded(theirs)))
    return found


def _spelt(query: str, engine: sa.Engine) -> str:
    month, sampled = _MONTH[engine.dialect.name], _SAMPLED[engine.dialect.name]
    spelt = query.format(sampled=month.format(sampled), changed=month.format("s.observed_at"))
    return spelt.replace("%", "%%") if engine.dialect.name == "postgresql" else spelt


def _rounded(rows: Answer) -> list[str]:
    """Means of doubles depend in their last digits on the order of adding."""
    return sorted(str([round(value, 9) if isinstance(value, float) else value for value in row]) for row in rows)


def measure_old_digits(days: int, folder: Path) -> float:
    """Bytes of a sample from before 2026-10-08, when uptime was a share of requests and had up to 15 decimals."""
    [samples] = [dataset for dataset in DATASETS if dataset.name == "uptime_samples"]
    groups = ((("maker/model", "maker/model", f"provider-{n}/fp8", 0), _old_rows(n, days)) for n in range(_OFFERS))
    write(folder / "data.parquet", lay_out(samples, "sqlite"), groups)
    return (folder / "data.parquet").stat().st_size / (_OFFERS * days * _TICKS_A_DAY)


def _old_rows(offer: int, days: int) -> list[tuple[Any, ...]]:
    chance = random.Random(offer)  # noqa: S311 - made up
    load, failing = 10 ** chance.uniform(1.2, 5), chance.choice([0, *[10 ** chance.uniform(-4.5, -1.5)] * 4])
    asked = [int(load * chance.uniform(0.7, 1.3)) for _ in range(days * _TICKS_A_DAY)]
    failed = [int(requests * failing * chance.uniform(0, 2) + chance.random()) if failing else 0 for requests in asked]
    rows = []
    for tick in range(len(asked)):
        day = slice(max(0, tick - _TICKS_A_DAY + 1), tick + 1)
        uptimes = _share(asked[tick] // 6, failed[tick] // 6), _share(asked[tick], failed[tick])
        at = 1_780_272_000 + tick * 1800 + chance.randrange(4)
        rows.append((at, 0, *uptimes, _share(sum(asked[day]), sum(failed[day]))))
    return rows


def _share(asked: int, failed: int) -> float | None:
    return 100 * (asked - failed) / asked if asked >= _FEWEST_REQUESTS else None


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("export", __doc__)
    parser.add_argument("--days", type=count, default=365, metavar="N", help="how much of the year")
    given = parser.parse_args(arguments)
    same = True
    with servers(with_postgres=given.postgres) as known:
        print(machine(known.values()))
        for name, server in known.items():
            with scratch_database(server) as url, scratch_folder() as folder:
                in_fresh_process(fill, url, Year(given.days))
                for what in ("first", "second"):
                    measured = in_fresh_process(measure_export, url, folder / "export")
                    print(f"{name:<10} {what:<6} {measured.took}, {measured.peak_mib:.0f} MiB at most", flush=True)
                print(_told(measured.exported, folder / "export"))
                for question, duck, ours, agree in in_fresh_process(measure_answers, url, folder / "export"):
                    times = sorted(1e3 * took.seconds for took in duck)
                    told = f"DuckDB {statistics.median(times):6.1f} ms, {times[-1]:6.1f} at worst"
                    print(f"  {told}; database {1e3 * ours.seconds:8.1f} ms: {question}", flush=True)
                    same = same and agree
        with scratch_folder() as folder:
            old = in_fresh_process(measure_old_digits, min(given.days, 30), folder)
    print(f"{old:.2f} bytes a sample with the digits of before 2026-10-08")
    print("the answers are the same" if same else "the answers DIFFER")
    if not same:
        sys.exit(1)


def _told(exported: Exported, folder: Path) -> str:
    samples = Manifest.decode((folder / "manifest.json").read_bytes()).tables["uptime_samples"].files
    rows, size = sum(entry.rows for entry in samples), sum(entry.bytes for entry in samples)
    written = f"{exported.rows:,} rows in {exported.bytes:,} bytes, {exported.written} files written by the second"
    return f"  {written}; {rows:,} samples of {size / rows:.2f} bytes"


if __name__ == "__main__":
    main()
