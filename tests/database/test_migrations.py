"""The schema moves up and down without loss, and ends where the tables say."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import Script, ScriptDirectory

from endpoint_history.database.engine import differences, downgrade, open_engine, opened, revisions, upgrade
from models.tables import metadata
from tests.support.factories import MORNING, at

ROOT = Path(__file__).parents[2]
VERSIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))
SCRIPTS = ScriptDirectory(str(ROOT / "migrations"))
CHAIN = list(SCRIPTS.walk_revisions())

MODEL = {
    "id": 1,
    "openrouter_id": "acme/swift-1",
    "name": "Swift",
    "description": "",
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    "first_seen_at": MORNING,
    "last_seen_at": at(30),
}
ENDPOINT = {
    "id": 1,
    "model_id": 1,
    "variant": "acme/swift-1",
    "route": "north",
    "ordinal": 0,
    "name": "North",
    "features": {"native_tools": True},
    "first_seen_at": MORNING,
    "last_seen_at": MORNING,
}
LOOK = {
    "id": 1,
    "run_id": 1,
    "target_id": 1,
    "observed_at": MORNING,
    "outcome": "ok",
    "complete": True,
    "is_evidence": True,
    "model_id": 1,
    "body_digest": "0123456789abcdef",
}
ABSENCE = {"endpoint_id": 1, "observed_at": MORNING, "observation_id": 1, "listed": False}
ROWS_OF_0001: dict[str, dict[str, Any]] = {
    "models": MODEL,
    "runs": {"id": 1, "name": "r", "kind": "collect", "source": "live", "started_at": MORNING},
    "targets": {"id": 1, "author": "acme", "slug": "swift-1"},
    "endpoints": ENDPOINT,
    "observations": LOOK,
    "paths": {"target_id": 1, "model_id": 1},
    "listing_changes": ABSENCE,
    "pricing_snapshots": ABSENCE | {"varies": False},
    "uptime_samples": {"endpoint_id": 1, "observed_at": MORNING, "status": -1, "uptime_5m_pct": 99.5},
}


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[sa.Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


def _tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def _schema(engine: sa.Engine) -> dict[str, list[str]]:
    """Everything that the database tells about its tables and views."""
    look = sa.inspect(engine)
    told = (
        look.get_columns,
        look.get_foreign_keys,
        look.get_unique_constraints,
        look.get_check_constraints,
        look.get_indexes,
    )
    views = {view: [str(look.get_view_definition(view))] for view in look.get_view_names()}
    return views | {
        table: [_plain(look.get_pk_constraint(table)), *sorted(_plain(thing) for tell in told for thing in tell(table))]
        for table in _tables(engine)
    }


def _plain(thing: Any) -> str:
    if isinstance(thing, dict):
        return str({key: _plain(value) for key, value in thing.items()})
    return str(thing) if isinstance(thing, sa.TextClause) else repr(thing)


def _alembic(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return whole | {"." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}


def test_there_is_exactly_one_head_revision() -> None:
    assert len(SCRIPTS.get_heads()) == 1


@pytest.mark.parametrize("script", CHAIN, ids=lambda script: str(script.revision))
def test_every_revision_has_a_working_downgrade(script: Script) -> None:
    body = ast.parse(inspect.getsource(script.module.downgrade)).body[0]
    assert isinstance(body, ast.FunctionDef)
    undoes = any(re.search(r"op\.drop_|op\.batch_alter|DROP VIEW", ast.unparse(line)) for line in body.body)
    assert undoes or (ast.get_docstring(body) or "").startswith("Keep the views:")


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_imports_no_application_module(path: Path) -> None:
    assert {name.split(".")[0] for name in _imported(path)} <= {"sqlalchemy", "alembic", "typing"}


def test_upgrade_ends_at_the_head_revision(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine:
        assert revisions(engine) == (SCRIPTS.get_current_head(), SCRIPTS.get_current_head())


def test_upgrade_leaves_no_difference_from_the_tables(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine:
        assert differences(engine) == []


def test_upgrade_makes_the_constraints_of_the_tables(empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url)
    migrated = {table: told for table, told in _schema(engine).items() if table in metadata.tables}
    downgrade(empty_database_url, "base")
    metadata.create_all(engine)
    assert migrated == _schema(engine)


def test_differences_tell_of_a_dropped_index(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as engine, engine.begin() as connection:
        connection.execute(sa.text("DROP INDEX ix_observations_run_id"))
    with opened(empty_database_url) as engine:
        assert [(what, index.name) for what, index in differences(engine)] == [("add_index", "ix_observations_run_id")]


def test_down_to_base_leaves_no_table_and_no_view(empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")
    assert _schema(engine) == {}


@pytest.mark.parametrize("to", [script.down_revision or "base" for script in CHAIN])
def test_down_and_up_again_leaves_the_same_schema(to: str, empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url)
    before = _schema(engine)
    downgrade(empty_database_url, to)
    upgrade(empty_database_url)
    assert before == _schema(engine)


def test_upgrading_an_upgraded_database_changes_nothing(empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url)
    before = _schema(engine)
    upgrade(empty_database_url)
    assert before == _schema(engine)


def test_a_database_of_revision_0001_has_the_tables_filled_here(empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url, "0001")
    assert _tables(engine) == set(ROWS_OF_0001)


def test_rows_of_revision_0001_come_through_an_upgrade(empty_database_url: str, engine: sa.Engine) -> None:
    upgrade(empty_database_url, "0001")
    with engine.begin() as connection:
        for name, row in ROWS_OF_0001.items():
            connection.execute(sa.insert(metadata.tables[name]).values(row))
    upgrade(empty_database_url)
    with engine.connect() as connection:
        found = {name: connection.execute(sa.select(metadata.tables[name])).mappings().all() for name in ROWS_OF_0001}
    assert {name: [{key: row[key] for key in ROWS_OF_0001[name]} for row in rows] for name, rows in found.items()} == {
        name: [row] for name, row in ROWS_OF_0001.items()
    }


def test_the_alembic_command_line_upgrades_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    done = _alembic("upgrade", "head", url=url)
    assert done.returncode == 0, done.stderr
    with opened(url) as engine:
        assert differences(engine) == []


def test_offline_sql_makes_the_tables_of_postgresql() -> None:
    done = _alembic("upgrade", "head", "--sql", url="postgresql://user@127.0.0.1/history")
    assert done.returncode == 0, done.stderr
    assert "CREATE TABLE pricing_snapshots" in done.stdout
    assert "CREATE VIEW current_prices" in done.stdout
