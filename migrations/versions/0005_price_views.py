"""Views for analysts: prices and listings.

Revision 0005, after 0004. 2026-11-24.

A later migration that alters, rebuilds or drops a table under these views must drop them before and make them again
after: PostgreSQL refuses it, and SQLite's batch mode fails when it renames the rebuilt table.

A view is a list of columns, each with its meaning, and what it reads. SQLite keeps the meanings in the text of the view
(`.schema current_prices`), PostgreSQL as comments. Neighbours are found by the index on (endpoint_id, observed_at), row
for row, so that a question about one model or one day reads no more than that.
"""

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Columns = list[tuple[str, str, str]]  # name, expression, meaning
View = tuple[str, str, Columns, str]  # name, meaning, columns, what it reads


class Spelling(NamedTuple):
    """How a database spells what the two have no common word for; {} is an operand."""

    differs: str
    blended: str
    by_bytes: str
    week_after: str
    age_seconds: str
    sample_time: str
    hhmm: str
    weekday: str
    field: str
    json_field: str
    is_count: str
    entries: str
    place: str
    price: str


SQLITE = Spelling(
    differs="IS NOT",
    blended="CAST(2.5e14 * (3 * CAST({0}.prompt_usd AS DOUBLE PRECISION)"
    " + CAST({0}.completion_usd AS DOUBLE PRECISION)) + 0.5 AS INTEGER)",
    by_bytes="",
    week_after="datetime({}, '+7 days')",
    age_seconds="CAST(strftime('%s', 'now') - strftime('%s', {}) AS BIGINT)",
    sample_time="CAST(strftime('%s', {}) AS INTEGER)",
    hhmm="strftime('%H%M', {})",
    weekday="substr('sunmontuewedthufrisat', 1 + 3 * strftime('%w', {}), 3)",
    # Not ->>, which SQLite has since 3.38 only: one such view, and an older SQLite can open no table of the file.
    field="json_extract(w.value, '$.' || {})",
    json_field="json_quote(json_extract(w.value, '$.' || {}))",
    is_count="json_type(w.value, '$.' || {0}) = 'integer' AND json_extract(w.value, '$.' || {0})"
    " BETWEEN -99999999999999999 AND 999999999999999999",
    entries="json_each({}) w",
    place="w.key + 1",
    price="NULLIF({}, '-1')",
)
POSTGRESQL = Spelling(
    differs="IS DISTINCT FROM",
    blended="round(2.5e14 * (3 * {0}.prompt_usd + {0}.completion_usd))",
    by_bytes=' COLLATE "C"',
    week_after="{} + interval '168 hours'",
    age_seconds="CAST(extract(epoch FROM now() - {}) AS BIGINT)",
    sample_time="{}",
    hhmm="to_char({} AT TIME ZONE 'UTC', 'HH24MI')",
    weekday="to_char({} AT TIME ZONE 'UTC', 'dy')",
    field="(w.value ->> {})",
    json_field="(w.value -> {})",
    is_count="jsonb_typeof(w.value -> {0}) = 'number' AND length(CAST(w.value -> {0} AS TEXT)) < 19",
    entries="jsonb_array_elements({}) WITH ORDINALITY w(value, place)",
    place="w.place",
    price="NULLIF(CAST({} AS NUMERIC), -1)",
)


def upgrade() -> None:
    on_sqlite = op.get_context().dialect.name == "sqlite"
    for name, meaning, columns, source in _views(SQLITE if on_sqlite else POSTGRESQL):
        last = columns[-1][0]
        lines = [f"    {sql} AS {column}{',' * (column != last)} -- {text}" for column, sql, text in columns]
        _run("\n".join([f"CREATE VIEW {name} AS -- {meaning}", "SELECT", *lines, f"FROM {source}"]))
        if not on_sqlite:
            _comment(f"VIEW {name}", meaning)
            for column, _, text in columns:
                _comment(f"COLUMN {name}.{column}", text)


def downgrade() -> None:
    for name, *_ in reversed(_views(SQLITE)):
        op.execute(f"DROP VIEW {name}")


