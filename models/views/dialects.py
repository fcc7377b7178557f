"""What SQLite and PostgreSQL write differently in views. SQLite's words are those of version 3.34.

An older SQLite cannot open any table of a file that contains a view with a newer word, such as `->>` (3.38) or
`MATERIALIZED` (3.35).
"""

from __future__ import annotations

from typing import NamedTuple


class Dialect(NamedTuple):
    """Expressions of one database; `{}` is an operand."""

    differs: str
    by_bytes: str
    least: str
    materialized: str
    # A price set n's blended price in 1e-9 USD per million tokens, a whole number: equal on both databases.
    blended: str
    # Times
    now: str
    no_time: str
    end_of_time: str
    time: str
    day: str
    add_week: str
    add_hour: str
    subtract_hour: str
    seconds_between: str
    seconds_since: str
    sample_time: str
    hour_at: str
    hhmm: str
    weekday: str
    # One entry w of a JSON list of conditional prices
    entries: str
    entry_position: str
    field: str
    json_field: str
    is_count: str
    price: str
    # The hours h of a day d
    hours_of_day: str


SQLITE = Dialect(
    differs="IS NOT",
    by_bytes="",
    least="min",
    materialized="",
    blended="CAST(2.5e14 * (3 * CAST({0}.prompt_usd AS DOUBLE PRECISION)"
    " + CAST({0}.completion_usd AS DOUBLE PRECISION)) + 0.5 AS INTEGER)",
    now="datetime('now')",
    no_time="NULL",
    end_of_time="'9999-12-31 00:00:00'",
    time="'{:%Y-%m-%d %H:%M:%S}'",
    day="date({})",
    add_week="datetime({}, '+7 days')",
    add_hour="datetime({}, '+1 hour')",
    subtract_hour="datetime({}, '-1 hour')",
    seconds_between="(strftime('%s', {1}) - strftime('%s', {0}))",
    seconds_since="CAST(strftime('%s', 'now') - strftime('%s', {}) AS BIGINT)",
    sample_time="CAST(strftime('%s', {}) AS INTEGER)",
    hour_at="datetime(h.hour_at, 'unixepoch')",
    hhmm="strftime('%H%M', {})",
    weekday="substr('sunmontuewedthufrisat', 1 + 3 * strftime('%w', {}), 3)",
    entries="json_each({}) w",
    entry_position="w.key + 1",
    field="json_extract(w.value, '$.' || {})",
    json_field="json_quote(json_extract(w.value, '$.' || {}))",
    is_count="json_type(w.value, '$.' || {0}) = 'integer' AND json_extract(w.value, '$.' || {0})"
    " BETWEEN -99999999999999999 AND 999999999999999999",
    price="NULLIF({}, '-1')",
    hours_of_day="JOIN uptime_hourly h ON h.endpoint_id = d.endpoint_id"
    " AND h.hour_at >= CAST(strftime('%s', d.day) AS INTEGER)"
    " AND h.hour_at < CAST(strftime('%s', d.day, '+1 day') AS INTEGER)",
)
POSTGRESQL = Dialect(
    differs="IS DISTINCT FROM",
    by_bytes=' COLLATE "C"',
    least="least",
    materialized="MATERIALIZED ",
    blended="round(2.5e14 * (3 * {0}.prompt_usd + {0}.completion_usd))",
    now="date_trunc('second', now())",
    no_time="CAST(NULL AS TIMESTAMPTZ)",
    end_of_time="CAST('infinity' AS TIMESTAMPTZ)",
    time="CAST('{:%Y-%m-%d %H:%M:%S}+00' AS TIMESTAMPTZ)",
    day="CAST({} AT TIME ZONE 'UTC' AS DATE)",
    add_week="{} + interval '168 hours'",
    add_hour="{} + interval '1 hour'",
    subtract_hour="{} - interval '1 hour'",
    seconds_between="CAST(extract(epoch FROM {1} - {0}) AS BIGINT)",
    seconds_since="CAST(extract(epoch FROM now() - {}) AS BIGINT)",
    sample_time="{}",
    hour_at="h.hour_at",
    hhmm="to_char({} AT TIME ZONE 'UTC', 'HH24MI')",
    weekday="to_char({} AT TIME ZONE 'UTC', 'dy')",
    entries="jsonb_array_elements({}) WITH ORDINALITY w(value, place)",
    entry_position="w.place",
    field="(w.value ->> {})",
    json_field="(w.value -> {})",
    is_count="jsonb_typeof(w.value -> {0}) = 'number' AND length(CAST(w.value -> {0} AS TEXT)) < 19",
    price="NULLIF(CAST({} AS NUMERIC), -1)",
    # OFFSET 0 makes PostgreSQL use the index: it cannot estimate that a day has few hours, and would read them all.
    hours_of_day="CROSS JOIN LATERAL (SELECT * FROM uptime_hourly h WHERE h.endpoint_id = d.endpoint_id"
    " AND h.hour_at >= CAST(d.day AS TIMESTAMP) AT TIME ZONE 'UTC'"
    " AND h.hour_at < CAST(d.day + 1 AS TIMESTAMP) AT TIME ZONE 'UTC' OFFSET 0) h",
)
