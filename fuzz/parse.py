"""Any bytes as an answer of the API: `python -m fuzz.parse [libFuzzer's options] [CORPUS]`.

The first byte chooses the status.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["endpoint_history", "models"]):
    from endpoint_history.parsing.body import read_observation
    from models.observation import Observation, Run, Target

_STATUSES = (200, 200, 404, 500, None)
_RUN = Run("20260516T090000Z-collect-abcdef", "collect", "live")
_AT = datetime(2026, 5, 16, 9, tzinfo=UTC)


def read_anything(data: bytes) -> None:
    """It is read or refused: an outcome with a reason, and no endpoint twice."""
    status = _STATUSES[data[0] % len(_STATUSES)] if data else 200
    reading = read_observation(Observation(_RUN, Target("a", "b"), _AT, status, elapsed_ms=1, body=data[1:]))
    keys = [endpoint.key for endpoint in reading.listing.endpoints] if reading.listing else []
    if len(set(keys)) != len(keys) or (reading.outcome == "ok") != (reading.listing is not None):
        raise AssertionError(reading)
    if reading.outcome == "failed" and not reading.trouble:
        raise AssertionError("refused without a reason")


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_anything)
    atheris.Fuzz()
