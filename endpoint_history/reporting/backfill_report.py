"""What a backfill says at its end: lines for a terminal and Prefect's artifact, one line for Prefect's state. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from endpoint_history.backfilling.job import Rebuilt
from endpoint_history.backfilling.result import BackfillResult, Dating
from endpoint_history.loading.compare import Difference
from endpoint_history.refusals import ReasonGroup, Reasons, Refused
from endpoint_history.reporting.collect_report import markdown_text, summary_lines
from endpoint_history.text import count_text, printable

_NOTHING_LOADED = "nothing loaded yet; to load the archive: endpoint-history backfill archive"

_MOST_GROUPS = 20
_IN_HEADLINE = 3
# `SavedBody.dated_by` for people; what is not here is said by the source itself.
_DATED_BY = {
    "name": "the file's name",
    "path": "the file's path",
    "field": "a field of the document",
    "modified": "the file's modification time: a guess, as copying, unpacking and checking out change it",
}


def backfill_headline(ended: BackfillResult | Rebuilt) -> str:
    """One line: what happened."""
    if isinstance(ended, BackfillResult):
        return _imported_headline(ended)
    if ended.is_empty:
        return _NOTHING_LOADED
    loaded = ended.loaded
    of = f"{loaded.read} observations of {loaded.bundles} bundles"
    parts = [_damaged(ended)] if loaded.damaged else []
    if ended.differences:
        parts.append(f"the database differs from its archive in {', '.join(map(_difference, ended.differences))}")
    return "; ".join(parts) or f"the database is what its archive gives: {of}"


def backfill_lines(ended: BackfillResult | Rebuilt) -> Iterator[str]:
    """The same with its details."""
    return _imported_lines(ended) if isinstance(ended, BackfillResult) else _rebuilt_lines(ended)


def backfill_markdown(ended: BackfillResult | Rebuilt) -> str:
    """The same as Markdown, for Prefect's artifact: the details are a block of code, in which nothing is markup."""
    details = "\n".join(f"    {printable(line)}" for line in backfill_lines(ended))
    return f"# {markdown_text(backfill_headline(ended))}\n\n{details}"


def backfill_payload(ended: BackfillResult | Rebuilt) -> dict[str, Any]:
    """The counts, for the event that tells of its end."""
    if isinstance(ended, Rebuilt):
        return {"bundles": ended.loaded.bundles, "read": ended.loaded.read}
    counts = {"read": ended.read, "new": ended.new, "known": ended.known, "refused": ended.refusals}
    return {"run": ended.run, **counts, "unread": ended.problems.unread.count, "changed": ended.changed}


def _imported_headline(imported: BackfillResult) -> str:
    said = f"{imported.read} read, {imported.new} new, {imported.known} known, {imported.refusals} refused"
    said += _most_common(imported.refused)
    unread = imported.problems.unread
    if unread.count:
        said += f"; {count_text(unread.count, 'endpoint')} could not be read{_most_common(unread)}"
    return f"dry run: {said}" if imported.is_dry else said


def _most_common(reasons: Reasons) -> str:
    groups = reasons.groups
    shown = [f"{group.count} × {printable(group.reason)}" for group in groups[:_IN_HEADLINE]]
    more = ["…"] if len(groups) > _IN_HEADLINE else []
    return f" ({', '.join(shown + more)})" if shown else ""


