"""The import contracts of pyproject.toml are kept, and what they call pure reads no clock."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.prefect_server import BIN, ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PURE = next(contract["source_modules"] for contract in CONTRACTS if contract["name"] == "What decides is pure")
CLOCKS = {"now", "today", "utcnow"}


def files_of(module: str) -> list[Path]:
    path = ROOT / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def test_every_import_contract_is_kept() -> None:
    done = subprocess.run([BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [path for module in PURE for path in files_of(module)], ids=lambda path: path.stem)
def test_a_pure_module_reads_no_clock(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    assert [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute) and node.attr in CLOCKS] == []
