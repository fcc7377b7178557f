"""`make demo`: 60 simulated days, a look at now, a site and three questions, by the commands that anybody would use."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from endpoint_history.io.private_files import make_folder
from endpoint_history.settings import Settings
from endpoint_history.terminal import show, show_note, show_text
from simulator.market import Market
from simulator.past import write_past
from simulator.server import Simulator, serving

NOTICE = "This market is made up: no model, provider or price in it is real."
_FOLDER = Path("data/demo")
_WIDTH = 76
_USAGE = ["--input-tokens", "10000", "--output-tokens", "1000", "--uptime", "99.5", "--over", "24h"]
_NOT_THAT_CHEAP = 1  # the exit code of `cheapest` where no offer meets the conditions
_WRONG_USAGE = 2

_MOVES = """
SELECT date(observed_at) AS day, model, provider, round(before * 1e6, 4) AS usd_per_mtok_before,
       round(after * 1e6, 4) AS after, CAST(round(100 * (ratio - 1)) AS INTEGER) AS percent
FROM price_changes
WHERE price_key = 'prompt' AND kind IN ('repriced', 'reverted') AND ratio > 0
ORDER BY max(ratio, 1 / ratio) DESC, observed_at LIMIT 5
"""
_RELIABILITY = """
SELECT provider, count(DISTINCT endpoint_id) AS offers, definition AS uptime_of,
       round(sum(uptime_pct * covered_minutes) / sum(covered_minutes), 2) AS mean_pct,
       CAST(sum(below_80_minutes) / 60 AS INTEGER) AS hours_below_80
FROM daily_uptime
WHERE covered_minutes > 0
GROUP BY provider, definition
ORDER BY mean_pct LIMIT 4
"""
_OUTAGES = """
SELECT min(started_at) AS began, max(ended_at) AS ended, count(*) AS incidents, round(max(minutes) / 60, 1) AS hours,
       min(worst_uptime_pct) AS worst_pct
FROM incidents
WHERE provider = '{provider}'
GROUP BY date(started_at)
ORDER BY sum(minutes) DESC LIMIT 4
"""


class StepFailedError(Exception):
    """A command ended with an exit code that it must not have; what it said is shown."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


def run_demo(market: Market, days: int) -> int:
    """Make, collect, build and ask; the exit code. A second demo goes on from now: no price of the past comes back."""
    began = time.monotonic()
    folder = _FOLDER.absolute()
    make_folder(folder)
    if not _is_that_of(folder, market, days):
        show_note(f"simulator: {_FOLDER} holds a demo of another market; to begin anew: rm -r {_FOLDER}")
        return _WRONG_USAGE
    try:
        with _prefect_made(folder):
            _make(folder, market, days)
            _run(folder, ["db", "upgrade"], "A database")
            _run(folder, ["backfill", "archive"], "The past into it, from the archive alone")
        with serving(Simulator(market)) as base_url:
            _run(folder, ["collect"], "A look at the market of now, as a Prefect flow", base_url)
        _run(folder, ["site", "site"], "A site of it all")
        _ask(folder, market, days)
    except StepFailedError as failed:
        return failed.exit_code
    show_text(f"\nAll that took {time.monotonic() - began:.0f} s.\n\n")
    for line in _ending(folder):
        show(line)
    return 0


def _is_that_of(folder: Path, market: Market, days: int) -> bool:
    """Whether the folder is new, or its demo is one of this market and so many days: two would mix in one history."""
    choice = json.dumps({"models": market.models, "seed": market.seed, "days": days})
    kept = folder / "market.json"
    if not kept.exists():
        kept.write_text(choice)
    return kept.read_text() == choice


@contextmanager
def _prefect_made(folder: Path) -> Iterator[None]:
    """Let Prefect make its own database meanwhile: its first flow would wait for that."""
    if (folder / "prefect" / "prefect.db").exists():
        yield
        return
    words = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, cwd=folder, env=_variables(folder), stdout=quiet, stderr=quiet):  # noqa: S603
        yield


def _make(folder: Path, market: Market, days: int) -> None:
    archive = folder / "archive"
    paths = [entry["id"] for entry in market.listing()]
    older = list(market.older_names())[:1]
    (folder / "targets.toml").write_text(f"targets = {json.dumps(['*', *older])}\n")
    if archive.exists():
        return
    with _told(f"{days} days of a simulated market, as an archive of raw bodies"):
        count = write_past(archive, market, [*paths, *older], datetime.now(UTC), timedelta(days=days))
    show(f"  {count:,} walks over {len(paths)} models, and an older name of one of them")


