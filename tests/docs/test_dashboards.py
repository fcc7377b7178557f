"""dashboards/grafana.json can be imported, is tidy, and is described in docs/dashboards.md."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "dashboards" / "grafana.json").read_text()
BOARD = json.loads(TEXT)
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
PAGE = (ROOT / "docs" / "dashboards.md").read_text()
COLUMNS = 24  # of Grafana's grid


def _found(part: Any, name: str) -> list[Any]:
    """Return every value of that key, at any depth."""
    if isinstance(part, list):
        return [value for item in part for value in _found(item, name)]
    if isinstance(part, dict):
        return [value for key, value in part.items() if key == name] + _found(list(part.values()), name)
    return []


def _overridden(panel: dict[str, Any], setting: str) -> list[Any]:
    """Return the values of this setting that single columns override."""
    rules = panel["fieldConfig"]["overrides"]
    return [item["value"] for rule in rules for item in rule["properties"] if item["id"] == setting]


def _cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))


def test_the_file_is_formatted_as_json_dumps_does() -> None:
    assert json.dumps(BOARD, indent=2, ensure_ascii=False) + "\n" == TEXT


def test_panels_are_numbered_in_order() -> None:
    assert [panel["id"] for panel in BOARD["panels"]] == list(range(1, len(BOARD["panels"]) + 1))
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in BOARD["panels"]]
    assert places == sorted(places)


def test_panels_do_not_overlap_and_stay_in_the_grid() -> None:
    taken = [cell for panel in BOARD["panels"] for cell in _cells(panel)]
    assert len(taken) == len(set(taken))
    assert all(x < COLUMNS for x, _ in taken)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_title_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    units = _found(panel["fieldConfig"]["defaults"], "unit") + _overridden(panel, "unit")
    assert units or panel["title"] == "Added and removed"  # it has no numbers
    assert panel["targets"]


def test_the_import_asks_for_the_data_source() -> None:
    [source] = BOARD["__inputs"]
    assert (source["type"], source["pluginName"]) == ("datasource", "PostgreSQL")
    used = _found(BOARD, "datasource")
    assert used
    assert all(item == {"type": source["pluginId"], "uid": f"${{{source['name']}}}"} for item in used)
    assert BOARD["id"] is None


def test_the_required_plugins_are_those_in_use() -> None:
    needed = {(item["type"], item["id"]) for item in BOARD["__requires"]}
    panels = {("panel", panel["type"]) for panel in PANELS}
    assert needed == {("grafana", "grafana"), ("datasource", BOARD["__inputs"][0]["pluginId"])} | panels


def test_links_set_variables_that_exist() -> None:
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    links = [link["url"] for panel in PANELS for given in _overridden(panel, "links") for link in given]
    assert links
    for url in links:
        assert url.startswith("/d/${__dashboard.uid}?")
        assert "${__url_time_range}" in url
        named = re.findall(r"var-(\w+)=\$\{__value\.raw:percentencode\}", url) + re.findall(
            r"\$\{(\w+):queryparam\}", url
        )
        assert sorted(named) == sorted(variables)


def test_times_are_utc() -> None:
    assert BOARD["timezone"] == "utc"


def test_the_page_describes_each_panel() -> None:
    shown = re.findall(r"^\| ([^|]+?) +\| ", PAGE.split("## Grafana")[1].split("\n## ")[0], re.MULTILINE)
    assert [name for name in shown if name != "panel"] == [panel["title"] for panel in PANELS]


def test_the_page_names_the_variables() -> None:
    assert [variable["label"] for variable in BOARD["templating"]["list"] if variable["label"] not in PAGE] == []
