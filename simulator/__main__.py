"""Serve the simulated OpenRouter, or with `--demo` collect from it once: `python -m simulator --help`."""

from __future__ import annotations

import argparse
import sys
import threading
from datetime import UTC, datetime
from typing import NoReturn

from endpoint_history.terminal import safe_output, show, show_note
from simulator.demo import run_demo
from simulator.faults import KINDS, Faults
from simulator.market import Market
from simulator.server import Simulator, serving

_MARKET = Market(models=40, seed=1)
_DEMO = Market(models=20, seed=1552)  # small, for the time it takes, and with some of everything


def main() -> int:
    """Read the command line and do as it says."""
    parser = _parser()
    given = parser.parse_args()
    fixed = given.at
    usual = _DEMO if given.demo else _MARKET
    market = Market(given.models or usual.models, usual.seed if given.seed is None else given.seed)
    if given.demo:
        if given.fault or fixed or given.latency_ms or given.port:
            parser.error("--demo takes --models, --seed and --days alone")
        return _demo(market, given.days)
    simulator = Simulator(
        market=market,
        clock=(lambda: fixed) if fixed else (lambda: datetime.now(UTC)),
        faults=Faults(given.fault, market.seed),
        date=lambda: datetime.now(UTC),
        latency_seconds=given.latency_ms / 1000,
    )
    try:
        with serving(simulator, given.port) as base_url:
            show(
                f"OPENROUTER_BASE_URL={base_url}  ({len(simulator.market.paths())} paths; stop with Ctrl-C)", flush=True
            )
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        show_note(f"simulator: {error.strerror}")
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        show_note(f"simulator: {message} (see --help)")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m simulator", description="A simulated OpenRouter, on loopback.")
    parser.add_argument("--port", type=_port, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "--models", type=_models, help=f"how many models there are ({_MARKET.models}; {_DEMO.models} of the demo)"
    )
    parser.add_argument("--seed", type=int, help="another number, another market")
    parser.add_argument("--at", type=_time, help="stop the market's clock at a time such as 2026-05-16T12:00")
    parser.add_argument("--latency-ms", type=int, default=0, help="answer that much later")
    parser.add_argument(
        "--fault", action="append", default=[], type=_fault, metavar="KIND:SHARE", help=f"KIND: {', '.join(KINDS)}"
    )
    parser.add_argument("--demo", action="store_true", help="show what all this gives, in data/demo, and stop")
    parser.add_argument("--days", type=_days, default=60, help="how long the past of the demo is (60)")
    return parser


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-05-16T12:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _port(text: str) -> int:
    return _number(text, 0, 65_535)


def _demo(market: Market, days: int) -> int:
    try:
        return run_demo(market, days)
    except KeyboardInterrupt:
        show_note("simulator: stopped; the next demo takes it up")
        return 130


def _days(text: str) -> int:
    return _number(text, 1, 365)


def _models(text: str) -> int:
    return _number(text, 1, 100_000)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
    return int(text)


def _fault(text: str) -> str:
    try:
        Faults([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


if __name__ == "__main__":
    with safe_output("simulator"):
        sys.exit(main())
