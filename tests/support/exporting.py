"""A history with everything in it that an export must carry, and how the tests export it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from endpoint_history.analysis.export.destination import Destination
from endpoint_history.analysis.export.months import Months
from endpoint_history.analysis.export.plan import Exported, Scope
from endpoint_history.analysis.export.write import Format, export
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.rollups.refresh import roll_up
from endpoint_history.store.writer import store
from models.observation import Observation
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint

DAY = 24 * 60
MAY, JUNE, JULY = 0, 20 * DAY, 50 * DAY  # in minutes after MORNING
OTHER = "zeta/swift-2"
LONG_PRICE = "0.00000010000000000000001"  # 23 decimals, as upstream had it
LONGEST_PRICE = f"0.{'0' * 58}12"  # 60, the most that is read
NIGHT = {"utc_start": 0, "utc_end": 600, "prompt": "0.0000005"}
MISREAD_PRICE = "0.00000491"  # which SQLite casts to another double than PostgreSQL does
ODD = {"discount": -0.25, "completion": MISREAD_PRICE, "request": LONGEST_PRICE, "video": "0.1"}
TOOLS = {"search": True, "b": 1, "aa": 1.5}  # PostgreSQL would give b, aa, search
LATENCY = {"p50": 100, "p75": 200.5, "p90": 300, "p99": 400}


def eventful_months() -> list[Observation]:
    """Looks of three months.

    In them: repricing, twins, an absence, a failure, another path, two looks in one second, odd prices, drift,
    percentiles.
    """
    north, south = an_endpoint(), an_endpoint("South_é", "0.0000020", status=-2, uptime_last_30m=None)
    twins = [an_endpoint("west", context_length=length) for length in (8192, 4096)]
    dear = an_endpoint(prompt=LONG_PRICE, pricing=ODD)
    timed = an_endpoint("South_é", pricing={"overrides": [NIGHT]}, native_tools=TOOLS, uptime_last_30m=40.5)
    fast = an_endpoint(model_id=OTHER, latency_last_30m=LATENCY, throughput_last_30m=None, provider_name="=SUM(A1)")
    return [
        a_look(north, south, minute=MAY),
        a_look(north, south, *twins, minute=MAY + 30),
        a_look(north, south, minute=MAY + 35, target=f"{MODEL}-20260101"),
        a_failed_look(minute=MAY + 60, error='say "no",\r\nthen =1+1'),
        a_look(fast, minute=MAY + 1, target=OTHER, model=OTHER),
        a_look(dear, south, *twins, minute=JUNE),
        a_look(dear, timed, minute=JUNE + 30),
        a_look(dear, timed, an_endpoint("east"), minute=JUNE + 30),
        a_look(dear, timed, minute=JUNE + 45),
        a_look(fast, minute=JUNE + 31, target=OTHER, model=OTHER),
        a_gone_look(minute=JUNE + 60, target=OTHER),
        a_look(dear, timed, minute=JULY),
        a_look(fast, minute=JULY + 1, target=OTHER, model=OTHER),
    ]


def load(database_url: str, looks: Iterable[Observation], seed: int | None = None) -> str:
    """Store these looks, in their order or in one that the seed makes, in batches of any size; gives the URL."""
    upgrade(database_url)
    left, chance = list(looks), random.Random(seed)
    if seed is not None:
        chance.shuffle(left)
    with opened(database_url) as engine:
        while left:
            size = chance.randint(1, 4)
            batch, left = left[:size], left[size:]
            with writing(engine) as connection:
                store(connection, [(look, read_observation(look)) for look in batch])
        roll_up(engine)
    return database_url


def export_to(
    folder: Path | str,
    database_url: str,
    file_format: Format = "parquet",
    *,
    since: str | None = None,
    until: str | None = None,
    for_all: bool = False,
    **scope: Any,
) -> Exported:
    """Export a database."""
    with opened(database_url) as engine:
        return export(
            engine, Destination(str(folder), for_all=for_all), file_format, Scope(months=Months(since, until), **scope)
        )


def content(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, also hidden ones."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def counts(exported: Exported) -> tuple[int, int, int]:
    """How many files were written, unchanged, removed."""
    return exported.written, exported.unchanged, exported.removed


def months_of(paths: Sequence[str], table: str) -> list[str]:
    """The months of which a table has files."""
    return sorted(path.split("month=")[1][:7] for path in paths if path.startswith(f"{table}/month="))
