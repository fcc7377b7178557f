"""Tell people what became of a backfill: lines for a terminal and Prefect's artifact, one for its state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flows.backfilling import Rebuilt
from flows.compare import Difference
from flows.importing import Imported
from flows.report import cut, outcome_lines
from flows.sources.found import Refused
from flows.text import printable

_NOTHING_LOADED = "nothing loaded yet; to load the archive: endpoint-history backfill archive"


def backfill_headline(ended: Imported | Rebuilt) -> str:
    """One line: what happened."""
    if isinstance(ended, Imported):
        told = f"{ended.read} read, {ended.new} new, {ended.known} known, {ended.refusals} refused"
        return f"dry run: {told}" if ended.is_dry else told
    if ended.is_empty:
        return _NOTHING_LOADED
    loaded = ended.loaded
    of = f"{loaded.read} observations of {loaded.bundles} bundles"
    parts = [_damaged(ended)] if loaded.damaged else []
    if ended.differences:
        parts.append(f"the database differs from its archive in {', '.join(map(_difference, ended.differences))}")
    return "; ".join(parts) or f"the database is what its archive gives: {of}"


def backfill_lines(ended: Imported | Rebuilt) -> Iterator[str]:
    """The same with its details."""
    return _imported_lines(ended) if isinstance(ended, Imported) else _rebuilt_lines(ended)


def backfill_payload(ended: Imported | Rebuilt) -> dict[str, Any]:
    """The counts, for the event that tells of its end."""
    if isinstance(ended, Rebuilt):
        return {"bundles": ended.loaded.bundles, "read": ended.loaded.read}
    counts = {"read": ended.read, "new": ended.new, "known": ended.known, "refused": ended.refusals}
    return {"run": ended.run, **counts, "changed": ended.changed}


def _imported_lines(imported: Imported) -> Iterator[str]:
    of = "" if imported.bundles is None else f" observations of {imported.bundles} bundles"
    if imported.bundles == 0:
        of = " observations, as all bundles are held whole"
    yield f"Read       {imported.read}{of}: {imported.new} new, {imported.known} known, {imported.unwanted} not wanted"
    yield from _refused_lines(imported.refusals, imported.refused)
    if imported.is_dry:
        yield f"Changes    {imported.changed} rows of prices and listings, by the first new ones; nothing was written"
        yield from outcome_lines(imported.outcome) if imported.outcome else ()
        return
    yield f"Changes    {imported.changed} rows of prices and listings"
    yield f"Conflicts  {imported.conflicts} looks that another of the same second contradicts"
    yield from (f"Trouble    {line}" for line in imported.troubles)
    if imported.run and imported.new:
        yield f"Run        {imported.run}"


def _rebuilt_lines(rebuilt: Rebuilt) -> Iterator[str]:
    loaded = rebuilt.loaded
    if loaded.damaged:
        yield f"Damaged    {_damaged(rebuilt)}"
        yield from cut(f"  {printable(str(item))}" for item in loaded.damaged.values())
    if not rebuilt.is_empty:
        yield f"Read       {loaded.read} observations of {loaded.bundles} bundles"
    for difference in rebuilt.differences:
        yield f"Differs    {_difference(difference)}"
        yield from (f"  {printable(example)}" for example in difference.examples)
    yield f"Database   {rebuilt.database}, {_said(rebuilt)}"


def _damaged(rebuilt: Rebuilt) -> str:
    count = len(rebuilt.loaded.damaged)
    return f"{count} {'bundle' if count == 1 else 'bundles'} of the archive can't be read whole"


def _said(rebuilt: Rebuilt) -> str:
    if rebuilt.is_empty:
        return _NOTHING_LOADED
    if rebuilt.mode != "verify":
        return "built anew"
    if rebuilt.loaded.damaged:
        return (
            "not compared: it may hold the only good copy of what can't be read;"
            " put back whole copies of those bundles, and verify again"
        )
    if not rebuilt.differences:
        since = rebuilt.uptime_since
        thinned = f" (uptime from {since:%Y-%m-%d} on, as older samples are thinned)" if since else ""
        return f"compared row for row: nothing differs{thinned}"
    return (
        f"compared: {len(rebuilt.differences)} tables differ; to load what is not loaded yet: backfill archive;"
        " to replace the database by what the archive gives: backfill archive --rebuild"
    )


def _refused_lines(refusals: int, refused: Iterable[Refused]) -> Iterator[str]:
    yield f"Refused    {refusals}"
    yield from cut(f"  {printable(str(item))}" for item in refused)


def _difference(difference: Difference) -> str:
    counts = f"{difference.only_database} rows only in the database, {difference.only_archive} only by the archive"
    return f"{difference.table} ({counts})"
