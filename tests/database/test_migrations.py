"""Migrations create the schema that the tables and views describe, and nothing else."""

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

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import Script, ScriptDirectory

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import differences, downgrade, migrating, open_engine, opened, revisions, upgrade
from endpoint_history.errors import ConfigurationError, HistoryError
from models import views
from models.tables import metadata
from models.views import current_prices
from models.views.definition import View, select
from tests.support.factories import RUN, a_look, an_endpoint

ROOT = Path(__file__).parents[2]
VERSIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))
SCRIPTS = ScriptDirectory(str(ROOT / "migrations"))
CHAIN = list(SCRIPTS.walk_revisions())


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
        lambda table: [look.get_table_comment(table)] if engine.dialect.supports_comments else [],
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
    assert "op.drop_" in inspect.getsource(script.module.downgrade)


@pytest.mark.parametrize("script", CHAIN, ids=lambda script: str(script.revision))
def test_a_revision_is_named_as_its_file(script: Script) -> None:
    assert Path(script.path).stem == script.revision


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_imports_no_application_module(path: Path) -> None:
    assert {name.split(".")[0] for name in _imported(path)} <= {
        "__future__",
        "alembic",
        "migrations",
        "sqlalchemy",
        "typing",
    }


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


def _oids(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        query = "SELECT oid FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        return list(connection.execute(sa.text(query.replace(":", "\\:"))).scalars())


def test_upgrading_drops_no_view_that_is_up_to_date(postgres_url: str) -> None:
    with opened(postgres_url) as engine:
        before = _oids(engine)
        upgrade(postgres_url)
        assert before == _oids(engine)


def test_upgrading_waits_for_no_reader_of_the_views(postgres_url: str) -> None:
    with opened(postgres_url) as engine, engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM current_prices")).one()
        upgrade(postgres_url)


@pytest.mark.parametrize("name", ["price_changes", "daily_coverage"])
def test_upgrading_replaces_a_view_that_differs(name: str, database_url: str) -> None:
    with opened(database_url) as engine:
        before = _schema(engine)
        with engine.begin() as connection:
            if name == "price_changes":
                connection.execute(sa.text("DROP VIEW model_price_changes"))  # it reads the other
            connection.execute(sa.text(f"DROP VIEW {name}"))
            connection.execute(sa.text(f"CREATE VIEW {name} AS SELECT 1 AS as_it_was"))
        upgrade(database_url)
        assert before == _schema(engine)


def test_upgrading_sets_the_comments_that_differ(postgres_url: str) -> None:
    comment = "SELECT col_description('runs'\\:\\:regclass, 2), obj_description('current_prices'\\:\\:regclass)"
    with opened(postgres_url) as engine:
        with engine.begin() as connection:
            before = connection.execute(sa.text(comment)).one()
            connection.execute(sa.text("COMMENT ON COLUMN runs.name IS 'As it was.'"))
            connection.execute(sa.text("COMMENT ON VIEW current_prices IS NULL"))
        upgrade(postgres_url)
        with engine.connect() as connection:
            assert before == connection.execute(sa.text(comment)).one()
    assert None not in before


def test_views_of_other_people_are_kept(database_url: str) -> None:
    with opened(database_url) as engine:
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE VIEW mine AS SELECT count(*) AS models FROM models"))
        upgrade(database_url)
        assert "mine" in sa.inspect(engine).get_view_names()


def test_an_upgrade_that_fails_at_the_views_leaves_nothing(
    empty_database_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = View("broken", "It has a syntax error.", [select("x", "1 +", sa.Integer, "None.")], ("models",))
    monkeypatch.setattr(views, "_DEFINITIONS", (*views._DEFINITIONS[:3], lambda _: broken))
    with pytest.raises(HistoryError, match="can't be used"):
        upgrade(empty_database_url)
    assert _schema(engine) == {}


def test_the_alembic_command_line_gives_the_same_schema(tmp_path: Path, sqlite_template: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    done = _alembic("upgrade", "head", url=url)
    assert done.returncode == 0, done.stderr
    with opened(url) as engine, opened(f"sqlite:///{sqlite_template}") as template:
        assert _schema(engine) == _schema(template)


def test_the_current_command_of_alembic_changes_no_view(database_url: str) -> None:
    with opened(database_url) as engine:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP VIEW current_prices"))
        done = _alembic("current", url=database_url)
        assert (done.returncode, done.stdout) == (0, "0001_tables (head)\n")
        assert "current_prices" not in sa.inspect(engine).get_view_names()


def test_offline_sql_makes_the_schema_of_postgresql(empty_postgres_url: str, postgres_template: str) -> None:
    done = _alembic("upgrade", "head", "--sql", url=empty_postgres_url)
    assert done.returncode == 0, done.stderr
    url = sa.make_url(empty_postgres_url)
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        connection.execute(done.stdout.encode())
    template = url.set(database=postgres_template).render_as_string(hide_password=False)
    with opened(empty_postgres_url) as engine, opened(template) as expected:
        assert _schema(engine) == _schema(expected)


@pytest.fixture
def old_database_url(empty_database_url: str, engine: sa.Engine) -> str:
    """A database at a revision from before the first release."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('0012')"))
        connection.execute(sa.text("CREATE TABLE paths (target_id INTEGER, model_id INTEGER)"))
    return empty_database_url


def _refusal(url: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        upgrade(url)
    return str(refused.value)


@pytest.mark.parametrize("revision", [f"{number:04}" for number in range(1, 13)])
def test_a_database_of_an_earlier_version_has_to_be_rebuilt(revision: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    with migrating(url) as connection, connection.begin():
        connection.execute(sa.text(f"CREATE TABLE alembic_version AS SELECT '{revision}' AS version_num"))
    assert f"was made by an earlier version (revision {revision}) and has to be rebuilt from its archive" in _refusal(
        url
    )


def test_every_way_in_refuses_an_earlier_database_alike(old_database_url: str, engine: sa.Engine) -> None:
    before = _schema(engine)
    line = _refusal(old_database_url)
    with pytest.raises(ConfigurationError, match=re.escape(line)):
        downgrade(old_database_url, "base")
    with pytest.raises(ConfigurationError, match=re.escape(line)), opened(old_database_url):
        pass
    done = _alembic("upgrade", "head", url=old_database_url)
    assert (done.returncode, done.stdout + done.stderr) == (255, f"FAILED: {line}\n")
    assert _schema(engine) == before


def test_an_earlier_database_on_postgresql_is_left_for_a_new_one(empty_postgres_url: str) -> None:
    with migrating(empty_postgres_url) as connection, connection.begin():
        connection.execute(sa.text("CREATE TABLE alembic_version AS SELECT '0003' AS version_num"))
    assert "; name a new database in DATABASE_URL, then run: endpoint-history db" in _refusal(empty_postgres_url)


def test_the_commands_for_an_earlier_database_rebuild_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "sqlite:///data/history.db"
    monkeypatch.setenv("DATABASE_URL", url)
    with Archive("data/archive").open_bundle(RUN) as bundle:
        bundle.add(a_look(an_endpoint()))
    upgrade(url)
    with opened(url) as engine, engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0012'"))
    for commands in re.findall(r"mv [^,]+|endpoint-history db .*", _refusal(url)):
        here = commands.replace("endpoint-history", f"{sys.executable} -m endpoint_history")
        subprocess.run(here, shell=True, check=True, capture_output=True, timeout=60)
    with opened(url) as engine, engine.connect() as connection:
        assert connection.execute(sa.select(current_prices.c.route)).scalars().all() == ["north/fp8"]
