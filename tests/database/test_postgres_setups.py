"""PostgreSQL as people set it up: other encodings, other session settings, and poolers in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from endpoint_history.archive.bundles import Archive
from endpoint_history.database.engine import differences, opened, upgrade, writing
from endpoint_history.database.partitions import release_partitions
from endpoint_history.errors import ConfigurationError
from endpoint_history.loading.rebuild import rebuild, verify
from endpoint_history.rollups.retention import remove_old_samples
from tests.support import postgres
from tests.support.collecting import ARCHIVE, history
from tests.support.exporting import eventful_months, load
from tests.support.pooler import pooled
from tests.support.three_runs import full_archive

NIGHTLY = datetime(2026, 9, 1, tzinfo=UTC)
SETTINGS = {
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Kolkata",
    "IntervalStyle": "sql_standard",
    "client_encoding": "LATIN1",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
}


def _open(url: str) -> None:
    with opened(url):
        raise AssertionError("a database that can't hold every name was opened")


@contextlib.contextmanager
def _administrator(server_url: str) -> Iterator[psycopg.Connection]:
    plain = sa.make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module", params=["LATIN1", "SQL_ASCII", "EUC_JP"])
def other_encoding(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[tuple[str, str]]:
    """An encoding, and the URL of an empty database that stores it."""
    name = f"test_{request.param.lower()}"
    made = "CREATE DATABASE {} ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    with _administrator(postgres_server) as connection:
        connection.execute(sql.SQL(made).format(sql.Identifier(name), request.param))
        try:
            yield request.param, sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def odd_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of a database with the schema, whose sessions begin with other settings than usual."""
    with postgres.database(postgres_server, postgres_template) as url, _administrator(postgres_server) as connection:
        name = sql.Identifier(str(sa.make_url(url).database))
        for setting, value in SETTINGS.items():
            connection.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), value))
        yield url


@pytest.fixture
def pooled_url(odd_url: str) -> Iterator[str]:
    """The URL of such a database through a transaction pooler."""
    with pooled(odd_url) as url:
        yield url


@pytest.mark.parametrize("action", [upgrade, _open])
def test_a_database_that_does_not_store_utf8_is_refused(
    action: Callable[[str], Any], other_encoding: tuple[str, str]
) -> None:
    encoding, url = other_encoding
    with pytest.raises(ConfigurationError) as refused:
        action(url)
    assert str(refused.value) == (
        f"the database test_{encoding.lower()} stores {encoding}, which can't hold every provider's name;"
        " make one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
    )


def test_a_refused_database_is_left_empty(other_encoding: tuple[str, str]) -> None:
    _, url = other_encoding
    with pytest.raises(ConfigurationError):
        upgrade(url)
    with _administrator(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.parametrize("way", ["odd_url", "pooled_url"])
def test_settings_of_the_database_change_no_value(way: str, postgres_url: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(way)
    for each in (postgres_url, url):
        load(each, eventful_months())
    assert history(url) == history(postgres_url)


@pytest.mark.parametrize("way", ["odd_url", "pooled_url"])
def test_a_writer_has_its_own_settings(way: str, request: pytest.FixtureRequest) -> None:
    """Among them the isolation: whoever waited for other writers must read what they committed."""
    names = [name.removeprefix("default_") for name in SETTINGS]
    with opened(request.getfixturevalue(way)) as engine, writing(engine) as connection:
        found = [connection.scalar(sa.text(f"SHOW {name}")) for name in names]
    assert found == ["ISO, MDY", "UTC", "postgres", "UTF8", "1", "hex", "on", "read committed"]


def test_an_empty_database_is_set_up_through_a_pooler(empty_postgres_url: str) -> None:
    with pooled(empty_postgres_url) as url:
        upgrade(url)
        with opened(url) as engine:
            assert differences(engine) == []


def test_a_rebuild_through_a_pooler_leaves_nothing_behind(pooled_url: str) -> None:
    full_archive()
    with opened(pooled_url) as engine:
        rebuild(engine, Archive(ARCHIVE))
        assert verify(engine, Archive(ARCHIVE))[1] == []
        assert [name for name in sa.inspect(engine).get_schema_names() if name.startswith("rebuilt")] == []


def test_old_months_are_thinned_and_rewritten_through_a_pooler(
    pooled_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoint_history.database.partitions._SMALL_BYTES", 0)
    monkeypatch.setattr("endpoint_history.database.partitions._HOLLOW", 0)
    load(pooled_url, eventful_months())
    clustered = sa.text("SELECT count(*) FROM pg_index WHERE indisclustered")
    with opened(pooled_url) as engine:
        remove_old_samples(engine, 30, NIGHTLY)
        release_partitions(engine, NIGHTLY)
        with engine.connect() as connection:
            assert connection.scalar(clustered) > 0
