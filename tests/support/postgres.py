"""A real PostgreSQL for tests: the one that TEST_DATABASE_URL names, else a throw-away cluster on this machine."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 50
# Nothing here must outlive a crash.
fsync = off
synchronous_commit = off
full_page_writes = off
# Far from UTC, and not by whole hours: a forgotten time zone shows.
timezone = 'Asia/Kolkata'
"""


class PostgresMissing(Exception):  # noqa: N818 - a reason to skip rather than a fault
    """No PostgreSQL server is to be found on this machine, and TEST_DATABASE_URL names none."""


@contextmanager
def server() -> Iterator[str]:
    """Give the SQLAlchemy URL of a server's maintenance database. Raises PostgresMissing."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield _text(sa.make_url(given).set(drivername="postgresql+psycopg"))
        return
    with cluster() as made:
        yield made.url


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A throw-away server that nobody else uses, running. Raises PostgresMissing."""
    programs = _find_programs()
    account = _account()
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=_parent_folder(account)) as folder:
        made = Cluster(programs, Path(folder), account)
        try:
            made.make()
            made.start()
            yield made
        finally:
            made.stop()


@contextmanager
def database(server_url: str, template: str = "template0") -> Iterator[str]:
    """Make a database on that server, give its URL, and drop it whoever is still connected.

    It is empty, or a copy of the `template` that is named.
    """
    url = sa.make_url(server_url)
    name = f"test_{secrets.token_hex(8)}"
    identifier = sql.Identifier(name)
    with psycopg.connect(_text(url.set(drivername="postgresql")), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(template)))
        try:
            yield _text(url.set(database=name))
        finally:
            _disconnect_all(connection, name)
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _disconnect_all(connection: psycopg.Connection, name: str) -> None:
    # DROP ... WITH (FORCE) does this too, but sleeps 100 ms if a connection is not gone at once: most of a test's time.
    for _ in range(100):
        terminated = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        if not terminated.fetchall():
            return
        time.sleep(0.002)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    programs: Path
    folder: Path
    account: pwd.struct_passwd | None
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """That of its maintenance database."""
        return self.url_of("postgres", "postgres", self.password)

    def url_of(self, database: str, user: str, password: str) -> str:
        return _text(sa.URL.create("postgresql+psycopg", user, password, "127.0.0.1", self.port, database))

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def limit_files(self, pids: Iterable[int], size: int | None) -> None:
        """Let these processes of the server write no file beyond so many bytes, or any: as if the disk were full."""
        for pid in pids:  # another account's, so by a program
            words = ["prlimit", f"--pid={pid}", f"--fsize={size or 'unlimited'}:"]
            subprocess.run(words, check=True, cwd="/", **self._as_account())

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def make(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self.account:
            for path in (self.folder, password_file):
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
        self._run(
            *("initdb", "--pgdata", self.data, "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"),
            *("--auth=scram-sha-256", "--pwfile", password_file),
        )
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=self.port))

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", "--pgdata", self.data, "--log", self.log)

    def stop(self, mode: str = "immediate") -> None:
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", f"--mode={mode}", "--pgdata", self.data)

    def _as_account(self) -> dict[str, Any]:
        account = self.account
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            cwd=self.folder,
            # None of the PG... variables that would point at another server.
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            **self._as_account(),
        )
        if done.returncode:
            log = self.log.read_text() if self.log.exists() else ""
            raise RuntimeError(f"{program} failed ({done.returncode}): {done.stdout}{log}")


def _find_programs() -> Path:
    on_path = [Path(found).parent for found in [shutil.which("initdb")] if found]
    debian = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda folder: -float(folder.parent.name))
    for folder in on_path + debian:
        # Debian's client package makes such a folder too, without a server in it.
        if all((folder / program).exists() for program in _PROGRAMS):
            return folder
    raise PostgresMissing(
        "no PostgreSQL server programs on PATH or in /usr/lib/postgresql, and TEST_DATABASE_URL is not set"
    )


def _account() -> pwd.struct_passwd | None:
    """Whom to run as where we are root, as PostgreSQL refuses to; None is ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _parent_folder(account: pwd.struct_passwd | None) -> str | None:
    """Memory where there is enough of it: on ext4 a fresh database took 20 ms at first and 300 ms after 60 of them.

    Else a folder that the other account can reach, which root's TMPDIR need not be.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30:
        return str(memory)
    return "/tmp" if account else None


def _text(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)
