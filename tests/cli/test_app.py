"""The command as people type it: what it prints, its exit codes, and its one line for what is wrong."""

from __future__ import annotations

import gzip
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stamina

from endpoint_history.cli import app as cli
from endpoint_history.database.engine import upgrade
from simulator import faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.factories import at
from tests.support.prefect_server import ROOT, until

MARKET = Market(models=6)
ONE = {"targets.toml": 'targets = ["a/b"]'}
PATHS = MARKET.paths()
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `endpoint-history WORDS` in this process; gives exit code, output, errors."""

    def run(*words: str, **variables: str) -> tuple[int, str, str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["endpoint-history", *words])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        printed = capsys.readouterr()
        assert isinstance(code, int | None)
        return code or 0, printed.out, printed.err

    return run


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulated OpenRouter that the settings name, and a targets file of its models."""
    simulator = Simulator(MARKET, clock=lambda: at(0))
    with serving(simulator) as base_url:
        monkeypatch.setenv("OPENROUTER_BASE_URL", base_url)
        monkeypatch.setenv("REQUESTS_PER_SECOND", "0")
        Path("targets.toml").write_text(f"targets = {PATHS}")
        yield simulator


def test_the_first_collect_tells_all_it_got(command: Command, simulator: Simulator) -> None:
    code, out, err = command("db", "upgrade")
    assert (code, out, err) == (0, "The database sqlite:///data/history.db is at revision 0001_tables.\n", "")
    code, out, err = command("collect", "--no-prefect")
    assert code == 0
    assert f"Targets    {len(PATHS)} ok, 0 gone, 0 failed, of {len(PATHS)}" in out
    assert "Prices     " in out
    assert "Database   sqlite:///data/history.db" in out
    assert f"Archive    {Path.cwd()}/data/archive" in out
    assert re.fullmatch(rf"{len(PATHS)} of {len(PATHS)} targets asked, [\d.,]+/s\n", err)


def test_some_failed_targets_are_named_and_exit_with_three(command: Command, simulator: Simulator) -> None:
    simulator.answers[PATHS[0]] = faults.KINDS["500"]
    command("db", "upgrade")
    code, out, _ = command("collect", "--no-prefect")
    assert code == 3
    assert f"failed: {PATHS[0]}: HTTP 500: Internal Server Error" in out