def _ask(folder: Path, market: Market, days: int) -> None:
    with closing(sqlite3.connect(f"{(folder / 'history.db').as_uri()}?mode=ro", uri=True)) as history:
        _answer(history, _MOVES, f"Which prices moved most in these {days} days?")
        worst = _answer(history, _RELIABILITY, "Which provider was the least reliable?")
        _answer(history, _OUTAGES.format(provider=worst), f"And when was {worst} down?")
    _run(
        folder,
        ["cheapest", "--model", _most_offered(market), *_USAGE],
        "Who takes least for 10,000 tokens in and 1,000 out, of those that were up?",
        also=_NOT_THAT_CHEAP,
    )


def _answer(history: sqlite3.Connection, sql: str, question: str) -> str:
    """Show a query and what it gives, and give the first cell of that; empty where there is nothing."""
    with _told(question):
        cursor = history.execute(sql)
        rows = cursor.fetchall()
    show_text("".join(f"  {line}\n" for line in sql.strip().splitlines()) + "\n")
    for line in _table([[column[0] for column in cursor.description], *rows]):
        show(f"  {line}")
    return str(rows[0][0]) if rows else ""


def _table(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    shown = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    signs = ["<" if isinstance(cell, str) else ">" for cell in rows[-1]]  # numbers end below each other
    for row in shown:
        columns = zip(row, signs, widths, strict=True)
        yield "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in columns).rstrip()


def _most_offered(market: Market) -> str:
    """The model with most offers of whose uptime something is known."""
    now = datetime.now(UTC)
    models = sorted(str(entry["id"]) for entry in market.listing())
    listed = {model: (market.body(model, now) or {})["data"]["endpoints"] for model in models}
    return max(models, key=lambda model: sum(item["uptime_last_1d"] is not None for item in listed[model]))


def _run(folder: Path, words: list[str], heading: str, base_url: str = "", also: int = 0) -> None:
    """Run the product's command, and show what it says."""
    with _told(heading):
        done = subprocess.run(  # noqa: S603 - only our own interpreter is started
            [sys.executable, "-m", "endpoint_history", *words],
            cwd=folder,
            env=_variables(folder, base_url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    for line in (f"$ .venv/bin/endpoint-history {' '.join(words)}", *done.stdout.splitlines()):
        show(f"  {line}".rstrip())
    if done.returncode not in {0, also}:
        raise StepFailedError(done.returncode)


@contextmanager
def _told(heading: str) -> Iterator[None]:
    """One line: what is done, and how long it took."""
    show()
    show(f"{heading:<{_WIDTH}}", "", flush=True)
    began = time.monotonic()
    try:
        yield
        show(f"{time.monotonic() - began:5.1f} s", "")
    finally:
        show(flush=True)


def _variables(folder: Path, base_url: str = "") -> dict[str, str]:
    """The demo's own settings, and its own Prefect: it must not show in anybody's real one.

    What `.env` and the like say is not read either: the commands run in the demo's folder.
    """
    ours = {name.upper() for name in Settings.model_fields}
    others = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    return {name: value for name, value in others.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OPENROUTER_BASE_URL": base_url or "http://127.0.0.1:9/nowhere",
        "DATABASE_URL": f"sqlite:///{quote(str(folder))}/history.db",
        "ARCHIVE_URL": str(folder / "archive"),
        "REQUESTS_PER_SECOND": "0",
        "SITE_NOTICE": NOTICE,
        "PYTHONIOENCODING": "utf-8",  # what they say is shown in the demo's own
    }


def _ending(folder: Path) -> Iterator[str]:
    yield f"Look   {(folder / 'site' / 'index.html').as_uri()}"
    yield "       (all in it is made up: not for publishing)"
    yield f"Ask    sqlite3 -header -column {_FOLDER}/history.db, with the queries of README.md"
    yield f"More   DATABASE_URL=sqlite:///{_FOLDER}/history.db ARCHIVE_URL={_FOLDER}/archive \\"
    yield "           .venv/bin/endpoint-history status  (and so: cheapest, export, alerts test)"
    yield f"Again  make demo goes on from now; rm -r {_FOLDER} begins anew"
