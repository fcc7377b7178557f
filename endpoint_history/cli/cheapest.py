"""The command `endpoint-history cheapest`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.output import as_csv, as_json, lines
from endpoint_history.analysis.cheapest.ranking import rank_offers
from endpoint_history.backfilling.job import read_time
from endpoint_history.database.engine import opened, translated_errors
from endpoint_history.errors import ConfigurationError
from endpoint_history.settings import Settings
from endpoint_history.terminal import show, show_text

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,30})?")
_SPAN = re.compile(r"([0-9]{1,7})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def cheapest(
    *,
    model: Annotated[str, typer.Option(help="A model's id, a variant such as a/b:free, or a path that leads to it.")],
    input_tokens: Annotated[str, typer.Option(metavar="N", help="Tokens of the prompt, all together.")],
    output_tokens: Annotated[str, typer.Option(metavar="N", help="Tokens of the answer.")],
    cached_share: Annotated[
        str, typer.Option(metavar="SHARE", help="Which share of the prompt comes from the cache, such as 0.8.")
    ] = "0",
    cache_write: Annotated[str, typer.Option(metavar="N", help="Tokens of the prompt written to the cache.")] = "0",
    images: Annotated[str, typer.Option(metavar="N", help="Images in the prompt.")] = "0",
    requests: Annotated[str, typer.Option(metavar="N", help="How many such requests: all else is of one.")] = "1",
    uptime: Annotated[str | None, typer.Option(metavar="PERCENT", help="At least that mean uptime.")] = None,
    over: Annotated[str, typer.Option(metavar="SPAN", help="Over the last 7d, 24h or 90m.")] = "7d",
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="As it was then (UTC): 2026-05-16 or 2026-05-16T09:00.")
    ] = None,
    quantization: Annotated[
        list[str] | None, typer.Option(help="With this one, such as fp8, or unknown; repeatable.")
    ] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Of this one, by name or tag; repeatable.")] = None,
    context: Annotated[str | None, typer.Option(metavar="N", help="With at least that context, in tokens.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
    as_csv_: Annotated[bool, typer.Option("--csv", help="One row for each offer.")] = False,
) -> None:
    """Rank the offers of a model by what a usage costs with each, of those that meet conditions.

    Exit code 1 where none does.
    """
    usage = Usage(
        input_tokens=_whole("input-tokens", input_tokens),
        output_tokens=_whole("output-tokens", output_tokens),
        cached_share=_decimal("cached-share", cached_share),
        cache_write=_whole("cache-write", cache_write),
        images=_whole("images", images),
        requests=_whole("requests", requests),
    )
    conditions = Conditions(
        uptime_pct=None if uptime is None else _decimal("uptime", uptime),
        over=_span(over),
        quantizations=tuple(quantization or ()),
        providers=tuple(provider or ()),
        context_length=None if context is None else _whole("context", context),
    )
    if as_json_ and as_csv_:
        raise ConfigurationError("--json or --csv, not both")
    instant = read_time(as_of, "--as-of")
    with (
        opened(Settings.read().database_url.get_secret_value()) as engine,
        translated_errors(engine),
        engine.connect() as connection,
    ):
        answer = rank_offers(connection, model, usage, conditions, as_of=instant)
    if as_json_:
        show_text(as_json(answer) + "\n")
    elif as_csv_:
        show_text(as_csv(answer))
    else:
        for line in lines(answer):
            show(line)
    raise typer.Exit(0 if answer.offers else 1)


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
