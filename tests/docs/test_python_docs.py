"""docs/python.md lists every public name of the package, its example runs, and the import stays light."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import endpoint_history
from tests.support.exporting import eventful_months, load
from tests.support.factories import MODEL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
README = (ROOT / "README.md").read_text()
ERRORS = {"ConfigurationError", "HistoryError"}
DEMO = "sqlite:///data/demo/history.db"


def example_of(page: str) -> str:
    (code,) = [code for code in re.findall(r"```python\n([^`]*)```", page) if "endpoint_history" in code]
    return str(code)


def test_the_page_lists_every_public_name_once() -> None:
    names = re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE)
    assert sorted([*names, *ERRORS]) == sorted(endpoint_history.__all__)


@pytest.mark.parametrize("name", sorted(set(endpoint_history.__all__) - ERRORS))
def test_the_page_names_the_arguments_that_a_function_has(name: str) -> None:
    signature = re.search(rf"`{name}\(([^)]*)\)`", PAGE)
    assert signature
    shown = [part.split("=")[0].strip() for part in signature[1].split(",")]
    code = (
        getattr(endpoint_history, name).__init__ if name in {"Usage", "Conditions"} else getattr(endpoint_history, name)
    )
    assert {*shown} - {"…", "*"} <= {*code.__code__.co_varnames}


@pytest.mark.parametrize("page", [PAGE, README], ids=["python.md", "README.md"])
def test_the_example_runs(page: str, tmp_path: Path) -> None:
    url = load(f"sqlite:///{tmp_path}/history.db", eventful_months())
    code = example_of(page)
    assert DEMO in code
    exec(code.replace(DEMO, url).replace("aurora/sage-30b", MODEL), {})


def test_the_package_imports_pandas_when_a_function_is_first_used() -> None:
    code = (
        "import sys, endpoint_history.errors; assert 'pandas' not in sys.modules;"
        "from endpoint_history import prices_now; assert 'pandas' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_name_is_no_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'pricesnow'"):
        endpoint_history.pricesnow  # noqa: B018
    assert set(endpoint_history.__all__) <= set(dir(endpoint_history))