def _run(sql: str) -> None:
    op.execute(sa.text(sql.replace(":", "\\:")))


def _comment(thing: str, text: str) -> None:
    _run(f"COMMENT ON {thing} IS '{text.replace(chr(39), chr(39) * 2)}'")


def _views(d: Spelling) -> list[View]:
    """All of them; a later one may read an earlier one."""
    return [
        _current_prices(d),
        _price_intervals(d),
        _conditional_prices(d),
        _price_changes(d),
        _model_price_changes(d),
        _endpoint_intervals(d),
        _endpoint_changes(d),
    ]


KEYS = (
    *("prompt", "completion", "request", "image", "image_token", "image_output", "audio", "audio_output"),
    *("input_audio_cache", "web_search", "internal_reasoning"),
    *("input_cache_read", "input_cache_write", "input_cache_write_1h"),
)
UNITS = {"prompt": "token of the prompt", "completion": "token of the answer", "request": "request"}
MODEL = ("model", "m.openrouter_id", "The resolved model id (data.id).")
NAMES: Columns = [
    MODEL,
    ("provider", "e.provider_name", "Display name of the provider, as last seen."),
    ("route", "e.route", "The endpoint's tag; before tags: provider:NAME quantization:NAME."),
    ("variant", "e.variant", "The endpoint's own model id, with :free and the like."),
    ("ordinal", "e.ordinal", "Numbers endpoints that share variant and route."),
    ("endpoint_id", "e.id", "The endpoint (endpoints.id)."),
    ("model_id", "m.id", "The model (models.id)."),
]
QUANTIZATION = "Such as fp8; null where upstream says unknown, null or nothing."
FIRST_SEEN = ("observed_at", "p.observed_at", "The look that first saw it (UTC).")
ENDPOINTS = "models m JOIN endpoints e ON e.model_id = m.id"
PRICES = f"{ENDPOINTS} JOIN pricing_snapshots p ON p.endpoint_id = e.id"
LISTINGS = f"{ENDPOINTS} JOIN listing_changes p ON p.endpoint_id = e.id"


def _double(sql: str) -> str:
    return f"CAST({sql} AS DOUBLE PRECISION)"


def _next(table: str, row: str = "p") -> str:
    """When the endpoint's next row stands."""
    return f"""(SELECT n.observed_at FROM {table} n
        WHERE n.endpoint_id = {row}.endpoint_id AND n.observed_at > {row}.observed_at
        ORDER BY n.observed_at LIMIT 1)"""


def _last(what: str, endpoint: str, when: str, table: str = "pricing_snapshots") -> str:
    """Something of the endpoint's newest row n of those that satisfy a condition."""
    return f"""(SELECT {what} FROM {table} n
        WHERE n.endpoint_id = {endpoint} AND n.observed_at {when}
        ORDER BY n.observed_at DESC LIMIT 1)"""


def _before(table: str) -> str:
    """Joins to p: r is the row just before it, b the last before it that is listed."""
    last = _last("n.observed_at", "p.endpoint_id", "< p.observed_at", table)
    older = _last("n.observed_at", "r.endpoint_id", "< r.observed_at", table)
    return f"""LEFT JOIN {table} r ON r.endpoint_id = p.endpoint_id AND r.observed_at = {last}
LEFT JOIN {table} b ON b.endpoint_id = r.endpoint_id
    AND b.observed_at = CASE WHEN r.listed THEN r.observed_at ELSE {older} END"""


def _confirmed(d: Spelling, until: str = "") -> str:
    """The newest look at the model from p on that lists the endpoint: a complete one does while the interval lasts.

    An incomplete one does where it left a sample of the endpoint.
    """
    ended = f" AND o.observed_at < {until}" if until else ""
    return f"""COALESCE((SELECT o.observed_at FROM observations o
        WHERE o.model_id = e.model_id AND o.is_evidence AND o.observed_at >= p.observed_at{ended}
            AND (o.complete OR EXISTS (SELECT 1 FROM uptime_samples s WHERE s.endpoint_id = e.id
                                       AND s.observed_at = {d.sample_time.format("o.observed_at")}))
        ORDER BY o.observed_at DESC LIMIT 1), p.observed_at)"""


