"""The fuzzers run, and would tell what they find."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not for this machine")
ROOT = Path(__file__).parents[2]


def fuzz(what: str, corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    subprocess.run([sys.executable, "-m", "fuzz.seeds", str(corpus)], cwd=ROOT, check=True)
    words = [sys.executable, "-m", f"fuzz.{what}", "-seed=1", f"-artifact_prefix={corpus}/", *options, str(corpus)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow_unless(what=["parse"])
@pytest.mark.parametrize(("what", "tries"), [("parse", 600), ("files", 600), ("fetch", 400)])
def test_fuzzing_finds_nothing_in_some_hundred_tries(what: str, tries: int, tmp_path: Path) -> None:
    done = fuzz(what, tmp_path / "corpus", f"-runs={tries}", "-timeout=30", "-rss_limit_mb=1024")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr


@pytest.mark.slow
def test_a_crash_would_be_told(tmp_path: Path) -> None:
    broken = "import atheris, sys; import fuzz.parse as f; f.read_observation = lambda _: 1 / 0\n"
    script = f"{broken}atheris.Setup(sys.argv, f.read_anything); atheris.Fuzz()"
    words = [sys.executable, "-c", script, "-runs=10", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr
