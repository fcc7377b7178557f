"""How long the site of the simulated year takes, how large it is, and how soon a browser shows its pages.

The first build, and the second, which finds nothing to write; then the first view of pages from the folder, in a
Chromium that is installed, each in a context of its own.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.analysts import mark_all
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
from endpoint_history.database.engine import opened
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.site.build import Built, build
from endpoint_history.site.output.slugs import file_name
from tests.support.browser import BrowserMissing, chromium

MODELS = ("maker/model-7", "maker/model-100", "maker/model-302")
VIEWS = 5
_PAGES = {
    "index.html": "first page",
    "rankings.html": "rankings",
    "coverage.html": "coverage",
    f"providers/{file_name('Provider 7')}.html": "a provider",
}
_PAINTED = (
    "() => new Promise((done) => {"
    " const told = performance.getEntriesByName('first-contentful-paint');"
    " if (told.length) return done(told[0].startTime);"
    " new PerformanceObserver((list) => done(list.getEntriesByName('first-contentful-paint')[0]?.startTime))"
    ".observe({ type: 'paint', buffered: true }); })"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One build in a process of its own, and the most memory that this held."""

    took: Took
    peak_mib: float
    built: Built


def prepare(url: str, year: Year) -> None:
    """Fill the tables and roll them up."""
    fill(url, year)
    with opened(url) as engine:
        mark_all(engine, year)
        roll_up(engine)


def measure_build(url: str, folder: Path) -> Measured:
    """Build the site of a database."""
    with opened(url) as engine:
        with stopwatch() as took:
            built = build(engine, folder, datetime.now(UTC))
        return Measured(took, peak_mib(), built)


def measure_views(folder: Path) -> dict[str, list[float]]:
    """Of some pages, how many milliseconds after it was asked for each was first shown, and loaded with its charts."""
    found: dict[str, list[float]] = {}
    pages = {**_PAGES, **{f"models/{file_name(model)}.html": "a model" for model in MODELS}}
    with chromium() as browser:
        for name, what in pages.items():
            for _ in range(VIEWS):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                page.goto((folder / name).resolve().as_uri(), wait_until="load")
                found.setdefault(f"{what}, shown", []).append(float(page.evaluate(_PAINTED)))
                loaded = "performance.getEntriesByType('navigation')[0].loadEventEnd"
                found.setdefault(f"{what}, all there", []).append(float(page.evaluate(loaded)))
                context.close()
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = command("site", __doc__)
    parser.add_argument("--days", type=count, default=365, metavar="N", help="how much of the year")
    parser.add_argument("--url", help="a database that was made before, to build its site again")
    given = parser.parse_args(arguments)
    with servers(with_postgres=given.postgres and not given.url) as known:
        print(machine(known.values()))
        for name, server in known.items():
            with scratch_database(server) as url, scratch_folder() as folder:
                if not given.url:
                    in_fresh_process(prepare, url, Year(given.days))
                _tell(name, given.url or url, folder / "site")


def _tell(name: str, url: str, folder: Path) -> None:
    for what in ("first", "second"):
        measured = in_fresh_process(measure_build, url, folder)
        built = measured.built
        print(f"{name:<10} {what:<6} {measured.took}, {measured.peak_mib:.0f} MiB, {built.written} files written")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    first = (folder / "index.html").stat().st_size
    largest = max(path.stat().st_size for path in files if path.parent.name == "models")
    print(f"  {len(files)} files, {size / 1e6:.1f} MB", end="; ")
    print(f"first page {first / 1e3:.0f} kB, a model {largest / 1e3:.0f} kB at most")
    try:
        for what, times in measure_views(folder).items():
            print(f"  {what:<22} {statistics.median(times):5.0f} ms, {max(times):5.0f} at worst")
    except BrowserMissing as missing:
        print(f"  {missing}")


if __name__ == "__main__":
    main()