def _span(d: Spelling, table: str) -> Columns:
    end = _next(table)
    through = _confirmed(d, f"COALESCE({end}, '9999-12-31')")
    return [
        ("valid_from", "p.observed_at", "The look that first saw it (UTC)."),
        ("valid_to", end, "The look that no longer did, exclusive (UTC); null: it holds now."),
        (
            "observed_through",
            through,
            "The last look that confirmed it (UTC); between this and valid_to nobody knows.",
        ),
    ]


def _price_columns() -> Columns:
    per_mtok = ("prompt", "completion", "input_cache_read", "input_cache_write")
    mtok = {key: f"1e6 * {_double(f'p.{key}_usd')}" for key in per_mtok}
    share = f"NULLIF(1 - COALESCE({_double('p.discount')}, 0), 0)"
    before = "before the discount; null where nothing is left of it."
    null = {"prompt": "it varies", "completion": "it varies"}
    exact = "exact, net of discount; null means"
    return [
        *((f"{key}_usd_per_mtok", sql, f"{key}_usd for a million.") for key, sql in mtok.items()),
        *((f"{key}_list_usd_per_mtok", f"{mtok[key]} / {share}", f"The same {before}") for key in per_mtok[:2]),
        *(
            (
                f"{key}_usd",
                f"p.{key}_usd",
                f"USD per {UNITS.get(key, f'unit of {key}')}, {exact} {null.get(key, 'not charged')}.",
            )
            for key in KEYS
        ),
        ("varies", "p.varies", "Whether upstream gives -1 (varies) for any price."),
        ("discount", "p.discount", "Fraction already taken off; negative is a markup; null means none."),
        (
            "has_conditional_prices",
            "p.overrides IS NOT NULL",
            "Whether other prices hold for long prompts or at times.",
        ),
        ("overrides", "p.overrides", "Conditional prices as published; conditional_prices has them row by row."),
        ("other_prices", "p.other_prices", "Price keys that have no column yet, exact decimals as text."),
    ]


def _current_prices(d: Spelling) -> View:
    confirmed = _confirmed(d)
    columns: Columns = [
        *NAMES,
        ("valid_from", "p.observed_at", "The look that first saw these prices (UTC)."),
        ("observed_at", confirmed, "The last look that confirmed them (UTC)."),
        ("evidence_age_seconds", d.age_seconds.format(confirmed), "How long ago that was, by the database's clock."),
        *_price_columns(),
        ("quantization", "e.quantization", QUANTIZATION),
        ("context_length", "e.context_length", "Context window in tokens."),
        ("max_completion_tokens", "e.max_completion_tokens", "Longest answer in tokens; null where not limited."),
        (
            "status",
            "s.status",
            "0 normal, -2 degraded, -5 down, -3 deranked, -10 off, -1 unseen; of the newest sample.",
        ),
        ("uptime_5m_pct", "s.uptime_5m_pct", "Uptime over the last 5 minutes in percent; null: upstream gave none."),
        ("uptime_30m_pct", "s.uptime_30m_pct", "Uptime over the last 30 minutes in percent; null: upstream gave none."),
        ("uptime_1d_pct", "s.uptime_1d_pct", "Uptime over the last day in percent; null: upstream gave none."),
    ]
    source = f"""{ENDPOINTS}
JOIN pricing_snapshots p ON p.endpoint_id = e.id
    AND p.observed_at = (SELECT max(observed_at) FROM pricing_snapshots WHERE endpoint_id = e.id)
LEFT JOIN uptime_samples s ON s.endpoint_id = e.id
    AND s.observed_at = (SELECT max(observed_at) FROM uptime_samples WHERE endpoint_id = e.id)
WHERE p.listed"""
    return (
        "current_prices",
        "One row for one endpoint listed now, by the newest evidence of its model.",
        columns,
        source,
    )


