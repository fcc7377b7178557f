"""Tell people what a collect brought: lines for a terminal, Markdown for Prefect, a payload for its event. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from endpoint_history.collecting.changes import EndpointName, PriceMove
from endpoint_history.collecting.summary import RunSummary
from endpoint_history.reporting.wording import endpoint_text, exact_price, move_text, percent_text, price_text
from endpoint_history.text import count_text, printable, unlinked

if TYPE_CHECKING:
    from endpoint_history.collecting.run import Collected

_MOST = 50
_ENDPOINT = ("model", "provider", "route")


def headline(collected: Collected) -> str:
    """One line: what happened."""
    summary = collected.summary
    targets = count_text(collected.targets, "target")
    parts = [f"{collected.observed} of {targets} observed ({summary.ok} ok, {collected.gone} gone)"]
    if collected.not_found:
        parts.append(f"{len(collected.not_found)} not found")
    if summary.failed:
        parts.append(f"{len(summary.failed)} failed")
    if collected.waiting:
        parts.append(f"{count_text(collected.waiting, 'answer waits', 'answers wait')} in the archive")
    new_prices = count_text(summary.new_prices, "price")
    parts.append(f"{count_text(summary.endpoints, 'endpoint')}, {new_prices} new, {summary.repriced} changed")
    return "; ".join(parts)


def failure(collected: Collected) -> str:
    """The same for a collect that observed nothing, with the reason that most targets share."""
    reasons = Counter(reason for _, reason in collected.summary.failed)
    most = [f"; most often: {printable(reason)[:200]}" for reason, _ in reasons.most_common(1)]
    return "".join([headline(collected), *most])


def lines(collected: Collected) -> Iterator[str]:
    """The same with its details, for a terminal."""
    summary = collected.summary
    missing = f"{len(collected.not_found)} not found, " if collected.not_found else ""
    failed = len(summary.failed)
    yield f"Targets    {summary.ok} ok, {collected.gone} gone, {missing}{failed} failed, of {collected.targets}"
    yield from (f"  not found (never seen): {printable(str(item))}" for item in collected.not_found)
    yield from summary_lines(summary)
    yield from cut(f"  trouble: {line}" for line in collected.troubles)
    if collected.waiting:
        waiting = count_text(collected.waiting, "answer waits", "answers wait")
        yield f"  {waiting} in the archive, bundle {summary.run}: {collected.waiting_reason}"
        yield "  the next collect loads them, or: endpoint-history backfill archive"
    yield f"Database   {collected.database}"
    yield f"Archive    {collected.archive}"


def summary_lines(summary: RunSummary) -> Iterator[str]:
    """What looks brought: endpoints, prices, and what is odd."""
    yield f"Endpoints  {summary.endpoints} seen, {_count_listing_changes(summary)}"
    yield f"Prices     {summary.new_prices} new, {summary.repriced} changed"
    yield from cut(f"  {_move(move)}" for move in summary.price_moves)
    yield from (f"  failed: {target}: {printable(reason)}" for target, reason in summary.failed)
    yield from cut(f"  no endpoints, now or before: {target}" for target in summary.never_seen)
    yield from cut(f"  read in part: {target}: {printable(reason)}" for target, reason in summary.unread)
    yield from cut(f"  counted once: {target} is {printable(model)}" for target, model in summary.same_model)
    yield from cut(f"  unknown upstream: {_drift(item)}" for item in summary.drift)


def markdown(collected: Collected, site_url: str | None = None) -> str:
    """The same as Markdown, for Prefect's artifact, with a link to the site where there is one."""
    summary = collected.summary
    sections = [
        f"# {headline(collected)}",
        f"[All prices and uptimes on the site](<{site_url}>)" if site_url else "",
        _counts_table(collected),
        _table(
            "Prices moved",
            ("", *_ENDPOINT, "price", "before", "after", "change"),
            map(_move_cells, summary.price_moves),
        ),
        _table(
            "Endpoints",
            ("what", *_ENDPOINT),
            ((kind, *_endpoint_cells(endpoint)) for kind, endpoint in summary.listing_changes),
        ),
        _table("Failed targets", ("target", "reason"), summary.failed, most=len(summary.failed)),
        _table("Not found", ("never seen",), ((str(item),) for item in collected.not_found)),
        _table("No endpoints, now or before", ("target",), ((target,) for target in summary.never_seen)),
        _table("Read in part", ("target", "endpoints left out"), summary.unread),
        _table("Counted once", ("target", "is the same model as"), summary.same_model),
        _table("Unknown to this version", ("where", "value"), summary.drift),
        _table("Troubles", ("what",), ((line,) for line in collected.troubles)),
        f"Database `{collected.database}`, archive `{collected.archive}`, run `{summary.run}`.",
    ]
    return "\n\n".join(section for section in sections if section)