def _imported_lines(imported: BackfillResult) -> Iterator[str]:
    of = "" if imported.bundles is None else f" observations of {imported.bundles} bundles"
    if imported.bundles == 0:
        of = " observations, as all bundles are held whole"
    yield f"Read       {imported.read}{of}: {imported.new} new, {imported.known} known, {imported.unwanted} not wanted"
    yield from _refused_lines(imported.refused)
    yield from _partly_lines(imported)
    yield from _dating_lines(imported.dating)
    if imported.is_dry:
        yield f"Changes    {imported.changed} rows of prices and listings, by the first new ones; nothing was written"
    else:
        yield f"Changes    {imported.changed} rows of prices and listings"
    yield f"Conflicts  {imported.conflicts} looks that another of the same second contradicts{_conflict_hint(imported)}"
    if imported.summary:
        # What could not be read, and what is not known, is above: of all bodies, and not of the first ones alone.
        yield from summary_lines(dataclasses.replace(imported.summary, unread=(), drift=()))
    yield from (f"Trouble    {line}" for line in imported.troubles)
    if imported.run and imported.new and not imported.is_dry:
        yield f"Run        {imported.run}"


def _partly_lines(imported: BackfillResult) -> Iterator[str]:
    problems = imported.problems
    if problems.bodies:
        yield (
            f"Unread     {count_text(problems.unread.count, 'endpoint')} could not be read, of "
            f"{count_text(problems.bodies, 'body', 'bodies')}; the others in them were"
        )
        yield from _group_lines(problems.unread)
    if problems.drift.count:
        unknown = count_text(problems.drift.count, "value or field", "values or fields")
        yield f"Unknown    {unknown}, kept but not understood"
        yield from _group_lines(problems.drift)


def _dating_lines(dating: Dating) -> Iterator[str]:
    """Where times and targets were found, and what they span."""
    for dated_by, count in sorted(dating.sources.items(), key=lambda item: -item[1]):
        yield f"Dated by   {printable(_dated_by(dated_by))}, in {count_text(count, 'body', 'bodies')}"
    if dating.first and dating.last:
        yield f"Times      from {dating.first:%Y-%m-%d %H:%M:%S} to {dating.last:%Y-%m-%d %H:%M:%S} UTC"
    if dating.own_targets:
        own = count_text(dating.own_targets, "body", "bodies")
        said = "by the model's own id, a guess: --target says what was asked for"
        yield f"Targets    {len(dating.targets)}; {own} {said}"


def _conflict_hint(imported: BackfillResult) -> str:
    if imported.conflicts and imported.dating.own_targets:
        return ": without --target, all paths of a model count as one"
    if imported.conflicts and not {"name", "path", "modified"}.isdisjoint(imported.dating.sources):
        return ": is the time by --time too coarse to tell them apart?"
    return ""


def _dated_by(text: str) -> str:
    kind, _, name = text.partition(" ")
    return f'the field "{name}"' if kind == "field" and name else _DATED_BY.get(text, text)


def _rebuilt_lines(rebuilt: Rebuilt) -> Iterator[str]:
    loaded = rebuilt.loaded
    if loaded.damaged:
        yield f"Damaged    {_damaged(rebuilt)}"
        yield from _group_lines(Reasons(loaded.damaged.values()))
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


def _refused_lines(reasons: Reasons) -> Iterator[str]:
    yield f"Refused    {reasons.count}"
    yield from _group_lines(reasons)


def _group_lines(reasons: Reasons) -> Iterator[str]:
    """The groups, the largest first: a single one as a line, others with a few examples."""
    groups = reasons.groups
    for group in groups[:_MOST_GROUPS]:
        if group.count == 1:
            yield f"  {printable(str(group.examples[0]))}"
        else:
            yield f"  {group.count} × {printable(group.reason)}; first in:"
            yield from (f"    {printable(_example(example, group))}" for example in group.examples)
    if len(groups) > _MOST_GROUPS:
        rest = sum(group.count for group in groups[_MOST_GROUPS:])
        yield f"  … and {rest} of {count_text(len(groups) - _MOST_GROUPS, 'other kind')}"


def _example(example: Refused, group: ReasonGroup) -> str:
    return example.origin if example.reason == group.reason else str(example)


def _difference(difference: Difference) -> str:
    counts = f"{difference.only_database} rows only in the database, {difference.only_archive} only by the archive"
    return f"{difference.table} ({counts})"