def _price_intervals(d: Spelling) -> View:
    meaning = "One row for one span of time in which an endpoint was listed at one price set."
    columns = [*NAMES, *_span(d, "pricing_snapshots"), *_price_columns()]
    return "price_intervals", meaning, columns, f"{PRICES}\nWHERE p.listed"


def _clock(d: Spelling, name: str) -> str:
    """A time of day in an entry of overrides as four digits; upstream gives the number HHMM."""
    value = d.field.format(f"'{name}'")
    return f"substr('0000' || {value}, length({value}) + 1)"


def _conditional_prices(d: Spelling) -> View:
    tokens, days = "'min_prompt_tokens'", "'utc_days'"
    min_tokens = f"CASE WHEN {d.is_count.format(tokens)} THEN CAST({d.field.format(tokens)} AS BIGINT) END"
    utc_days = f"CASE WHEN {d.field.format(days)} IS NOT NULL THEN {d.json_field.format(days)} END"
    given = d.field.format("k.name")
    price = d.price.format(given)
    columns: Columns = [
        *NAMES,
        ("valid_from", "p.observed_at", "From when it is published (UTC)."),
        ("valid_to", _next("pricing_snapshots"), "Until when, exclusive (UTC); null: it is now."),
        ("place", d.place, "Which entry of the list, from 1; of those that hold, a later one wins."),
        ("min_prompt_tokens", min_tokens, "Holds for prompts longer than this; null: for any."),
        ("utc_start", _clock(d, "utc_start"), "Holds from this time of day (UTC), HHMM; null: from midnight."),
        ("utc_end", _clock(d, "utc_end"), "Until this one, exclusive; before utc_start: past midnight."),
        ("utc_days", utc_days, "Weekdays (UTC) on which it holds, such as monday; null: on all."),
        ("price_key", "k.name", "Which price, such as prompt."),
        ("price_usd", price, "USD per unit while all conditions hold, exact; null means that it varies."),
        ("usd_per_mtok", f"1e6 * {_double(price)}", "price_usd for a million."),
    ]
    meaning = "One row for one price in one entry of published overrides; a key that an entry lacks keeps its price."
    keys = " UNION ALL ".join(f"SELECT '{key}' AS name" for key in KEYS)
    entries = f"CROSS JOIN {d.entries.format('p.overrides')}"
    source = f"{PRICES}\n{entries}\nCROSS JOIN ({keys}) k\nWHERE {given} IS NOT NULL"
    return "conditional_prices", meaning, columns, source


def _price(row: str) -> str:
    """The price that the key at hand names, or the discount."""
    keys = (*(f"{key}_usd" for key in KEYS), "discount")
    return f"CASE k.n {' '.join(f'WHEN {n} THEN {row}.{key}' for n, key in enumerate(keys, 1))} END"


def _json(row: str) -> str:
    """What the key at hand names, where that is no number."""
    n = len(KEYS) + 2
    return (
        f"CASE WHEN k.n = {n} AND {row}.varies THEN 'true'"
        f" WHEN k.n = {n + 1} THEN {row}.overrides WHEN k.n = {n + 2} THEN {row}.other_prices END"
    )


