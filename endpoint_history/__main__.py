"""Where `endpoint-history` begins: Ctrl-C ends it quietly from the first moment; importing the rest takes a second."""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from endpoint_history.terminal import safe_output  # noqa: PLC0415

    with safe_output("endpoint-history"):
        from endpoint_history.cli import app as cli  # noqa: PLC0415

        cli.main()


if __name__ == "__main__":
    main()
