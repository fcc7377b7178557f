"""The ground that the other tests stand on holds."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.network import NetworkRefusedError

ADDRESS_FOR_DOCUMENTATION = "192.0.2.1"


def test_a_connection_beyond_this_machine_is_refused() -> None:
    with socket.socket() as unconnected, pytest.raises(NetworkRefusedError, match=ADDRESS_FOR_DOCUMENTATION):
        unconnected.connect((ADDRESS_FOR_DOCUMENTATION, 443))


def test_a_name_beyond_this_machine_is_not_looked_up() -> None:
    with pytest.raises(NetworkRefusedError, match=r"history\.invalid"):
        asyncio.run(asyncio.open_connection("history.invalid", 443))


def test_a_connection_within_this_machine_is_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5).close()


def test_a_test_starts_in_an_empty_folder_without_anybody_s_settings(tmp_path: Path) -> None:
    assert Path.cwd() == tmp_path
    assert not list(tmp_path.iterdir())
    assert "DATABASE_URL" not in os.environ


def test_each_kind_of_database_answers(empty_database_url: str) -> None:
    engine = sa.create_engine(empty_database_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
        assert not sa.inspect(connection).get_table_names()
    engine.dispose()
