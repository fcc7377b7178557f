"""Each third-party package has one door, and what is pure stays pure."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    str(path.relative_to(ROOT)): path
    for folder in ("analysis", "flows", "models", "pages")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
DOORS: dict[str, set[str]] = {
    "httpx": {"flows/alert_receiver.py", "flows/http_client.py", "flows/redirects.py"},
    "httpx_aiohttp": {"flows/http_client.py"},
    "aiolimiter": {"flows/politeness.py"},
    "stamina": {"flows/alert_outbox.py", "flows/fetch.py"},
    "prefect": {
        "flows/alert_receiver.py",
        "flows/automations.py",
        "flows/backfill.py",
        "flows/collect.py",
        "flows/maintain.py",
        "flows/prefect_run.py",
        "flows/prefect_serve.py",
        "flows/schedules.py",
        "flows/site.py",
        "flows/temporary_server.py",
        "flows/workers.py",
    },
    "fsspec": {"flows/storage.py"},
    "alembic": {"flows/database.py"},
    "typer": {
        "flows/alerts_cli.py",
        "flows/backfill_cli.py",
        "flows/cheapest_cli.py",
        "flows/cli.py",
        "flows/export_cli.py",
        "flows/runs_cli.py",
        "flows/site_cli.py",
    },
    "jinja2": {"pages/render.py"},
    "numpy": {"analysis/parquet.py"},
    "pyarrow": {"analysis/parquet.py"},
    "dlt": set(),
    "duckdb": set(),
    "git_history": set(),
    "rich": {"flows/progress.py"},
    "pydantic_settings": {"flows/settings.py"},
    "aiohttp": {"flows/http_client.py", "flows/network_trouble.py"},
    "fastapi": set(),
    "pandas": {"analysis/dataframe.py"},
    "psycopg": set(),
}
PURE = [
    "analysis/cost.py",
    "analysis/uptime.py",
    "analysis/conditions.py",
    "flows/alerting.py",
    "flows/parse.py",
    "flows/prices.py",
    "flows/fields.py",
    "flows/endpoints.py",
    "flows/strict_json.py",
    "flows/change.py",
    "flows/evidence.py",
    "models/listing.py",
    "models/observation.py",
]
IMPURE_PACKAGES = {"asyncio", "fsspec", "httpx", "os", "pathlib", "prefect", "random", "socket", "sqlalchemy", "time"}
CLOCKS = {"now", "today", "utcnow"}


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text())


def _imported(tree: ast.AST) -> set[str]:
    """The dotted names of what is imported, wherever in the module that stands."""
    nodes = list(ast.walk(tree))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return whole | parts


def _packages(name: str) -> set[str]:
    return {dotted.split(".")[0] for dotted in _imported(_tree(name))}


def _own_modules(name: str) -> set[str]:
    """The modules of this project that it imports."""
    prefixes = {
        ".".join(parts[:length]) for parts in (d.split(".") for d in _imported(_tree(name))) for length in (2, 3)
    }
    return {prefix.replace(".", "/") + ".py" for prefix in prefixes} & MODULES.keys()


def _reached(name: str) -> set[str]:
    reached, ahead = set[str](), {name}
    while ahead:
        reached |= ahead
        ahead = {found for module in ahead for found in _own_modules(module)} - reached
    return reached


@pytest.mark.parametrize(("package", "doors"), DOORS.items(), ids=DOORS)
def test_a_package_is_used_behind_its_door_alone(package: str, doors: set[str]) -> None:
    assert {name for name in MODULES if package in _packages(name)} == doors


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_by_absolute_names(name: str) -> None:
    assert [node for node in ast.walk(_tree(name)) if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("models/")))
def test_the_nouns_do_not_know_the_verbs(name: str) -> None:
    assert "flows" not in _packages(name)


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reaches_nothing_that_acts(name: str) -> None:
    assert {(module, package) for module in _reached(name) for package in _packages(module) & IMPURE_PACKAGES} == set()


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_asks_no_clock(name: str) -> None:
    nodes = list(ast.walk(_tree(name)))
    assert [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute) and node.attr in CLOCKS] == []


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import httpx.auth as a", {"httpx.auth"}),
        ("from prefect.events import emit_event", {"prefect.events.emit_event"}),
        ("def f():\n    if True:\n        import pandas, time", {"pandas", "time"}),
    ],
)
def test_every_form_of_import_is_seen_here(code: str, packages: set[str]) -> None:
    assert _imported(ast.parse(code)) == packages