def test_given_targets_go_before_the_targets_file(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    assert command("collect", "--no-prefect", PATHS[2])[1].startswith("Targets    1 ok, 0 gone, 0 failed, of 1")


def test_targets_shows_what_the_list_means(command: Command, simulator: Simulator) -> None:
    author = PATHS[0].split("/")[0]
    listed = [path for path in PATHS if path.startswith(f"{author}/") and path not in MARKET.older_names()]
    assert command("targets", f"{author}/*") == (0, "".join(f"{path}\n" for path in listed), "")


def test_db_check_is_content_with_a_fresh_database(command: Command) -> None:
    command("db", "upgrade")
    assert command("db", "check") == (0, "The database sqlite:///data/history.db has the schema of this version.\n", "")


def test_a_schema_somebody_changed_is_told(command: Command) -> None:
    command("db", "upgrade")
    with sqlite3.connect("data/history.db") as connection:
        connection.execute("DROP INDEX ix_target_models_model_id")
    connection.close()
    code, _, err = command("db", "check")
    assert code == 1
    assert "differs from this version" in err
    assert err.count("\n") == 1


def test_status_before_and_after_the_first_collect(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    code, out, _ = command("status")
    assert (code, out.splitlines()[0]) == (1, "History    nothing yet; run: endpoint-history collect")
    command("collect", "--no-prefect")
    code, out, _ = command("status")
    assert code == 0
    assert "is being kept: newest evidence 0 minutes old" in out


def test_the_archive_fills_a_new_database(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    command("collect", "--no-prefect")
    Path("data/history.db").unlink()
    command("db", "upgrade")
    code, out, _ = command("backfill", "archive")
    count = len(PATHS)
    assert (code, out.splitlines()[0]) == (
        0,
        f"Read       {count} observations of 1 bundles: {count} new, 0 known, 0 not wanted",
    )


def test_the_archive_rebuilds_and_verifies_the_database(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    command("collect", "--no-prefect")
    read = f"Read       {len(PATHS)} observations of 1 bundles\n"
    compared = f"{read}Database   sqlite:///data/history.db, compared row for row: nothing differs\n"
    assert command("backfill", "archive", "--verify")[:2] == (0, compared)
    with sqlite3.connect("data/history.db") as connection:
        connection.execute("UPDATE pricing_snapshots SET prompt_usd = '9' WHERE endpoint_id = 1")
    connection.close()
    code, out, _ = command("backfill", "archive", "--verify")
    assert code == 3
    assert "Differs    pricing_snapshots (1 rows only in the database, 1 only by the archive)\n" in out
    built = f"{read}Database   sqlite:///data/history.db, built anew\n"
    assert command("backfill", "archive", "--rebuild")[:2] == (0, built)
    assert command("backfill", "archive", "--verify")[0] == 0


def test_help_names_the_commands_and_the_exit_codes(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for word in ("collect", "status", "targets", "serve", "db", "backfill", "Exit codes"):
        assert word in out


@pytest.mark.parametrize(
    ("words", "files", "variables", "told"),
    [
        (["targets"], {}, {"TARGETS_FILE": "mine.toml"}, "there is no targets file mine.toml"),
        (["targets"], {"targets.toml": "targets = ["}, {}, "targets.toml is not TOML"),
        (["targets"], {"targets.toml": 'targets = [\n"a/b",\n"gpt-4o"]'}, {}, "targets.toml:3: 'gpt-4o' is no target"),
        (["targets"], {"targets.toml": 'targets = ["a/b/c"]'}, {}, "targets.toml:1: 'a/b/c' is no target"),
        (["targets"], {"targets.toml": "targets = []"}, {}, "targets.toml: no targets"),
        (["targets", "../x"], {}, {}, "'../x' is no target"),
        (["targets", "a b/c"], {}, {}, "'a b/c' is no target"),
        (["status"], {}, {"DATABASE_URL": "nonsense"}, "DATABASE_URL is not a database address"),
        (["status"], {}, {"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL: mysql is not supported"),
        (["status"], {}, {}, "there is no database data/history.db yet; run: endpoint-history db upgrade"),
        (["targets"], {}, {"OPENROUTER_BASE_URL": "ftp://x"}, "OPENROUTER_BASE_URL: expected an http or https address"),
        (["targets"], {}, {"MAX_CONNECTIONS": "many"}, "MAX_CONNECTIONS: "),
        (
            ["collect", "--no-prefect"],
            {"targets.toml": 'targets = ["a/b"]'},
            {"ARCHIVE_URL": "nope://x"},
            "ARCHIVE_URL",
        ),
        (["collect", "--every", "0"], {}, {}, "--every"),
        (["colect"], {}, {}, "No such command"),
    ],
)
def test_wrong_usage_gets_its_reason_and_exit_code_two(
    command: Command, words: list[str], files: dict[str, str], variables: dict[str, str], told: str
) -> None:
    if "ARCHIVE_URL" in variables:
        upgrade("sqlite:///data/history.db")
    for name, text in files.items():
        Path(name).write_text(text)
    code, out, err = command(*words, **variables)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_an_api_that_is_away_gets_one_line_with_a_way_to_try(command: Command) -> None:
    command("db", "upgrade")
    code, out, err = command("collect", "--no-prefect", "a/*", OPENROUTER_BASE_URL="http://127.0.0.1:9/api/v1")
    assert (code, out) == (1, "")
    assert err == (
        "endpoint-history: http://127.0.0.1:9/api/v1 can't be reached: connection refused;"
        " to see it work without the network: make demo\n"
    )


def test_a_fault_of_ours_is_one_line_that_can_be_reported() -> None:
    lines = (
        "from endpoint_history.cli import app",
        "from endpoint_history.monitoring import health",
        "health.read_health = lambda *_: [][0]",
        "app.main()",
    )
    words = [sys.executable, "-c", "\n".join(lines), "status"]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(
        "endpoint-history: unexpected error: IndexError: list index out of range (<string>, line 3)"
    )


def test_a_database_server_that_is_away_gets_one_line(command: Command) -> None:
    code, out, err = command("status", DATABASE_URL="postgresql://me:sesame@127.0.0.1:9/history")
    assert (code, out) == (1, "")
    assert "the database postgresql+psycopg://me:***@127.0.0.1:9/history can't be used" in err
    assert "sesame" not in err
    assert err.count("\n") == 1


def test_a_folder_that_takes_no_archive_gets_one_line(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    Path("occupied").write_text("a file, not a folder")
    code, out, err = command("collect", "--no-prefect", ARCHIVE_URL="occupied/archive")
    assert (code, out) == (1, "")
    assert "can't write the archive bundle" in err
    assert err.count("\n") == 1


def test_a_full_disk_gets_one_line_and_leaves_nothing_half_written(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")

    def fill_the_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))

    words = [sys.executable, "-m", "endpoint_history", "collect", "--no-prefect"]
    done = subprocess.run(words, cwd=Path.cwd(), preexec_fn=fill_the_disk, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "endpoint-history: " in done.stderr
    assert command("collect", "--no-prefect")[0] == 0


def lines_written() -> int:
    return sum(part.read_bytes().count(b"\n") for part in Path("data/archive").rglob(".*.part"))


def test_ctrl_c_ends_a_collect_at_once_with_one_line(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    simulator.answers[PATHS[-1]] = faults.KINDS["hang"]
    words = [sys.executable, "-m", "endpoint_history", "collect", "--no-prefect"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: lines_written() == len(PATHS) - 1, 30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert err == "\nendpoint-history: stopped; the next collect loads what was archived so far\n"


def test_a_downgrade_must_be_meant(command: Command) -> None:
    command("db", "upgrade")
    assert command("db", "downgrade", "base")[0] == 2
    assert command("db", "downgrade", "base", "--yes")[1].endswith("is at revision none.\n")


def test_a_killed_collect_is_taken_up_by_the_next(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade")
    simulator.answers[PATHS[-1]] = faults.KINDS["hang"]
    words = [sys.executable, "-m", "endpoint_history", "collect", "--no-prefect"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: len(simulator.requests) == len(PATHS), 30)
        until(lambda: lines_written() == len(PATHS) - 1, 30)
        process.kill()
    del simulator.answers[PATHS[-1]]
    assert command("collect", "--no-prefect")[0] == 0
    assert command("backfill", "archive", "--all")[1].startswith(
        f"Read       {2 * len(PATHS) - 1} observations of 2 bundles: "
    )


def test_the_key_is_in_nothing_that_is_kept_or_told(command: Command, simulator: Simulator) -> None:
    key = "sk-or-v1-very-secret"
    simulator.answers[PATHS[0]] = faults.KINDS["500"]
    command("db", "upgrade")
    _, out, err = command("collect", "--no-prefect", OPENROUTER_API_KEY=key)
    assert simulator.requests[-1][1]["Authorization"] == f"Bearer {key}"
    kept = b"".join(path.read_bytes() for path in Path("data").rglob("*") if path.is_file())
    assert key not in out + err
    assert key.encode() not in kept
    (bundle,) = Path("data/archive").rglob("*.gz")
    assert key.encode() not in gzip.decompress(bundle.read_bytes())


def test_what_is_kept_is_closed_to_other_users(command: Command, simulator: Simulator) -> None:
    command("db", "upgrade", DATABASE_URL="sqlite:///data/deeper/history.db")
    command("db", "upgrade")
    command("collect", "--no-prefect")
    kept = [Path("data"), *Path("data").rglob("*")]
    assert [str(path) for path in kept if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    ("line", "mode", "name"),
    [
        ("DATABASE_URL=postgresql://me:sesame@127.0.0.1:9/h", 0o644, "DATABASE_URL"),
        ("OPENROUTER_API_KEY=sk-sesame", 0o640, "OPENROUTER_API_KEY"),
        ("POSTGRES_PASSWORD=sesame", 0o604, "POSTGRES_PASSWORD"),
        ("DATABASE_URL=postgresql://127.0.0.1:9/h?password=sesame", 0o644, "DATABASE_URL"),
        ("DATABASE_URL=postgresql://me:se/same@127.0.0.1:9/h", 0o644, "DATABASE_URL"),
        ("PREFECT_API_AUTH_STRING=admin:sesame", 0o644, "PREFECT_API_AUTH_STRING"),
        ("AZURE_STORAGE_ACCOUNT_KEY=sesame", 0o644, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("SERVICE_CREDENTIAL=sesame", 0o644, "SERVICE_CREDENTIAL"),
        ("DATABASE_URL=postgresql://me@127.0.0.1:9/h?sslmode=require", 0o644, None),
        ("GOOGLE_APPLICATION_CREDENTIALS=/etc/key.json", 0o644, None),
        ("POSTGRES_PASSWORD_FILE=/run/secrets/password", 0o644, None),
        ("AUTHOR=somebody", 0o644, None),
        ("POSTGRES_PASSWORD=sesame", 0o600, None),
        ("POSTGRES_PASSWORD=", 0o644, None),
        ("REQUESTS_PER_SECOND=5", 0o644, None),
        ("OTHER=http://[::1", 0o644, None),
    ],
)
def test_a_secret_that_other_users_can_read_gets_a_warning(
    command: Command, line: str, mode: int, name: str | None
) -> None:
    Path(".env").write_text(line)
    Path(".env").chmod(mode)
    _, _, err = command("targets", "a/b")
    assert "sesame" not in err
    warning = f"endpoint-history: warning: other users of this machine can read {name} in .env; run: chmod 600 .env\n"
    assert err == (warning if name else "")
