"""Rollups of uptime, incidents and coverage, and the views over them.

Revision 0006, after 0005. 2026-11-24.

All that is there is noted as stale: the next run rolls it up, a year in about two minutes.
"""

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
EPOCH = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

Columns = list[tuple[str, str, str]]  # name, expression, meaning
View = tuple[str, str, Columns, list[str]]  # name, meaning, columns, what it reads: all that one reads, then the next


class Spelling(NamedTuple):
    """How a database spells what the two have no common word for; {} is an operand."""

    day_number: str
    hour_at: str
    hours_of_day: str
    day: str
    hour_before: str
    hour_after: str
    seconds: str
    now: str
    for_ever: str
    redefined_at: str
    no_time: str
    differs: str
    least: str
    once: str


SQLITE = Spelling(
    day_number="CAST(strftime('%s', observed_at) AS INTEGER) / 86400",
    hour_at="datetime(h.hour_at, 'unixepoch')",
    hours_of_day="JOIN uptime_hourly h ON h.endpoint_id = d.endpoint_id"
    " AND h.hour_at >= CAST(strftime('%s', d.day) AS INTEGER)"
    " AND h.hour_at < CAST(strftime('%s', d.day, '+1 day') AS INTEGER)",
    day="date({})",
    hour_before="datetime({}, '-1 hour')",
    hour_after="datetime({}, '+1 hour')",
    seconds="(strftime('%s', {1}) - strftime('%s', {0}))",
    now="datetime('now')",
    for_ever="'9999-12-31 00:00:00'",
    redefined_at="'2026-10-08 00:00:00'",
    no_time="NULL",
    differs="IS NOT",
    least="min",
    once="",  # SQLite has the word since 3.35 only
)
POSTGRESQL = Spelling(
    day_number="CAST(floor(extract(epoch FROM observed_at) / 86400) AS INTEGER)",
    hour_at="h.hour_at",
    # The offset keeps it from reading all hours to join them: of a span it can't tell how short it is.
    hours_of_day="CROSS JOIN LATERAL (SELECT * FROM uptime_hourly h WHERE h.endpoint_id = d.endpoint_id"
    " AND h.hour_at >= CAST(d.day AS TIMESTAMP) AT TIME ZONE 'UTC'"
    " AND h.hour_at < CAST(d.day + 1 AS TIMESTAMP) AT TIME ZONE 'UTC' OFFSET 0) h",
    day="CAST({} AT TIME ZONE 'UTC' AS DATE)",
    hour_before="{} - interval '1 hour'",
    hour_after="{} + interval '1 hour'",
    seconds="CAST(extract(epoch FROM {1} - {0}) AS BIGINT)",
    now="date_trunc('second', now())",
    for_ever="CAST('infinity' AS TIMESTAMPTZ)",
    redefined_at="CAST('2026-10-08 00:00:00+00' AS TIMESTAMPTZ)",
    no_time="CAST(NULL AS TIMESTAMPTZ)",
    differs="IS DISTINCT FROM",
    least="least",
    once="MATERIALIZED ",
)

MODEL = ("model", "m.openrouter_id", "The resolved model id (data.id).")
MODEL_ID = ("model_id", "m.id", "The model (models.id).")
NAMES: Columns = [
    MODEL,
    ("provider", "e.provider_name", "Display name of the provider, as last seen."),
    ("route", "e.route", "The endpoint's tag; before tags: provider:NAME quantization:NAME."),
    ("variant", "e.variant", "The endpoint's own model id, with :free and the like."),
    ("ordinal", "e.ordinal", "Numbers endpoints that share variant and route."),
    ("endpoint_id", "e.id", "The endpoint (endpoints.id)."),
    MODEL_ID,
]
NAMED = "models m JOIN endpoints e ON e.model_id = m.id"


def upgrade() -> None:
    _make_tables()
    days = f"SELECT DISTINCT model_id, {_spelling().day_number} FROM observations WHERE is_evidence"
    op.execute(f"INSERT INTO stale_rollups (model_id, day) {days}")
    for view in _views(_spelling()):
        _make_view(*view)