def _price_changes(d: Spelling) -> View:
    names = (*KEYS, "discount", "varies", "overrides", "other_prices")
    keys = " UNION ALL ".join(f"SELECT {n} AS n, '{name}' AS name" for n, name in enumerate(names, 1))
    before, after = _price("b"), _price("p")
    ratio = f"CASE WHEN k.n <= {len(KEYS)} THEN {_double(after)} / NULLIF({_double(before)}, 0) END"
    # Never null: a null would not spare the rest of the condition.
    same_overrides = "COALESCE(p.overrides = b.overrides, false)"
    kind = f"""CASE
        WHEN b.endpoint_id IS NULL THEN 'first'
        WHEN NOT r.listed THEN 'listed again'
        WHEN k.n <= {len(KEYS)} AND {same_overrides} AND {_is_scheduled(d)} THEN 'scheduled'
        WHEN k.n <= {len(KEYS) + 1} AND {_is_reverted(d)} THEN 'reverted'
        ELSE 'repriced' END"""
    columns: Columns = [
        *NAMES,
        FIRST_SEEN,
        ("price_key", "k.name", "Which price by upstream's name, or discount, varies, overrides, other_prices."),
        ("before", before, "USD per unit when last listed, or the discount, exact; null: none, or it varies."),
        ("after", after, "The same from then on."),
        ("ratio", ratio, "after / before of a price; null where before is null or 0."),
        ("before_json", _json("b"), "varies, overrides or other_prices when last listed; null: none."),
        ("after_json", _json("p"), "The same from then on."),
        ("kind", kind, "The first that is true of: first, listed again, scheduled, reverted, repriced."),
    ]
    source = f"""{PRICES}
{_before("pricing_snapshots")}
CROSS JOIN ({keys}) k
WHERE p.listed AND ({after} {d.differs} {before} OR {_json("p")} {d.differs} {_json("b")})"""
    meaning = "One row for one price of an endpoint that is not what it was when the endpoint was last listed."
    return "price_changes", meaning, columns, source


def _is_scheduled(d: Spelling) -> str:
    """Whether p has the price of the window that is open then, or none is and p is back at the plain price.

    The plain price is that of the newest row under the same overrides that had none of the windows' prices. That is b
    where b was not in a window; where there is no such row, nothing tells of a plain price that has moved.
    """
    given, hhmm = d.field.format("k.name"), d.hhmm.format("p.observed_at")
    price = d.price.format(given)
    start, end = f"COALESCE({_clock(d, 'utc_start')}, '0000')", f"COALESCE({_clock(d, 'utc_end')}, '2400')"
    tokens, from_, until, on = (
        d.field.format(f"'{name}'") for name in ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
    )
    days = f"""lower(CAST({d.json_field.format("'utc_days'")} AS TEXT))"""
    without_today = f"""replace({days}, '"' || {d.weekday.format("p.observed_at")}, '')"""
    windows = f"""FROM {d.entries.format("p.overrides")}
            WHERE {given} IS NOT NULL AND {tokens} IS NULL AND COALESCE({from_}, {until}, {on}) IS NOT NULL"""
    is_open = f"""({on} IS NULL OR {without_today} <> {days})
                AND CASE WHEN {start} <= {end} THEN {hhmm} >= {start} AND {hhmm} < {end}
                    ELSE {hhmm} >= {start} OR {hhmm} < {end} END"""
    after, older = (f"COALESCE({_price(row)}, '0')" for row in ("p", "n"))
    is_plain = f"n.overrides = p.overrides AND {older} NOT IN (SELECT {price} {windows})"
    plain = _last(older, "p.endpoint_id", f"< p.observed_at AND {is_plain}")
    return f"""CASE COALESCE((SELECT {price} {windows} AND {is_open} ORDER BY {d.place} DESC LIMIT 1), '-1')
            WHEN {after} THEN 1
            WHEN '-1' THEN CASE WHEN COALESCE({plain}, {after}) = {after} THEN 1 END
            END = 1"""


def _is_reverted(d: Spelling) -> str:
    """Whether p has again the price that was there before the last change of it, a week before at most.

    q is the newest row with another price than b, or not listed; the next after q is that change.
    """
    other = f"< p.observed_at AND (NOT n.listed OR {_price('n')} {d.differs} {_price('b')})"
    return f"""p.observed_at <= {d.week_after.format("b.observed_at")} AND EXISTS (
            SELECT 1 FROM pricing_snapshots q
            WHERE q.endpoint_id = p.endpoint_id AND q.observed_at = {_last("n.observed_at", "p.endpoint_id", other)}
                AND q.listed AND NOT {_price("q")} {d.differs} {_price("p")}
                AND p.observed_at <= {d.week_after.format(_next("pricing_snapshots", "q"))})"""


