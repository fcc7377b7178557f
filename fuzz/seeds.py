"""Small payloads of our own to grow a corpus from: `python -m fuzz.seeds FOLDER`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from simulator.market import Market

_AT = datetime(2026, 5, 16, 9, tzinfo=UTC)


def seeds() -> list[bytes]:
    """Bodies of a small market, errors, and the shapes in which people save bodies."""
    market = Market(models=3)
    bodies = [json.dumps(market.body(path, _AT)).encode() for path in market.paths()]
    error = json.dumps({"error": {"code": 404, "message": "Model not found"}}).encode()
    walk = json.dumps({"fetchedAt": "2026-05-16T09:00:00Z", "data": [{"response": json.loads(bodies[0])}]}).encode()
    lines = b"\n".join(bodies)
    return [*bodies, error, walk, lines, b"{}", b"[]", b"null", b"<!doctype html><html></html>"]


def main() -> None:
    """Write each once for every way that its first byte may choose."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        for choice in range(9):
            (folder / f"seed-{number}-{choice}").write_bytes(bytes([choice]) + seed)


if __name__ == "__main__":
    main()