def downgrade() -> None:
    for name, *_ in reversed(_views(SQLITE)):
        op.execute(f"DROP VIEW {name}")
    op.drop_index(
        "ix_observations_failed",
        table_name="observations",
        sqlite_where=sa.text("outcome = 'failed'"),
        postgresql_where=sa.text("outcome = 'failed'"),
    )
    op.drop_table("uptime_hourly")
    op.drop_index("ix_uptime_daily_day", table_name="uptime_daily")
    op.drop_table("uptime_daily")
    op.drop_index("ix_incident_spans_started_at", table_name="incident_spans")
    op.drop_table("incident_spans")
    op.drop_table("stale_rollups")
    op.drop_index("ix_evidence_gaps_started_at", table_name="evidence_gaps")
    op.drop_table("evidence_gaps")
    op.drop_index("ix_evidence_daily_day", table_name="evidence_daily")
    op.drop_table("evidence_daily")
    op.drop_table("catalogue_daily")


def _spelling() -> Spelling:
    return SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL


def _make_view(name: str, meaning: str, columns: Columns, sources: list[str]) -> None:
    last = columns[-1][0]
    lines = [f"    {sql} AS {column}{',' * (column != last)} -- {text}" for column, sql, text in columns]
    again = ", ".join(sql for _, sql, _ in columns)
    first, *others = sources
    select = [f"CREATE VIEW {name} AS -- {meaning}", "SELECT", *lines, f"FROM {first}"]
    _run("\n".join([*select, *(f"UNION ALL SELECT {again} FROM {source}" for source in others)]))
    if op.get_context().dialect.name == "postgresql":
        _comment(f"VIEW {name}", meaning)
        for column, _, text in columns:
            _comment(f"COLUMN {name}.{column}", text)


def _run(sql: str) -> None:
    op.execute(sa.text(sql.replace(":", "\\:")))


def _comment(thing: str, text: str) -> None:
    _run(f"COMMENT ON {thing} IS '{text.replace(chr(39), chr(39) * 2)}'")


def _views(d: Spelling) -> list[View]:
    return [_daily_uptime(), _hourly_uptime(d), _incidents(d), _observation_gaps(d), _coverage_daily()]


def _sums(row: str) -> Columns:
    def minutes(name: str) -> str:
        return _minutes(f"{row}.{name}_seconds")

    def share(name: str) -> str:
        return f"CAST({row}.{name}_seconds AS DOUBLE PRECISION) / NULLIF({row}.covered_seconds, 0)"

    return [
        (
            "definition",
            "CASE WHEN d.day < '2026-10-08' THEN 'requests' ELSE 'minutes' END",
            "What uptime was a share of: requests, and from 2026-10-08 on minutes; never average across.",
        ),
        ("uptime_pct", f"{row}.uptime_pct", "Mean uptime in percent, weighted by minutes covered; null: no value."),
        ("min_uptime_pct", f"{row}.min_uptime_pct", "The worst sample in percent."),
        ("samples", f"CAST({row}.samples AS INTEGER)", "How many samples have a value."),
        ("covered_minutes", minutes("covered"), "Minutes that samples with a value stand for: the weight of the mean."),
        ("null_minutes", minutes("null"), "Minutes that samples without a value stand for."),
        ("below_95_minutes", minutes("below_95"), "Of the minutes covered, those with less than 95 percent."),
        ("below_80_minutes", minutes("below_80"), "Of the minutes covered, those with less than 80 percent."),
        ("below_95_share", share("below_95"), "Their share of the minutes covered, 0 to 1; null: none covered."),
        ("below_80_share", share("below_80"), "Their share of the minutes covered, 0 to 1; null: none covered."),
    ]


def _minutes(seconds: str) -> str:
    return f"CAST({seconds} AS DOUBLE PRECISION) / 60"


def _daily_uptime() -> View:
    return (
        "daily_uptime",
        "One row for one endpoint and UTC day with a sample in it.",
        [*NAMES, ("day", "d.day", "The UTC day."), *_sums("d")],
        [f"{NAMED} JOIN uptime_daily d ON d.endpoint_id = e.id"],
    )


def _hourly_uptime(d: Spelling) -> View:
    # By its day first, which has an index: that of the hours begins with the endpoint.
    return (
        "hourly_uptime",
        "One row for one endpoint and UTC hour with a sample in it. To ask for some time, ask for days.",
        [
            *NAMES,
            ("day", "d.day", "The UTC day."),
            ("hour_at", d.hour_at, "When the hour begins (UTC)."),
            *_sums("h"),
        ],
        [f"{NAMED} JOIN uptime_daily d ON d.endpoint_id = e.id {d.hours_of_day}"],
    )


