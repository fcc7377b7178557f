"""The views of how well models were observed: evidence, gaps, and coverage per day."""

from __future__ import annotations

import sqlalchemy as sa

from models.types import Id, UtcTime
from models.views.definition import View, minutes, model_id, model_name, select
from models.views.dialects import Dialect


def evidence(_: Dialect) -> View:
    """Return the observations that history is derived from."""
    source = """observations o
JOIN models m ON m.id = o.model_id
JOIN targets t ON t.id = o.target_id
JOIN runs r ON r.id = o.run_id
WHERE o.is_evidence"""
    columns = [
        model_name(),
        select("target", "t.author || '/' || t.slug", sa.Text, "The requested target."),
        select("observed_at", "o.observed_at", UtcTime, "When the response arrived (UTC)."),
        select("outcome", "o.outcome", sa.Text, "ok, or gone (the API itself returned 404)."),
        select(
            "complete",
            "o.complete",
            sa.Boolean,
            "True if every endpoint in the body could be read; only then does it prove absence.",
        ),
        select(
            "source", "r.source", sa.Text, "live if we made the request ourselves; files, git or wayback if imported."
        ),
        select(
            "run",
            "r.name",
            sa.Text,
            "The run that made or imported it (runs.name), and the archive bundle with its body.",
        ),
        select(
            "origin", "o.origin", sa.Text, "Source of an imported body: file, commit and path, or capture; else null."
        ),
        select("observation_id", "o.id", Id, "The observation (observations.id)."),
        model_id(),
    ]
    return View("evidence", "One row per observation that history is derived from.", columns, (source,))


def observation_gaps(dialect: Dialect) -> View:
    """Return the gaps: those that ended, and those that continue."""
    end = f"COALESCE(g.ended_at, {dialect.now})"
    last_error = (
        "(SELECT o.error FROM target_models p JOIN observations o ON o.target_id = p.target_id WHERE p.model_id = m.id"
        f" AND o.outcome = 'failed' AND o.observed_at >= g.started_at AND o.observed_at < {end}"
        " ORDER BY o.observed_at DESC LIMIT 1)"
    )
    columns = [
        model_name(),
        model_id(),
        select("started_at", "g.started_at", UtcTime, "Last evidence before the gap (UTC)."),
        select("ended_at", "g.ended_at", UtcTime, "First evidence after it (UTC); null while it continues."),
        select(
            "minutes",
            minutes(dialect.seconds_between.format("g.started_at", end)),
            sa.Double,
            "Duration; if it continues, until now.",
        ),
        select("cadence_minutes", minutes("g.cadence_seconds"), sa.Double, "Interval of the schedule at that time."),
        select(
            "missed_observations",
            "g.missed_observations",
            sa.BigInteger,
            "Number of observations that the schedule expected in the gap.",
        ),
        select("failed", "g.failed", sa.BigInteger, "Number of those that were made and failed."),
        select(
            "never_made", "g.missed_observations - g.failed", sa.BigInteger, "Number of those that were never made."
        ),
        select("last_error", last_error, sa.Text, "Why the last one failed."),
    ]
    comment = "One row per period, longer than one and a half intervals of the schedule, without evidence of a model."
    sources = (
        "models m JOIN closed_gaps g ON g.model_id = m.id",
        f"models m JOIN ({_open_gaps(dialect)}) g ON g.model_id = m.id",
    )
    return View("observation_gaps", comment, columns, sources)


def _open_gaps(dialect: Dialect) -> str:
    """Return the gaps that continue. A model that the schedule's latest run did not request has none.

    Each CTE is materialized: PostgreSQL would otherwise evaluate a subquery again for every use of its column.
    """
    of_model = "FROM observations o JOIN runs r ON r.id = o.run_id WHERE o.model_id = m.id AND o.is_evidence"
    last = f"(SELECT o.observed_at {of_model} ORDER BY o.observed_at DESC LIMIT 1)"
    cadence = (
        f"(SELECT r.cadence_seconds {of_model} AND r.cadence_seconds IS NOT NULL ORDER BY o.observed_at DESC LIMIT 1)"
    )
    requested = (
        "(SELECT max((SELECT o.observed_at FROM observations o WHERE o.target_id = p.target_id"
        " ORDER BY o.observed_at DESC LIMIT 1)) FROM target_models p WHERE p.model_id = m.id)"
    )
    failed = (
        "(SELECT count(DISTINCT o.run_id) FROM target_models p JOIN observations o ON o.target_id = p.target_id"
        " WHERE p.model_id = w.model_id AND o.outcome = 'failed' AND o.observed_at >= w.started_at)"
    )
    waited = dialect.seconds_between.format("t.started_at", dialect.now)
    return f"""
        WITH newest AS {dialect.materialized}(
            SELECT cadence_seconds, max(started_at) AS started_at FROM runs WHERE finished_at IS NOT NULL
            GROUP BY cadence_seconds
        ), observed AS {dialect.materialized}(
            SELECT m.id AS model_id, {last} AS started_at, {cadence} AS cadence_seconds, {requested} AS requested_at
            FROM models m
        ), waits AS {dialect.materialized}(
            SELECT t.model_id, t.started_at, t.cadence_seconds,
                (2 * {waited} - t.cadence_seconds) / (2 * t.cadence_seconds) AS missed_observations
            FROM observed t JOIN newest n ON n.cadence_seconds = t.cadence_seconds AND n.started_at <= t.requested_at
            WHERE 2 * {waited} > 3 * t.cadence_seconds
        )
        SELECT w.model_id, w.started_at, {dialect.no_time} AS ended_at, w.cadence_seconds, w.missed_observations,
            CASE WHEN w.missed_observations > 0
                THEN {dialect.least}(w.missed_observations, {failed}) ELSE 0 END AS failed
        FROM waits w"""


def daily_coverage(_: Dialect) -> View:
    """Return how many of the scheduled observations were made."""
    columns = [
        model_name(),
        model_id(),
        select("day", "c.day", sa.Date, "The UTC day."),
        select(
            "expected",
            "c.observed + c.missed_observations",
            sa.Integer,
            "Number of our own observations that the schedule expected.",
        ),
        select("observed", "c.observed", sa.Integer, "Number of those that are evidence."),
        select("failed", "c.failed", sa.Integer, "Number of those that failed and left a gap."),
        select(
            "never_made",
            "c.missed_observations - c.failed",
            sa.Integer,
            "Number of those that were never made. A gap is counted when it ends, on each of its days.",
        ),
        select(
            "imported",
            "c.imported",
            sa.Integer,
            "Number of imported observations that are evidence; not part of those expected.",
        ),
        select(
            "covered_minutes",
            minutes("c.covered_seconds"),
            sa.Double,
            "Minutes covered by evidence, imported or not: at most 30 per observation.",
        ),
    ]
    comment = "One row per model and UTC day: how many of the scheduled observations were made."
    return View("daily_coverage", comment, columns, ("models m JOIN evidence_daily c ON c.model_id = m.id",))