def payload(collected: Collected) -> dict[str, Any]:
    """The changes of a run for its event: counts in full, lists up to 200 entries each."""
    summary = collected.summary
    by_kind: dict[str, list[dict[str, str]]] = {}
    for kind, endpoint in summary.listing_changes:
        by_kind.setdefault(kind.replace(" ", "_"), []).append(_endpoint(endpoint))
    moves = [
        {**_endpoint(m.endpoint), "price": m.key, "before": exact_price(m.before), "after": exact_price(m.after)}
        for m in summary.price_moves
    ]
    lists: dict[str, list[Any]] = {"price_moves": moves, "drift": [list(item) for item in summary.drift], **by_kind}
    return {
        "run": summary.run,
        "counts": {name: len(items) for name, items in lists.items()},
        **{name: items[:200] for name, items in lists.items()},
    }


def _count_listing_changes(summary: RunSummary) -> str:
    kinds = [kind for kind, _ in summary.listing_changes]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("new", "gone", "returned", "terms changed") if kind in kinds]
    if summary.new_models:
        counts.append(f"{count_text(summary.new_models, 'model')} seen for the first time")
    return ", ".join(counts) or "none came or left"


def _move(move: PriceMove) -> str:
    return f"{endpoint_text(*_endpoint_cells(move.endpoint))}: {move_text(move.key, move.before, move.after)}"


def _drift(item: tuple[str, str]) -> str:
    path, value = item
    return printable(f"{path} = {value}" if value else path)


def _endpoint(endpoint: EndpointName) -> dict[str, str]:
    return {"model": endpoint.model, "provider": endpoint.provider, "route": endpoint.route}


def _endpoint_cells(endpoint: EndpointName) -> tuple[str, str, str]:
    return endpoint.model, endpoint.provider, endpoint.route


def _move_cells(move: PriceMove) -> tuple[str, ...]:
    prices = (price_text(move.key, move.before), price_text(move.key, move.after))
    # A discount is a share itself: percent of it would mislead.
    change = "" if move.key == "discount" else percent_text(move.before, move.after) or ""
    return (_arrow(move), *_endpoint_cells(move.endpoint), move.key, *prices, change)


def _arrow(move: PriceMove) -> str:
    before, after = move.before or Decimal(0), move.after or Decimal(0)
    return "▲" if after > before else "▼" if after < before else ""


def _counts_table(collected: Collected) -> str:
    """The numbers of a run, one below the other."""
    summary = collected.summary
    counted = {
        "targets observed": f"{collected.observed} of {collected.targets}",
        "targets failed": len(summary.failed),
        "answers that wait in the archive": collected.waiting,
        "endpoints seen": summary.endpoints,
        "prices new": summary.new_prices,
        "prices changed": summary.repriced,
        "endpoints that came, left or changed": len(summary.listing_changes),
    }
    rows = [f"| {name} | {count} |" for name, count in counted.items()]
    return "\n".join(["| what | how many |", "| --- | ---: |", *rows])


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], most: int = _MOST) -> str:
    cells = [[markdown_text(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    shown = [head, ["---"] * len(head), *cells[:most]]
    more = f"\n\n… and {len(cells) - most} more" if len(cells) > most else ""
    return f"## {title} ({len(cells)})\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in shown) + more


def markdown_text(text: str) -> str:
    """Text of strangers for Markdown: on one line, without links, and with its signs escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~$&])", r"\\\1", unlinked(printable(text)))


def cut(items: Iterable[str]) -> Iterator[str]:
    """The first of them, and a sign that there are more."""
    for number, item in enumerate(items):
        if number == _MOST:
            yield "  …"
            return
        yield item