def _incidents(d: Spelling) -> View:
    minutes = d.seconds.format("i.started_at", "COALESCE(i.ended_at, e.last_seen_at)")
    before = f"i.started_at < {d.redefined_at}"
    return (
        "incidents",
        "One row for one time of low uptime: from the first of 2 samples in a row below 95 percent to the first of 3 above.",
        [
            *NAMES,
            ("started_at", "i.started_at", "The first of the bad samples that opened it (UTC)."),
            ("ended_at", "i.ended_at", "From when on it is over (UTC); null: it goes on."),
            (
                "ended_by",
                "i.ended_by",
                "recovered; left (listed no more); silent (a day without a value); redefined (uptime was); null: goes on.",
            ),
            ("minutes", _minutes(minutes), "How long it took, or has taken when the endpoint was last seen."),
            ("samples", "i.samples", "How many samples with a value lie in it."),
            ("worst_uptime_pct", "i.worst_uptime_pct", "The worst of them, in percent."),
            (
                "depth",
                "CASE WHEN i.worst_uptime_pct < 80 THEN 'down' ELSE 'degraded' END",
                "down (below 80 percent at its worst) or degraded.",
            ),
            (
                "definition",
                f"CASE WHEN {before} THEN 'requests' ELSE 'minutes' END",
                "What uptime was a share of: requests, and from 2026-10-08 on minutes.",
            ),
            *_others(d),
            *_catalogue(d),
        ],
        [f"{NAMED} JOIN incident_spans i ON i.endpoint_id = e.id"],
    )


def _others(d: Spelling) -> Columns:
    """How the model's other endpoints did meanwhile."""
    others = "FROM endpoints o WHERE o.model_id = m.id AND o.id <> e.id"
    day = d.day.format("i.started_at")
    listed = f"EXISTS (SELECT 1 FROM uptime_daily u WHERE u.endpoint_id = o.id AND u.day = {day})"
    # Of an endpoint's incidents the last that began before this one's end decides, as no two of them overlap.
    ill = (
        f"(SELECT COALESCE(j.ended_at, {d.for_ever}) FROM incident_spans j WHERE j.endpoint_id = o.id"
        f" AND j.started_at < COALESCE(i.ended_at, {d.for_ever}) ORDER BY j.started_at DESC LIMIT 1) > i.started_at"
    )
    providers = f"{others} AND o.provider_name {d.differs} e.provider_name"
    return [
        (
            "other_endpoints",
            f"(SELECT count(*) {others} AND {listed})",
            "How many other endpoints of the model were listed on the day it began.",
        ),
        (
            "other_endpoints_in_trouble",
            f"(SELECT count(*) {others} AND {ill})",
            "How many other endpoints of the model had an incident at some time of it.",
        ),
        (
            "other_providers_in_trouble",
            f"(SELECT count(DISTINCT o.provider_name) {providers} AND {ill})",
            "How many other providers of the model had.",
        ),
    ]


def _catalogue(d: Spelling) -> Columns:
    """Whether all of OpenRouter was in trouble."""
    start, end = d.hour_before.format("i.started_at"), d.hour_after.format("i.started_at")
    within = f"j.started_at >= {start} AND j.started_at <= {end}"
    together = f"(SELECT count(DISTINCT j.endpoint_id) FROM incident_spans j WHERE {within})"
    rated = f"(SELECT c.rated_endpoints FROM catalogue_daily c WHERE c.day = {d.day.format('i.started_at')})"
    share = f"CAST({together} AS DOUBLE PRECISION) / {rated}"
    return [
        (
            "began_together",
            together,
            "How many endpoints of the whole catalogue began one within an hour before or after, itself too.",
        ),
        ("began_together_share", share, "Their share, 0 to 1, of all endpoints that had a value on that day."),
        ("is_catalogue_wide", f"{share} >= 0.2", "Whether that is a fifth or more: then it is OpenRouter's own."),
    ]


