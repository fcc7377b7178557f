"""Alerts of rules as events, and as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from endpoint_history.alerts.collect_events import PREFIX, CollectEvent, event, names, text
from endpoint_history.alerts.history import RuleAlert
from endpoint_history.reporting.wording import move_text, percent_text
from endpoint_history.text import printable
from endpoint_history.times import iso_text, utc_text
from models.listing import canonical_decimal

FIRED, RETURNED, MORE = f"{PREFIX}.alert.fired", f"{PREFIX}.alert.returned", f"{PREFIX}.alert.more"
MOST_ALERTS = 20  # of one rule at once: who is called more often learns no more
_STATES = {
    "listing": {True: "listed", False: "not listed"},
    "incident": {True: "in trouble", False: "well"},
    "stale": {True: "most targets fail", False: "well"},
}


def alert_events(found: Iterable[RuleAlert]) -> Iterator[CollectEvent]:
    """An event for each alert: of each rule so many, and then one that tells how many more there are."""
    by_rule: dict[str, list[RuleAlert]] = {}
    for item in found:
        by_rule.setdefault(item.rule.name, []).append(item)
    for rule, items in by_rule.items():
        for item in items[:MOST_ALERTS]:
            name = FIRED if item.alert.kind == "fired" else RETURNED
            endpoint = item.subject.endpoint if item.subject else None
            yield event(name, endpoint, alert_payload(item), rule, iso_text(item.alert.at), rule=rule)
        if len(items) > MOST_ALERTS:
            more, at = len(items) - MOST_ALERTS, iso_text(items[-1].alert.at)
            said = printable(f"{rule}: {more} more alerts at once")
            yield event(MORE, None, {"text": said, "rule": rule, "more": more, "at": at}, rule, at, rule=rule)


def alert_payload(item: RuleAlert) -> dict[str, Any]:
    """An alert as plain values that JSON has: exact prices as text, times in UTC."""
    alert, rule, endpoint = item.alert, item.rule, item.subject.endpoint if item.subject else None
    said, values = _prices(item) if rule.on == "price" else _states(item)
    again = "back to normal: " if alert.kind == "returned" else ""
    return {
        "text": f"{printable(rule.name)}: {text(endpoint, again + said)}",
        "rule": rule.name,
        "on": rule.on,
        "kind": alert.kind,
        "at": iso_text(alert.at),
        **(names(endpoint) if endpoint else {}),
        **values,
    }


def alert_line(item: RuleAlert) -> str:
    """The same in one line, for a terminal."""
    payload = alert_payload(item)
    return f"{utc_text(item.alert.at)}  {payload['kind']:8}  {payload['text']}"


def _prices(item: RuleAlert) -> tuple[str, dict[str, Any]]:
    before, after = item.alert.before, item.alert.after
    keys = sorted(key for key in before.keys() & after.keys() if before[key] != after[key])
    moves = [(key, before[key], after[key], percent_text(before[key], after[key])) for key in keys]
    said = ", ".join(
        move_text(key, old, new) + (f" ({percent})" if percent else "") for key, old, new, percent in moves
    )
    return said, {
        "before": {key: canonical_decimal(before[key]) for key in keys},
        "after": {key: canonical_decimal(after[key]) for key in keys},
        "percent": {key: percent and float(percent.removesuffix(" %")) for key, _, _, percent in moves},
    }


def _states(item: RuleAlert) -> tuple[str, dict[str, Any]]:
    states = _STATES[item.rule.on]
    before, after = states[item.alert.before], states[item.alert.after]
    values: dict[str, Any] = {"before": before, "after": after}
    if item.began_at is None:
        return after, values
    since = f" since {utc_text(item.began_at)}" if item.alert.kind == "fired" else f" after {utc_text(item.began_at)}"
    return after + since, {**values, "began_at": iso_text(item.began_at)}
