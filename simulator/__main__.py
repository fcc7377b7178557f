"""Serve the simulated OpenRouter, or with `--demo` collect from it once: `python -m simulator --help`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator.faults import KINDS, Faults
from simulator.market import Market
from simulator.server import Simulator, serving

_DEMO_FOLDER = Path("data/demo")


def main() -> int:
    """Read the command line and do as it says."""
    given = _parser().parse_args()
    fixed = given.at
    if given.demo:
        return _demo(Simulator(market=Market(given.models, given.seed)))
    simulator = Simulator(
        market=Market(given.models, given.seed),
        clock=(lambda: fixed) if fixed else (lambda: datetime.now(UTC)),
        faults=Faults(given.fault, given.seed),
        latency_seconds=given.latency_ms / 1000,
    )
    try:
        with serving(simulator, given.port) as base_url:
            print(
                f"OPENROUTER_BASE_URL={base_url}  ({len(simulator.market.paths())} paths; stop with Ctrl-C)", flush=True
            )
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        print(f"simulator: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A simulated OpenRouter, on loopback.")
    parser.add_argument("--port", type=_port, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--models", type=_models, default=40, help="how many models there are (40)")
    parser.add_argument("--seed", type=int, default=1, help="another number, another market")
    parser.add_argument("--at", type=_time, help="stop the market's clock at a time such as 2026-05-16T12:00")
    parser.add_argument("--latency-ms", type=int, default=0, help="answer that much later")
    parser.add_argument(
        "--fault", action="append", default=[], type=_fault, metavar="KIND:SHARE", help=f"KIND: {', '.join(KINDS)}"
    )
    parser.add_argument("--demo", action="store_true", help="collect once into data/demo, and stop")
    return parser


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-05-16T12:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _port(text: str) -> int:
    return _number(text, 0, 65_535)


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


def _demo(simulator: Simulator) -> int:
    """The command line of the product, as anybody would use it: twice, so that prices have moved between."""
    start = datetime.now(UTC)
    before = start - timedelta(days=3)
    with serving(simulator) as base_url:
        steps = [
            (before, "A database:", ["db", "upgrade"]),
            (before, "\nA look at the prices of three days ago:", ["collect", "--no-prefect"]),
            (start, "\nAnd one at those of now, as a Prefect flow:", ["collect"]),
        ]
        # Another demo goes on from now: prices of the past would come back in it.
        for at, heading, words in steps[2:] if (_DEMO_FOLDER / "history.db").exists() else steps:
            print(heading, flush=True)
            simulator.clock = lambda at=at: at  # type: ignore[misc]
            # Only our own interpreter is started.
            done = subprocess.run([sys.executable, "-m", "flows", *words], env=_variables(base_url), check=False)  # noqa: S603
            if done.returncode:
                return done.returncode
    print(f"\nAsk it with the queries of the README: sqlite3 {_DEMO_FOLDER}/history.db")
    print(f"Other commands: export DATABASE_URL=sqlite:///{_DEMO_FOLDER}/history.db ARCHIVE_URL={_DEMO_FOLDER}/archive")
    return 0


def _variables(base_url: str) -> dict[str, str]:
    """The demo's own settings, and its own Prefect: it must not show in anybody's real one."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
    return {
        **others,
        "PREFECT_HOME": str(_DEMO_FOLDER.absolute() / "prefect"),
        "OPENROUTER_BASE_URL": base_url,
        "OPENROUTER_API_KEY": "",
        "DATABASE_URL": f"sqlite:///{_DEMO_FOLDER}/history.db",
        "ARCHIVE_URL": str(_DEMO_FOLDER / "archive"),
        "TARGETS_FILE": str(Path(__file__).with_name("targets.toml")),
        "REQUESTS_PER_SECOND": "0",
    }


if __name__ == "__main__":
    sys.exit(main())
