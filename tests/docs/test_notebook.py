"""The notebook runs from top to bottom on a simulated history, and its charts have something to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from models.observation import Observation
from tests.support import exporting
from tests.support.factories import MODEL, a_look, an_endpoint

NOTEBOOK = Path(__file__).parents[2] / "docs" / "explore.ipynb"
CHARTS = ["steps", "cheapest", "uptime", "volatile", "reliable", "coverage"]
# In a process of its own: what runs a kernel leaves sockets open, and here a warning is an error. Another renderer than
# that for browsers, which hides the data in a page, leaves charts as they are.
RUN = """
import sys
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.insert(0, nbformat.v4.new_code_cell("import altair; altair.renderers.enable('json')"))
NotebookClient(notebook, km=AsyncKernelManager(kernel_name="python3", transport="ipc"), timeout=60).execute()
del notebook.cells[0]
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture(scope="module")
def outputs() -> Iterator[dict[str, list[Any]]]:
    """What each cell gave, by its id."""
    # A socket's path may have 107 bytes, which those of pytest's folders exceed.
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        url = f"sqlite:///{folder}/history.db"
        exporting.load(url, [*exporting.eventful_months(), *_repriced()])
        places = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        environment = {**os.environ, **dict.fromkeys(places, folder), "DATABASE_URL": url}
        command = [sys.executable, "-c", RUN, str(NOTEBOOK), f"{folder}/ran.ipynb"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        yield {cell["id"]: cell["outputs"] for cell in _code(Path(folder, "ran.ipynb"))}


def _repriced() -> Iterator[Observation]:
    """Two models whose prices moved in the last month."""
    for name in ("acme/owl-1", "acme/owl-2"):
        for minute, price in enumerate(("0.000001", "0.000003", "0.000002")):
            offer = an_endpoint(prompt=price, model_id=name)
            yield a_look(offer, minute=exporting.JULY + 30 * minute, target=name, model=name)


def _code(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def _data(outputs: dict[str, list[Any]], cell: str) -> Any:
    [output] = outputs[cell]
    return output["data"]


def test_the_cells_give_results_and_no_warnings(outputs: dict[str, list[Any]]) -> None:
    assert {output["output_type"] for given in outputs.values() for output in given} == {"execute_result"}


@pytest.mark.parametrize("cell", CHARTS)
def test_a_chart_comes_out_with_data(outputs: dict[str, list[Any]], cell: str) -> None:
    chart = _data(outputs, cell)["application/json"]
    assert "/vega-lite/" in chart["$schema"]
    [rows] = chart["datasets"].values()
    assert len(rows) > 1
    asked = set(_fields([chart.get("encoding"), chart.get("layer")]))
    assert asked
    assert [field for field in asked if all(row[field] is None for row in rows)] == []


def _fields(part: Any) -> Iterator[str]:
    """Every column that this part of a chart shows."""
    if isinstance(part, list):
        for item in part:
            yield from _fields(item)
    elif isinstance(part, dict):
        if "field" in part:
            yield part["field"]
        yield from _fields(list(part.values()))


def test_the_model_is_chosen_from_the_data(outputs: dict[str, list[Any]]) -> None:
    assert MODEL in "".join(_data(outputs, "open")["text/plain"])
    assert "north/fp8" in "".join(_data(outputs, "prices")["text/plain"])
    assert _data(outputs, "steps")["application/json"]["layer"][0]["title"] == f"Prompts of {MODEL}"


def test_a_day_without_a_value_is_not_drawn_as_zero(outputs: dict[str, list[Any]]) -> None:
    chart = _data(outputs, "uptime")["application/json"]
    [rows] = chart["datasets"].values()
    unknown = [row for row in rows if row["covered_minutes"] == 0]
    assert {row["uptime_pct"] for row in unknown} == {None} < {row["uptime_pct"] for row in rows}
    coloured = [layer for layer in chart["layer"] if "color" in layer["encoding"]]
    assert [layer["transform"] for layer in coloured] == [[{"filter": "isValid(datum.uptime_pct)"}]]


def test_the_notebook_is_kept_without_what_it_gave() -> None:
    cells = _code(NOTEBOOK)
    assert [cell["id"] for cell in cells] == ["open", "prices", *CHARTS]
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_the_notebook_is_a_valid_one() -> None:
    nbformat.validate(json.loads(NOTEBOOK.read_text()))