def _blended(d: Spelling, row: str) -> str:
    """What offers are compared by, in 1e-9 USD per million tokens; null where free, varying or not listed.

    Whole numbers, so that what is equal on one database is on the other.
    """
    return f"NULLIF({d.blended.format(row)}, 0)"


def _moments(d: Spelling) -> str:
    """When the lowest price may have moved, and whose it was before and from then on.

    A row p can't have moved it where another endpoint was, and is, at least as cheap as p is and as r was.
    """
    old, new = _blended(d, "r"), _blended(d, "p")
    lower = f"CASE WHEN {old} <= {new} OR {new} IS NULL THEN {old} ELSE {new} END"
    was, is_ = (_last(_blended(d, "n"), "x.id", f"{sign} p.observed_at") for sign in ("<", "<="))
    offers = "FROM endpoints x WHERE x.model_id = e.model_id AND x.variant = e.variant"
    cheapest = f"ORDER BY y.price NULLS LAST, y.route{d.by_bytes}, y.ordinal LIMIT 1"
    return f"""SELECT DISTINCT m.openrouter_id AS model, e.variant, e.model_id, p.observed_at,
        (SELECT y.id FROM (SELECT x.id, x.route, x.ordinal, {was} AS price {offers}) y {cheapest}) AS before_id,
        (SELECT y.id FROM (SELECT x.id, x.route, x.ordinal, {is_} AS price {offers}) y {cheapest}) AS after_id
    FROM {PRICES}
    LEFT JOIN pricing_snapshots r ON r.endpoint_id = p.endpoint_id
        AND r.observed_at = {_last("n.observed_at", "p.endpoint_id", "< p.observed_at")}
    WHERE {old} {d.differs} {new}
        AND (SELECT x.id {offers} AND {was} <= {lower} AND {is_} <= {lower} LIMIT 1) IS NULL"""


def _model_price_changes(d: Spelling) -> View:
    def offer(when: str, e: str, p: str, text: str) -> Columns:
        return [
            (f"{when}_endpoint_id", f"{e}.id", f"The endpoint that was cheapest {text} (endpoints.id); null: none."),
            (f"{when}_provider", f"{e}.provider_name", "Its provider."),
            (f"{when}_route", f"{e}.route", "Its tag."),
            (
                f"{when}_prompt_usd_per_mtok",
                f"1e6 * {_double(f'{p}.prompt_usd')}",
                "USD for a million tokens of the prompt.",
            ),
            (
                f"{when}_completion_usd_per_mtok",
                f"1e6 * {_double(f'{p}.completion_usd')}",
                "USD for a million tokens of the answer.",
            ),
            (
                f"{when}_blended_usd_per_mtok",
                f"{_double(_blended(d, p))} / 1e9",
                "(3 * prompt + completion) / 4, by which offers are compared.",
            ),
        ]

    before, after = _blended(d, "ap"), _blended(d, "zp")
    fell = f"{before} IS NULL OR {after} < {before}"
    of_riser = "CASE WHEN n.listed THEN 'repriced' ELSE 'cheapest left' END"
    of_faller = "CASE WHEN n.listed THEN 'repriced' ELSE 'came back' END"
    why = f"""CASE
        WHEN ap.endpoint_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM endpoints x JOIN pricing_snapshots n ON n.endpoint_id = x.id
            WHERE x.model_id = i.model_id AND x.variant = i.variant AND n.observed_at < i.observed_at
                AND {_blended(d, "n")} IS NOT NULL) THEN 'first'
        WHEN COALESCE(zp.overrides, ap.overrides) IS NOT NULL AND EXISTS (
            SELECT 1 FROM price_changes c
            WHERE c.endpoint_id = CASE WHEN {fell} THEN zp.endpoint_id ELSE ap.endpoint_id END
                AND c.observed_at = i.observed_at AND c.price_key IN ('prompt', 'completion')
                AND c.kind = 'scheduled') THEN 'scheduled'
        WHEN {fell} THEN COALESCE({_last(of_faller, "zp.endpoint_id", "< i.observed_at")}, 'cheaper came')
        ELSE {_last(of_riser, "ap.endpoint_id", "= i.observed_at")} END"""
    columns: Columns = [
        ("model", "i.model", MODEL[2]),
        ("variant", "i.variant", "The endpoints' own model id: :batch and the like are compared among themselves."),
        ("model_id", "i.model_id", "The model (models.id)."),
        ("observed_at", "i.observed_at", "The look that first saw it (UTC)."),
        *offer("before", "a", "ap", "until then"),
        *offer("after", "z", "zp", "from then on"),
        ("ratio", f"{_double(after)} / {_double(before)}", "after / before of the blended price; null where one is."),
        ("why", why, "first, repriced, scheduled, cheapest left, cheaper came or came back."),
    ]
    last, newest = (
        _last("n.observed_at", f"i.{x}_id", f"{sign} i.observed_at") for x, sign in (("before", "<"), ("after", "<="))
    )
    source = f"""({_moments(d)}) i
LEFT JOIN pricing_snapshots ap ON ap.endpoint_id = i.before_id AND ap.observed_at = {last} AND {before} IS NOT NULL
LEFT JOIN pricing_snapshots zp ON zp.endpoint_id = i.after_id AND zp.observed_at = {newest} AND {after} IS NOT NULL
LEFT JOIN endpoints a ON a.id = ap.endpoint_id
LEFT JOIN endpoints z ON z.id = zp.endpoint_id
WHERE {before} {d.differs} {after}"""
    meaning = "One row for one move of the lowest price of a model, free offers and those that vary apart, and why."
    return "model_price_changes", meaning, columns, source