def _observation_gaps(d: Spelling) -> View:
    end = f"COALESCE(g.ended_at, {d.now})"
    last_error = (
        "(SELECT o.error FROM paths p JOIN observations o ON o.target_id = p.target_id WHERE p.model_id = m.id"
        f" AND o.outcome = 'failed' AND o.observed_at >= g.started_at AND o.observed_at < {end}"
        " ORDER BY o.observed_at DESC LIMIT 1)"
    )
    return (
        "observation_gaps",
        "One row for one time, longer than one and a half intervals of the schedule, in which no look at a model counts.",
        [
            MODEL,
            MODEL_ID,
            ("started_at", "g.started_at", "The last look before it (UTC)."),
            ("ended_at", "g.ended_at", "The next look (UTC); null: none has come yet."),
            ("minutes", _minutes(d.seconds.format("g.started_at", end)), "How long it took, or has taken by now."),
            ("cadence_minutes", _minutes("g.cadence_seconds"), "Interval of the schedule in force."),
            ("lacking", "g.lacking", "How many looks the schedule wanted in between."),
            ("failed", "g.failed", "How many of them were made, and failed."),
            ("missing", "g.lacking - g.failed", "How many were never made."),
            ("last_error", last_error, "Why the last one failed."),
        ],
        [
            "models m JOIN evidence_gaps g ON g.model_id = m.id",
            f"models m JOIN ({_open_gaps(d)}) g ON g.model_id = m.id",
        ],
    )


def _open_gaps(d: Spelling) -> str:
    """The same for what lasts. A model that the newest run under its schedule didn't ask for is asked for no more."""
    evidence = "FROM observations o JOIN runs r ON r.id = o.run_id WHERE o.model_id = m.id AND o.is_evidence"
    last = f"(SELECT o.observed_at {evidence} ORDER BY o.observed_at DESC LIMIT 1)"
    cadence = (
        f"(SELECT r.cadence_seconds {evidence} AND r.cadence_seconds IS NOT NULL ORDER BY o.observed_at DESC LIMIT 1)"
    )
    asked = (
        "(SELECT max((SELECT o.observed_at FROM observations o WHERE o.target_id = p.target_id"
        " ORDER BY o.observed_at DESC LIMIT 1)) FROM paths p WHERE p.model_id = m.id)"
    )
    failed = (
        "(SELECT count(DISTINCT o.run_id) FROM paths p JOIN observations o ON o.target_id = p.target_id"
        " WHERE p.model_id = w.model_id AND o.outcome = 'failed' AND o.observed_at >= w.started_at)"
    )
    waited = d.seconds.format("t.started_at", d.now)
    # Each part once: PostgreSQL would work out a subquery anew wherever a column of it is used.
    return f"""
        WITH newest AS {d.once}(
            SELECT cadence_seconds, max(started_at) AS started_at FROM runs WHERE finished_at IS NOT NULL
            GROUP BY cadence_seconds
        ), told AS {d.once}(
            SELECT m.id AS model_id, {last} AS started_at, {cadence} AS cadence_seconds, {asked} AS asked_at
            FROM models m
        ), waits AS {d.once}(
            SELECT t.model_id, t.started_at, t.cadence_seconds,
                (2 * {waited} - t.cadence_seconds) / (2 * t.cadence_seconds) AS lacking
            FROM told t JOIN newest n ON n.cadence_seconds = t.cadence_seconds AND n.started_at <= t.asked_at
            WHERE 2 * {waited} > 3 * t.cadence_seconds
        )
        SELECT w.model_id, w.started_at, {d.no_time} AS ended_at, w.cadence_seconds, w.lacking,
            CASE WHEN w.lacking > 0 THEN {d.least}(w.lacking, {failed}) ELSE 0 END AS failed
        FROM waits w"""


def _coverage_daily() -> View:
    return (
        "coverage_daily",
        "One row for one model and UTC day: how well it was observed, against the schedule.",
        [
            MODEL,
            MODEL_ID,
            ("day", "c.day", "The UTC day."),
            ("expected", "c.observed + c.lacking", "Looks of our own that were made or ought to have been."),
            ("observed", "c.observed", "Those that count: they saw the model, or that it has no endpoints."),
            ("failed", "c.failed", "Those that failed and left a gap."),
            ("missing", "c.lacking - c.failed", "Those never made. A gap counts when it ends, spread over its days."),
            ("imported", "c.imported", "Looks of others that count, loaded by a backfill; not among those expected."),
            (
                "covered_minutes",
                _minutes("c.covered_seconds"),
                "Minutes that looks, our own or not, stand for: each for half an hour at most.",
            ),
        ],
        ["models m JOIN evidence_daily c ON c.model_id = m.id"],
    )


