"""What the views about listings must say, the slow and plain way."""

from __future__ import annotations

from typing import Any

from tests.reference.prices import Row, listed_spans, moments, named
from tests.reference.store import History

TERMS = (
    "provider_name",
    "context_length",
    "quantization",
    "max_completion_tokens",
    "max_prompt_tokens",
    "supported_parameters",
    "features",
)


def endpoint_intervals(history: History) -> list[Row]:
    return [
        named(key) | span | {term: plain_term(terms, term) for term in TERMS}
        for key, rows in history.terms.items()
        for terms, span in listed_spans(history, key, rows)
    ]


def plain_term(terms: Any, term: str) -> Any:
    value = getattr(terms, term)
    return list(value) if isinstance(value, tuple) else value


def endpoint_changes(history: History) -> list[Row]:  # noqa: C901 - each case is written out
    found = []
    for key, rows in history.terms.items():
        nothing = {"term": None, "before": None, "after": None}
        for at, value in rows:
            if value is None:
                found.append(named(key) | {"observed_at": at, "kind": "left"} | nothing)
        for moment in moments(rows):
            row = named(key) | {"observed_at": moment.at}
            if moment.last is None:
                found.append(row | {"kind": "came"} | nothing)
                continue
            if moment.returned:
                found.append(row | {"kind": "returned"} | nothing)
            for term in TERMS:
                before, after = plain_term(moment.last, term), plain_term(moment.value, term)
                if before != after:
                    found.append(row | {"kind": "terms changed", "term": term, "before": before, "after": after})
    return found
