"""The views of presence and terms: when an endpoint was listed, and on which terms."""

from __future__ import annotations

import sqlalchemy as sa

from models.tables.history import terms
from models.types import UtcTime
from models.views.definition import OBSERVED_AT, Columns, View, endpoint_names, rows_of, select, select_all
from models.views.dialects import Dialect
from models.views.periods import LISTINGS, join_before, period

_TERMS = tuple(term.name for term in terms())


def endpoint_intervals(dialect: Dialect) -> View:
    """Return the periods of unchanged terms."""
    provider, *others = select_all("p", terms())
    columns = [
        *endpoint_names(),
        *period(dialect, "listing_changes"),
        select("provider_name", provider.sql, sa.Text, "Display name of the provider in that period."),
        *others,
    ]
    comment = "One row per period in which an endpoint was listed on the same terms."
    return View("endpoint_intervals", comment, columns, (f"{LISTINGS}\nWHERE p.listed",))


def endpoint_changes(dialect: Dialect) -> View:
    """Return the changes of presence, and of each term."""
    kind = """CASE WHEN k.n > 0 THEN 'terms changed' WHEN NOT p.listed THEN 'left'
        WHEN r.endpoint_id IS NULL THEN 'came' ELSE 'returned' END"""
    columns: Columns = [
        *endpoint_names(),
        select("observed_at", "p.observed_at", UtcTime, OBSERVED_AT),
        select("kind", kind, sa.Text, "came, left, returned or terms changed."),
        select("term", "k.name", sa.Text, "Which term changed; null if the endpoint came, left or returned."),
        select(
            "before",
            _term("b"),
            sa.Text,
            "The term when the endpoint was last listed, lists and flags as JSON; null if none.",
        ),
        select("after", _term("p"), sa.Text, "The same from now on."),
    ]
    keys = rows_of(["0 AS n, NULL AS name", *(f"{n}, '{term}'" for n, term in enumerate(_TERMS, 1))])
    source = f"""{LISTINGS}
{join_before("listing_changes")}
CROSS JOIN ({keys}) k
WHERE CASE WHEN k.n = 0 THEN NOT p.listed OR r.endpoint_id IS NULL OR NOT r.listed
    ELSE p.listed AND b.endpoint_id IS NOT NULL AND {_term("p")} {dialect.differs} {_term("b")} END"""
    comment = "One row per change of an endpoint: it came, left or returned, or one of its terms changed."
    return View("endpoint_changes", comment, columns, (source,))


def _term(row: str) -> str:
    """Return the term at hand as text."""
    return f"CASE k.n {' '.join(f'WHEN {n} THEN CAST({row}.{term} AS TEXT)' for n, term in enumerate(_TERMS, 1))} END"
