"""What every test stands on: nobody's settings, no network, its own folder, and real databases for those who ask."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from endpoint_history.database.engine import upgrade
from endpoint_history.settings import Settings
from tests.support import exporting, network, postgres, prefect_server
from tests.support.oldest_sqlite import refuse_newer_sql

_OWN_SETTINGS = {name.upper() for name in Settings.model_fields}
_OTHERS_SETTINGS = ("OPENROUTER_", "PREFECT_", "PG")

# Chosen by `--hypothesis-profile`. In CI the examples are the same each time, as in Hypothesis's own profile.
_BASE = settings.get_profile("ci" if os.environ.get("CI") else "default")
settings.register_profile("quick", _BASE, deadline=None, max_examples=30)
settings.register_profile("thorough", _BASE, deadline=None, max_examples=300)
settings.load_profile("quick")

_PREFECT = "prefect"
_PREFECT_MODULES = ("tests/flows/", "tests/monitoring/test_health", "tests/system/test_secret")


# Last, as the folder changes: other plug-ins read paths on the command line against the one that pytest was called in.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Isolate the session before tests are imported: Prefect reads the environment and `.env` at its import."""
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return  # it only hands out tests: to workers, which find them from here
    home = tempfile.TemporaryDirectory(prefix="endpoint-history-tests-")
    config.add_cleanup(home.cleanup)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.chdir(home.name)
    _clean_environment(patch, Path(home.name) / "prefect")
    # This process compiles modules for all, but no command does: Python would leave a cut file behind if the test
    # limits the size of files.
    patch.setattr(sys, "dont_write_bytecode", False)
    patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    network.keep_to_loopback(patch)
    sa.event.listen(sa.Engine, "before_cursor_execute", refuse_newer_sql)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the cases that `slow_unless` does not spare."""
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    for mark in item.iter_markers("slow_unless"):
        if any(params[name] not in values for name, values in mark.kwargs.items()):
            item.add_marker("slow")


class _Modules(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Let one process run all tests of a module, so that its fixtures are made once.

    The modules that need the Prefect server count as one. (`--dist loadgroup` of xdist 3.8 groups nothing under
    pytest 9.2, which takes no changed node ids.)
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return _PREFECT if module.startswith(_PREFECT_MODULES) else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out tests by module, whatever `--dist` says."""
    return _Modules(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests of the Prefect server: they are the longest group, and mostly wait.

    Raises UsageError if `slow_unless` leaves no case of a test, as after a parameter was renamed.
    """
    if not any("::" in argument for argument in config.args):
        spared = [item for item in items if item.get_closest_marker("slow_unless")]
        kept = {item.nodeid.partition("[")[0] for item in spared if not item.get_closest_marker("slow")}
        if lost := {item.nodeid.partition("[")[0] for item in spared} - kept:
            raise pytest.UsageError(f"slow_unless leaves no case of {', '.join(sorted(lost))}")
    items.sort(key=lambda item: not _uses_prefect(item))


def _uses_prefect(item: pytest.Item) -> bool:
    return "prefect_api" in getattr(item, "fixturenames", ())


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test by its parameter, not by compressed bytes: gzip holds the time, and all processes must agree."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in its own empty folder, and take back what it does to the environment."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server's maintenance database."""
    with _or_skipped(), postgres.server() as url:
        yield url


@pytest.fixture
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of the test's own, which may fall; its maintenance database has the schema."""
    with _or_skipped(), postgres.cluster() as made:
        upgrade(made.url)
        yield made


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database that has the schema and nothing in it: a copy takes a tenth of an upgrade."""
    with postgres.database(postgres_server) as url:
        upgrade(url)
        yield str(sa.make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database that has the schema and nothing in it."""
    path = tmp_path_factory.mktemp("template") / "history.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database that has the schema and nothing in it."""
    with postgres.database(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database without any schema."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that has the schema and nothing in it: the test runs on SQLite and on PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "history.db")
    return f"sqlite:///{tmp_path}/history.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any schema, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    return str(request.getfixturevalue("empty_postgres_url"))


@pytest.fixture(scope="session")
def short_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of some eventful months, for tests to copy."""
    path = tmp_path_factory.mktemp("short") / "history.db"
    exporting.load(f"sqlite:///{path}", exporting.eventful_months())
    return path


@pytest.fixture
def history_url(short_history: Path, tmp_path: Path) -> str:
    """The URL of a copy of that database."""
    return f"sqlite:///{shutil.copy(short_history, tmp_path / 'history.db')}"


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the Prefect server keeps what it keeps."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_api(prefect_home: Path) -> Iterator[str]:
    """The URL of the API of a real Prefect server."""
    with prefect_server.server(prefect_home) as api:
        yield api


@contextmanager
def _or_skipped() -> Iterator[None]:
    try:
        yield
    except postgres.PostgresMissing as missing:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(f"REQUIRE_POSTGRES=1, but {missing}", pytrace=False)
        pytest.skip(str(missing))


def _clean_environment(patch: pytest.MonkeyPatch, prefect_home: Path) -> None:
    for name in list(os.environ):
        upper = name.upper()
        if upper in _OWN_SETTINGS or upper.startswith(_OTHERS_SETTINGS) or upper.endswith("_PROXY"):
            patch.delenv(name)
    patch.setenv("PREFECT_HOME", str(prefect_home))
    patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    patch.setenv("DO_NOT_TRACK", "1")