TERMS = {
    "provider_name": "Display name of the provider in that time.",
    "context_length": "Context window in tokens.",
    "quantization": QUANTIZATION,
    "max_completion_tokens": "Longest answer in tokens; null where not limited.",
    "max_prompt_tokens": "Longest prompt in tokens; null where not limited.",
    "supported_parameters": "Sorted list of request parameters.",
    "features": "Other flags by upstream's names: supports_*, native_tools, service_tier.",
}


def _endpoint_intervals(d: Spelling) -> View:
    terms = [(term, f"p.{term}", text) for term, text in TERMS.items()]
    meaning = "One row for one span of time in which an endpoint was listed on the same terms."
    return "endpoint_intervals", meaning, [*NAMES, *_span(d, "listing_changes"), *terms], f"{LISTINGS}\nWHERE p.listed"


def _term(row: str) -> str:
    return f"CASE k.n {' '.join(f'WHEN {n} THEN CAST({row}.{term} AS TEXT)' for n, term in enumerate(TERMS, 1))} END"


def _endpoint_changes(d: Spelling) -> View:
    keys = " UNION ALL ".join(f"SELECT {n}, '{term}'" for n, term in enumerate(TERMS, 1))
    kind = """CASE WHEN k.n > 0 THEN 'terms changed' WHEN NOT p.listed THEN 'left'
        WHEN r.endpoint_id IS NULL THEN 'came' ELSE 'returned' END"""
    columns: Columns = [
        *NAMES,
        FIRST_SEEN,
        ("kind", kind, "came, left, returned or terms changed."),
        ("term", "k.name", "Which term changed; null where it came, left or returned."),
        ("before", _term("b"), "The term when last listed, lists and flags as JSON; null: none."),
        ("after", _term("p"), "The same from then on."),
    ]
    source = f"""{LISTINGS}
{_before("listing_changes")}
CROSS JOIN (SELECT 0 AS n, NULL AS name UNION ALL {keys}) k
WHERE CASE WHEN k.n = 0 THEN NOT p.listed OR r.endpoint_id IS NULL OR NOT r.listed
    ELSE p.listed AND b.endpoint_id IS NOT NULL AND {_term("p")} {d.differs} {_term("b")} END"""
    meaning = "One row for one change of an endpoint: it came, left or returned, or one of its terms changed."
    return "endpoint_changes", meaning, columns, source
