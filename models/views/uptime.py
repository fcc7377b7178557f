"""The views of uptime per hour and day."""

from __future__ import annotations

import sqlalchemy as sa

from models.listing import UPTIME_REDEFINED_AT
from models.types import UtcTime
from models.views.definition import ENDPOINTS, Columns, Selected, View, double, endpoint_names, minutes, select
from models.views.dialects import Dialect

BY_DAY = f"{ENDPOINTS} JOIN uptime_daily d ON d.endpoint_id = e.id"
DEFINITION = f"What uptime is a share of: requests, or from {UPTIME_REDEFINED_AT:%Y-%m-%d} on minutes."


def daily_uptime(_: Dialect) -> View:
    """Return the uptime of each endpoint and day."""
    columns = [*endpoint_names(), _day(), *_sums("d")]
    return View("daily_uptime", "One row per endpoint and UTC day that has a sample.", columns, (BY_DAY,))


def hourly_uptime(dialect: Dialect) -> View:
    """Return the uptime of each endpoint and hour. Days are read first, as only they have an index by time."""
    hour = select("hour_at", dialect.hour_at, UtcTime, "Start of the hour (UTC).")
    columns = [*endpoint_names(), _day(), hour, *_sums("h")]
    comment = "One row per endpoint and UTC hour that has a sample. Filter by day, which has an index."
    return View("hourly_uptime", comment, columns, (f"{BY_DAY} {dialect.hours_of_day}",))


def definition(before: str) -> str:
    """Return which definition of uptime holds, where `before` is whether it is the older one."""
    return f"CASE WHEN {before} THEN 'requests' ELSE 'minutes' END"


def _day() -> Selected:
    return select("day", "d.day", sa.Date, "The UTC day.")


def _sums(row: str) -> Columns:
    older = f"d.day < '{UPTIME_REDEFINED_AT:%Y-%m-%d}'"
    return [
        select("definition", definition(older), sa.Text, f"{DEFINITION} Do not average the two."),
        select(
            "uptime_pct",
            f"{row}.uptime_pct",
            sa.Double,
            "Mean uptime in percent, weighted by covered minutes; null if none.",
        ),
        select("min_uptime_pct", f"{row}.min_uptime_pct", sa.Double, "Lowest sample in percent."),
        select("samples", f"CAST({row}.samples AS INTEGER)", sa.Integer, "Number of samples with a value."),
        *(
            select(f"{name}_minutes", minutes(f"{row}.{name}_seconds"), sa.Double, comment)
            for name, comment in (
                ("covered", "Minutes covered by samples with a value."),
                ("null", "Minutes covered by samples without a value."),
                ("below_95", "Covered minutes with uptime below 95 percent."),
                ("below_80", "Covered minutes with uptime below 80 percent."),
            )
        ),
        *(
            select(
                f"below_{pct}_share",
                f"{double(f'{row}.below_{pct}_seconds')} / NULLIF({row}.covered_seconds, 0)",
                sa.Double,
                f"Share of covered minutes below {pct} percent, 0 to 1; null if none are covered.",
            )
            for pct in (95, 80)
        ),
    ]
