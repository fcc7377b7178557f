"""Which row of a change table comes before or after another, and until when an observation confirms it.

Change tables have an index on (endpoint_id, observed_at). Each expression here finds one row by it, so a question about
one model or one day reads no more than that. The alias p is the row at hand.
"""

from __future__ import annotations

from models.types import UtcTime
from models.views.definition import ENDPOINTS, Columns, select
from models.views.dialects import Dialect

PRICES = f"{ENDPOINTS} JOIN pricing_snapshots p ON p.endpoint_id = e.id"
LISTINGS = f"{ENDPOINTS} JOIN listing_changes p ON p.endpoint_id = e.id"


def next_time(table: str, row: str = "p") -> str:
    """Return the time of the endpoint's next row."""
    return f"""(SELECT n.observed_at FROM {table} n
        WHERE n.endpoint_id = {row}.endpoint_id AND n.observed_at > {row}.observed_at
        ORDER BY n.observed_at LIMIT 1)"""


def latest(what: str, endpoint: str, when: str, table: str = "pricing_snapshots") -> str:
    """Return `what` of the endpoint's latest row n whose time satisfies `when`, such as `< p.observed_at`."""
    return f"""(SELECT {what} FROM {table} n
        WHERE n.endpoint_id = {endpoint} AND n.observed_at {when}
        ORDER BY n.observed_at DESC LIMIT 1)"""


def join_previous(table: str) -> str:
    """Join the endpoint's previous row as r."""
    return f"""LEFT JOIN {table} r ON r.endpoint_id = p.endpoint_id
    AND r.observed_at = {latest("n.observed_at", "p.endpoint_id", "< p.observed_at", table)}"""


def join_before(table: str) -> str:
    """Join the endpoint's previous row as r, and its latest earlier row that is listed as b."""
    older = latest("n.observed_at", "r.endpoint_id", "< r.observed_at", table)
    return f"""{join_previous(table)}
LEFT JOIN {table} b ON b.endpoint_id = r.endpoint_id
    AND b.observed_at = CASE WHEN r.listed THEN r.observed_at ELSE {older} END"""


def confirmed_at(dialect: Dialect, until: str = "") -> str:
    """Return the model's latest evidence, from p on and before `until`, that lists the endpoint.

    Complete evidence within the period lists it. Incomplete evidence lists it if there is a sample of the endpoint.
    """
    ended = f" AND o.observed_at < {until}" if until else ""
    return f"""COALESCE((SELECT o.observed_at FROM observations o
        WHERE o.model_id = e.model_id AND o.is_evidence AND o.observed_at >= p.observed_at{ended}
            AND (o.complete OR EXISTS (SELECT 1 FROM uptime_samples s WHERE s.endpoint_id = e.id
                                       AND s.observed_at = {dialect.sample_time.format("o.observed_at")}))
        ORDER BY o.observed_at DESC LIMIT 1), p.observed_at)"""


def period(dialect: Dialect, table: str) -> Columns:
    """Return the columns of the half-open interval in which the row p holds."""
    end = next_time(table)
    through = confirmed_at(dialect, f"COALESCE({end}, {dialect.end_of_time})")
    return [
        select("valid_from", "p.observed_at", UtcTime, "First observation that shows it (UTC)."),
        select("valid_to", end, UtcTime, "First observation that no longer shows it, exclusive (UTC); null: current."),
        select(
            "observed_through",
            through,
            UtcTime,
            "Last observation that confirms it (UTC); between this and valid_to, the state is unknown.",
        ),
    ]
