"""The benchmarks run: what they measure at their real size nobody waits for here."""

from __future__ import annotations

import re

import pytest

from benchmarks import rebuild


def test_the_rebuild_is_measured_against_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    rebuild.main(["--bodies", "20"])
    told = capsys.readouterr().out
    assert "20 bodies of 1 runs" in told
    assert re.search(r"SQLite +rebuild +[0-9.]+ s, [0-9,]+ bodies/s", told)
    assert re.search(r"ratio +[0-9.]+\n", told)