def _make_tables() -> None:
    op.create_table(
        "catalogue_daily",
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column("endpoints", sa.Integer(), nullable=False, comment="How many endpoints have a sample on it."),
        sa.Column("rated_endpoints", sa.Integer(), nullable=False, comment="How many of them have one with a value."),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_catalogue_daily")),
        comment="One row for one UTC day with a sample in it. Rolled up from uptime_daily.",
    )
    op.create_table(
        "evidence_daily",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column("observed", sa.Integer(), nullable=False, comment="How many of our own looks count."),
        sa.Column(
            "imported", sa.Integer(), nullable=False, comment="How many looks that others made and we loaded count."
        ),
        sa.Column(
            "lacking", sa.Integer(), nullable=False, comment="How many looks the schedule wanted and none counts."
        ),
        sa.Column("failed", sa.Integer(), nullable=False, comment="How many of those that lack were made and failed."),
        sa.Column("covered_seconds", sa.Integer(), nullable=False, comment="Seconds that its looks stand for."),
        sa.CheckConstraint("failed BETWEEN 0 AND lacking", name=op.f("ck_evidence_daily_failed_is_lacking")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_evidence_daily_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_evidence_daily")),
        comment="One row for one model and UTC day with looks that count, or that lack. Rolled up from observations.",
    )
    op.create_index("ix_evidence_daily_day", "evidence_daily", ["day"])
    op.create_table(
        "evidence_gaps",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("started_at", TIME, nullable=False, comment="The last look that counts before it (UTC)."),
        sa.Column("ended_at", TIME, nullable=False, comment="The next look that counts (UTC)."),
        sa.Column("cadence_seconds", sa.Integer(), nullable=False, comment="Interval of the schedule in force."),
        sa.Column("lacking", sa.Integer(), nullable=False, comment="How many looks the schedule wanted in between."),
        sa.Column("failed", sa.Integer(), nullable=False, comment="How many of those were made and failed."),
        sa.CheckConstraint("ended_at > started_at", name=op.f("ck_evidence_gaps_ends_after_start")),
        sa.CheckConstraint("failed BETWEEN 0 AND lacking", name=op.f("ck_evidence_gaps_failed_is_lacking")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_evidence_gaps_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "started_at", name=op.f("pk_evidence_gaps")),
        comment="One row for one time, over now, in which no look at a model counts though the schedule wanted some.",
    )
    op.create_index("ix_evidence_gaps_started_at", "evidence_gaps", ["started_at"])
    op.create_table(
        "stale_rollups",
        sa.Column("model_id", ID, nullable=False, comment="The model."),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False, comment="Days since 1970-01-01 (UTC)."),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_stale_rollups_model_id_models")),
        sa.PrimaryKeyConstraint("model_id", "day", name=op.f("pk_stale_rollups")),
        comment="One row for one model and day whose rollups must be made anew; empty but while a run is under way.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incident_spans",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column("started_at", TIME, nullable=False, comment="The first of the bad samples that opened it (UTC)."),
        sa.Column("ended_at", TIME, nullable=True, comment="From when on it is over (UTC); null: it goes on."),
        sa.Column(
            "ended_by",
            sa.Text(),
            nullable=True,
            comment="recovered, left (listed no more), silent or redefined; null: it goes on.",
        ),
        sa.Column("samples", sa.Integer(), nullable=False, comment="How many samples with a value lie in it."),
        sa.Column(
            "worst_uptime_pct", sa.Double(), nullable=False, comment="The least uptime_30m_pct in it, in percent."
        ),
        sa.CheckConstraint(
            "ended_by IN ('recovered', 'left', 'silent', 'redefined')", name=op.f("ck_incident_spans_ended_by")
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_incident_spans_end_has_a_reason")),
        sa.CheckConstraint("ended_at > started_at", name=op.f("ck_incident_spans_ends_after_start")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_incident_spans_endpoint_id_endpoints")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "started_at", name=op.f("pk_incident_spans")),
        comment="One row for one time of low uptime of an endpoint, with hysteresis. Rolled up from uptime_samples.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_incident_spans_started_at", "incident_spans", ["started_at"])
    op.create_table(
        "uptime_daily",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column("day", sa.Date(), nullable=False, comment="The UTC day."),
        sa.Column(
            "uptime_pct",
            sa.Double(),
            nullable=True,
            comment="Mean of uptime_30m_pct in percent, weighted by covered seconds.",
        ),
        sa.Column("min_uptime_pct", sa.Double(), nullable=True, comment="The worst sample in percent."),
        sa.Column("samples", sa.Integer(), nullable=False, comment="How many samples have a value."),
        sa.Column(
            "covered_seconds", sa.Integer(), nullable=False, comment="Seconds that samples with a value stand for."
        ),
        sa.Column(
            "null_seconds", sa.Integer(), nullable=False, comment="Seconds that samples without a value stand for."
        ),
        sa.Column(
            "below_95_seconds", sa.Integer(), nullable=False, comment="Of those covered, with less than 95 percent."
        ),
        sa.Column(
            "below_80_seconds", sa.Integer(), nullable=False, comment="Of those covered, with less than 80 percent."
        ),
        sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name=op.f("ck_uptime_daily_mean_of_samples")),
        sa.CheckConstraint("below_95_seconds >= below_80_seconds", name=op.f("ck_uptime_daily_below_80_is_below_95")),
        sa.CheckConstraint("covered_seconds >= below_95_seconds", name=op.f("ck_uptime_daily_below_95_is_covered")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_uptime_daily_endpoint_id_endpoints")),
        sa.PrimaryKeyConstraint("endpoint_id", "day", name=op.f("pk_uptime_daily")),
        comment="One row for one endpoint and UTC day with a sample in it. Rolled up from uptime_hourly.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_uptime_daily_day", "uptime_daily", ["day"])
    op.create_table(
        "uptime_hourly",
        sa.Column("endpoint_id", ID, nullable=False, comment="The endpoint."),
        sa.Column(
            "hour_at",
            EPOCH,
            nullable=False,
            comment="When the hour begins (UTC). On SQLite unix seconds: datetime(hour_at, 'unixepoch') reads them.",
        ),
        sa.Column(
            "uptime_pct",
            sa.Double(),
            nullable=True,
            comment="Mean of uptime_30m_pct in percent, weighted by covered seconds.",
        ),
        sa.Column("min_uptime_pct", sa.Double(), nullable=True, comment="The worst sample in percent."),
        sa.Column("samples", sa.SmallInteger(), nullable=False, comment="How many samples have a value."),
        sa.Column(
            "covered_seconds", sa.SmallInteger(), nullable=False, comment="Seconds that samples with a value stand for."
        ),
        sa.Column(
            "null_seconds", sa.SmallInteger(), nullable=False, comment="Seconds that samples without a value stand for."
        ),
        sa.Column(
            "below_95_seconds",
            sa.SmallInteger(),
            nullable=False,
            comment="Of those covered, with less than 95 percent.",
        ),
        sa.Column(
            "below_80_seconds",
            sa.SmallInteger(),
            nullable=False,
            comment="Of those covered, with less than 80 percent.",
        ),
        sa.CheckConstraint("(samples = 0) = (uptime_pct IS NULL)", name=op.f("ck_uptime_hourly_mean_of_samples")),
        sa.CheckConstraint("below_95_seconds >= below_80_seconds", name=op.f("ck_uptime_hourly_below_80_is_below_95")),
        sa.CheckConstraint("covered_seconds >= below_95_seconds", name=op.f("ck_uptime_hourly_below_95_is_covered")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_uptime_hourly_endpoint_id_endpoints")),
        sa.PrimaryKeyConstraint("endpoint_id", "hour_at", name=op.f("pk_uptime_hourly")),
        comment="One row for one endpoint and UTC hour with a sample in it. Rolled up from uptime_samples.",
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_observations_failed",
        "observations",
        ["target_id", "observed_at"],
        sqlite_where=sa.text("outcome = 'failed'"),
        postgresql_where=sa.text("outcome = 'failed'"),
    )
