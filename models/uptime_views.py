"""The views about uptime, incidents and coverage, as models.views has those about prices."""

from __future__ import annotations

import sqlalchemy as sa

from models.types import UtcTime
from models.views import Columns, names

uptime_views = sa.MetaData()


def _model() -> Columns:
    return [column for column in names() if column.name in {"model", "model_id"}]


def _sums() -> Columns:
    share = "Their share of the minutes covered, 0 to 1; null: none covered."
    return [
        sa.Column(
            "definition",
            sa.Text,
            comment="What uptime was a share of: requests, and from 2026-10-08 on minutes; never average across.",
        ),
        sa.Column(
            "uptime_pct", sa.Double, comment="Mean uptime in percent, weighted by minutes covered; null: no value."
        ),
        sa.Column("min_uptime_pct", sa.Double, comment="The worst sample in percent."),
        sa.Column("samples", sa.Integer, comment="How many samples have a value."),
        sa.Column(
            "covered_minutes",
            sa.Double,
            comment="Minutes that samples with a value stand for: the weight of the mean.",
        ),
        sa.Column("null_minutes", sa.Double, comment="Minutes that samples without a value stand for."),
        sa.Column("below_95_minutes", sa.Double, comment="Of the minutes covered, those with less than 95 percent."),
        sa.Column("below_80_minutes", sa.Double, comment="Of the minutes covered, those with less than 80 percent."),
        sa.Column("below_95_share", sa.Double, comment=share),
        sa.Column("below_80_share", sa.Double, comment=share),
    ]


daily_uptime = sa.Table(
    "daily_uptime",
    uptime_views,
    *names(),
    sa.Column("day", sa.Date, comment="The UTC day."),
    *_sums(),
    comment="One row for one endpoint and UTC day with a sample in it.",
)

hourly_uptime = sa.Table(
    "hourly_uptime",
    uptime_views,
    *names(),
    sa.Column("day", sa.Date, comment="The UTC day."),
    sa.Column("hour_at", UtcTime, comment="When the hour begins (UTC)."),
    *_sums(),
    comment="One row for one endpoint and UTC hour with a sample in it. To ask for some time, ask for days.",
)

incidents = sa.Table(
    "incidents",
    uptime_views,
    *names(),
    sa.Column("started_at", UtcTime, comment="The first of the bad samples that opened it (UTC)."),
    sa.Column("ended_at", UtcTime, comment="From when on it is over (UTC); null: it goes on."),
    sa.Column(
        "ended_by",
        sa.Text,
        comment="recovered; left (listed no more); silent (a day without a value); redefined (uptime was);"
        " null: goes on.",
    ),
    sa.Column("minutes", sa.Double, comment="How long it took, or has taken when the endpoint was last seen."),
    sa.Column("samples", sa.Integer, comment="How many samples with a value lie in it."),
    sa.Column("worst_uptime_pct", sa.Double, comment="The worst of them, in percent."),
    sa.Column("depth", sa.Text, comment="down (below 80 percent at its worst) or degraded."),
    sa.Column("definition", sa.Text, comment="What uptime was a share of: requests, and from 2026-10-08 on minutes."),
    sa.Column(
        "other_endpoints",
        sa.BigInteger,
        comment="How many other endpoints of the model were listed on the day it began.",
    ),
    sa.Column(
        "other_endpoints_in_trouble",
        sa.BigInteger,
        comment="How many other endpoints of the model had an incident at some time of it.",
    ),
    sa.Column("other_providers_in_trouble", sa.BigInteger, comment="How many other providers of the model had."),
    sa.Column(
        "began_together",
        sa.BigInteger,
        comment="How many endpoints of the whole catalogue began one within an hour before or after, itself too.",
    ),
    sa.Column(
        "began_together_share",
        sa.Double,
        comment="Their share, 0 to 1, of all endpoints that had a value on that day.",
    ),
    sa.Column("is_catalogue_wide", sa.Boolean, comment="Whether that is a fifth or more: then it is OpenRouter's own."),
    comment="One row for one time of low uptime: from the first of 2 samples in a row below 95 percent"
    " to the first of 3 above.",
)

observation_gaps = sa.Table(
    "observation_gaps",
    uptime_views,
    *_model(),
    sa.Column("started_at", UtcTime, comment="The last look before it (UTC)."),
    sa.Column("ended_at", UtcTime, comment="The next look (UTC); null: none has come yet."),
    sa.Column("minutes", sa.Double, comment="How long it took, or has taken by now."),
    sa.Column("cadence_minutes", sa.Double, comment="Interval of the schedule in force."),
    sa.Column("lacking", sa.BigInteger, comment="How many looks the schedule wanted in between."),
    sa.Column("failed", sa.BigInteger, comment="How many of them were made, and failed."),
    sa.Column("missing", sa.BigInteger, comment="How many were never made."),
    sa.Column("last_error", sa.Text, comment="Why the last one failed."),
    comment="One row for one time, longer than one and a half intervals of the schedule, in which no look at a model"
    " counts.",
)

coverage_daily = sa.Table(
    "coverage_daily",
    uptime_views,
    *_model(),
    sa.Column("day", sa.Date, comment="The UTC day."),
    sa.Column("expected", sa.Integer, comment="Looks of our own that were made or ought to have been."),
    sa.Column("observed", sa.Integer, comment="Those that count: they saw the model, or that it has no endpoints."),
    sa.Column("failed", sa.Integer, comment="Those that failed and left a gap."),
    sa.Column("missing", sa.Integer, comment="Those never made. A gap counts when it ends, spread over its days."),
    sa.Column(
        "imported",
        sa.Integer,
        comment="Looks of others that count, loaded by a backfill; not among those expected.",
    ),
    sa.Column(
        "covered_minutes",
        sa.Double,
        comment="Minutes that looks, our own or not, stand for: each for half an hour at most.",
    ),
    comment="One row for one model and UTC day: how well it was observed, against the schedule.",
)
