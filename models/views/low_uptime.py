"""The view of incidents, each with what happened to other endpoints at the same time.

i is the incident of endpoint e, o another endpoint of the same model, j an incident of any endpoint.
"""

from __future__ import annotations

import sqlalchemy as sa

from models.listing import UPTIME_REDEFINED_AT
from models.types import UtcTime
from models.views.definition import ENDPOINTS, Columns, View, double, endpoint_names, minutes, select
from models.views.dialects import Dialect
from models.views.uptime import DEFINITION, definition


def incidents(dialect: Dialect) -> View:
    """Return the periods of low uptime."""
    seconds = dialect.seconds_between.format("i.started_at", "COALESCE(i.ended_at, e.last_seen_at)")
    older = f"i.started_at < {dialect.time.format(UPTIME_REDEFINED_AT)}"
    columns: Columns = [
        *endpoint_names(),
        select("started_at", "i.started_at", UtcTime, "First of the low samples that opened it (UTC)."),
        select("ended_at", "i.ended_at", UtcTime, "End, exclusive (UTC); null while it continues."),
        select(
            "ended_by",
            "i.ended_by",
            sa.Text,
            "recovered, left (no longer listed), silent (a day without a value) or redefined (the definition of uptime"
            " changed); null while it continues.",
        ),
        select("minutes", minutes(seconds), sa.Double, "Duration; if it continues, until the endpoint was last seen."),
        select("samples", "i.samples", sa.Integer, "Number of samples with a value in it."),
        select("worst_uptime_pct", "i.worst_uptime_pct", sa.Double, "Lowest of them in percent."),
        select(
            "severity",
            "CASE WHEN i.worst_uptime_pct < 80 THEN 'down' ELSE 'degraded' END",
            sa.Text,
            "down (lowest sample below 80 percent) or degraded.",
        ),
        select("definition", definition(older), sa.Text, DEFINITION),
        *_others(dialect),
        *_catalogue(dialect),
    ]
    comment = (
        "One row per period of low uptime: from the first of 2 samples in a row below 95 percent"
        " to the first of 3 in a row that are not."
    )
    return View("incidents", comment, columns, (f"{ENDPOINTS} JOIN incident_spans i ON i.endpoint_id = e.id",))


def _others(dialect: Dialect) -> Columns:
    """Return how many of the model's other endpoints were affected at the same time."""
    others = "FROM endpoints o WHERE o.model_id = m.id AND o.id <> e.id"
    day = dialect.day.format("i.started_at")
    listed = f"EXISTS (SELECT 1 FROM uptime_daily u WHERE u.endpoint_id = o.id AND u.day = {day})"
    # An endpoint's incidents do not overlap, so the last one that started before this one's end decides.
    affected = (
        f"(SELECT COALESCE(j.ended_at, {dialect.end_of_time}) FROM incident_spans j WHERE j.endpoint_id = o.id"
        f" AND j.started_at < COALESCE(i.ended_at, {dialect.end_of_time}) ORDER BY j.started_at DESC LIMIT 1)"
        " > i.started_at"
    )
    providers = f"{others} AND o.provider_name {dialect.differs} e.provider_name"
    return [
        select(
            "other_endpoints",
            f"(SELECT count(*) {others} AND {listed})",
            sa.BigInteger,
            "Number of the model's other endpoints that were listed on the day it started.",
        ),
        select(
            "other_endpoints_affected",
            f"(SELECT count(*) {others} AND {affected})",
            sa.BigInteger,
            "Number of the model's other endpoints with an incident at the same time.",
        ),
        select(
            "other_providers_affected",
            f"(SELECT count(DISTINCT o.provider_name) {providers} AND {affected})",
            sa.BigInteger,
            "Number of the model's other providers with an incident at the same time.",
        ),
    ]


def _catalogue(dialect: Dialect) -> Columns:
    """Return whether all of OpenRouter was affected."""
    start, end = (add.format("i.started_at") for add in (dialect.subtract_hour, dialect.add_hour))
    within = f"j.started_at >= {start} AND j.started_at <= {end}"
    together = f"(SELECT count(DISTINCT j.endpoint_id) FROM incident_spans j WHERE {within})"
    rated = (
        f"(SELECT c.endpoints_with_uptime FROM catalogue_daily c WHERE c.day = {dialect.day.format('i.started_at')})"
    )
    share = f"{double(together)} / {rated}"
    return [
        select(
            "concurrent_starts",
            together,
            sa.BigInteger,
            "Number of endpoints of any model with an incident that started within an hour of it, itself included.",
        ),
        select(
            "concurrent_starts_share",
            share,
            sa.Double,
            "Their share, 0 to 1, of all endpoints with an uptime value on that day.",
        ),
        select(
            "is_catalogue_wide",
            f"{share} >= 0.2",
            sa.Boolean,
            "True if that share is a fifth or more: the cause is then probably OpenRouter itself.",
        ),
    ]
