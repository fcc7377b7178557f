"""The command `endpoint-history cheapest`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from endpoint_history.errors import ConfigurationError
from endpoint_history.terminal import show, show_text

if TYPE_CHECKING:
    from endpoint_history.analysis.cheapest.conditions import Conditions
    from endpoint_history.analysis.cheapest.cost import Usage
    from endpoint_history.analysis.cheapest.ranking import Ranking

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,30})?")
_SPAN = re.compile(r"([0-9]{1,7})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

Model = Annotated[str, typer.Option(help="A model's id, a variant such as a/b:free, or a path that leads to it.")]
InputTokens = Annotated[str, typer.Option(metavar="N", help="Tokens of the prompt, cached ones included.")]
OutputTokens = Annotated[str, typer.Option(metavar="N", help="Tokens of the answer.")]
CachedShare = Annotated[str, typer.Option(metavar="SHARE", help="Share of the prompt that is cached, such as 0.8.")]
CacheWrite = Annotated[str, typer.Option(metavar="N", help="Tokens of the prompt written to the cache.")]
Images = Annotated[str, typer.Option(metavar="N", help="Images in the prompt.")]
Requests = Annotated[str, typer.Option(metavar="N", help="Number of such requests; the other numbers are for one.")]
Uptime = Annotated[str | None, typer.Option(metavar="PERCENT", help="Mean uptime of at least this.")]
Over = Annotated[str, typer.Option(metavar="SPAN", help="Span of the mean uptime: the last 7d, 24h or 90m.")]
AsOf = Annotated[
    str | None, typer.Option(metavar="TIME", help="Rank as of this time (UTC): 2026-05-16 or 2026-05-16T09:00.")
]
Quantization = Annotated[
    list[str] | None, typer.Option(help="Only with this one, such as fp8, or unknown; repeatable.")
]
Provider = Annotated[list[str] | None, typer.Option(help="Only of this one, by name or tag; repeatable.")]
Context = Annotated[str | None, typer.Option(metavar="N", help="Context of at least this many tokens.")]


def cheapest(
    *,
    model: Model,
    input_tokens: InputTokens,
    output_tokens: OutputTokens,
    cached_share: CachedShare = "0",
    cache_write: CacheWrite = "0",
    images: Images = "0",
    requests: Requests = "1",
    uptime: Uptime = None,
    over: Over = "7d",
    as_of: AsOf = None,
    quantization: Quantization = None,
    provider: Provider = None,
    context: Context = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything, as one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print one row for each offer.")] = False,
) -> None:
    """Rank the endpoints of a model that meet the conditions by what a usage costs with each.

    Exit code 1 if no endpoint meets them.
    """
    from endpoint_history.analysis.cheapest.cost import Usage

    usage = Usage(
        input_tokens=_whole("input-tokens", input_tokens),
        output_tokens=_whole("output-tokens", output_tokens),
        cached_share=_decimal("cached-share", cached_share),
        cache_write=_whole("cache-write", cache_write),
        images=_whole("images", images),
        requests=_whole("requests", requests),
    )
    conditions = _conditions(uptime, over, quantization, provider, context)
    if as_json and as_csv:
        raise ConfigurationError("--json or --csv, not both")
    ranking = _rank(model, usage, conditions, as_of)
    _print(ranking, as_json=as_json, as_csv=as_csv)
    raise typer.Exit(0 if ranking.offers else 1)


def _conditions(
    uptime: str | None, over: str, quantization: list[str] | None, provider: list[str] | None, context: str | None
) -> Conditions:
    from endpoint_history.analysis.cheapest.conditions import Conditions

    return Conditions(
        uptime_pct=None if uptime is None else _decimal("uptime", uptime),
        over=_span(over),
        quantizations=tuple(quantization or ()),
        providers=tuple(provider or ()),
        context_length=None if context is None else _whole("context", context),
    )


def _rank(model: str, usage: Usage, conditions: Conditions, as_of: str | None) -> Ranking:
    from endpoint_history.analysis.cheapest.ranking import rank_offers
    from endpoint_history.backfilling.job import read_time
    from endpoint_history.database.engine import opened, translated_errors
    from endpoint_history.settings import Settings

    instant = read_time(as_of, "--as-of")
    url = Settings.read().database_url.get_secret_value()
    with opened(url) as engine, translated_errors(engine), engine.connect() as connection:
        return rank_offers(connection, model, usage, conditions, as_of=instant)


def _print(ranking: Ranking, *, as_json: bool, as_csv: bool) -> None:
    from endpoint_history.analysis.cheapest import output

    if as_json:
        show_text(output.as_json(ranking) + "\n")
    elif as_csv:
        show_text(output.as_csv(ranking))
    else:
        for line in output.lines(ranking):
            show(line)


def _whole(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise ConfigurationError(f"--{name}: {text!r} is no whole number")
    return int(text)


def _decimal(name: str, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text.strip()):
        raise ConfigurationError(f"--{name}: {text!r} is no number such as 0.8 or 99.5")
    return Decimal(text.strip())


def _span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise ConfigurationError(f"--over: {text!r} is no span such as 7d, 24h or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
