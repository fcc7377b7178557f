"""What reaches a terminal, and what becomes of a command whose output nobody takes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.errors import HistoryError
from endpoint_history.terminal import show, show_note, show_text
from endpoint_history.text import printable, unlinked
from tests.support.exporting import load
from tests.support.factories import a_look, an_endpoint
from tests.support.prefect_server import BIN, ROOT

HOSTILE = "m/a\x1b]0;title\x07\x1b[2J\x9b31m\u202e\u200b\ufeff"
FOREIGN = "模型 Ünïcode"
CHEAPEST = ["cheapest", "--input-tokens", "1", "--output-tokens", "1", "--model"]
MODULES = [
    path for folder in ("endpoint_history", "flows", "models", "simulator") for path in (ROOT / folder).rglob("*.py")
]
DOOR = ROOT / "endpoint_history" / "terminal.py"
# These hand the standard streams on, and write nothing.
FLUSHES = ROOT / "flows" / "runner.py"


def run(*words: str, shell: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run `endpoint-history WORDS`, its streams redirected as a shell says."""
    command = ["bash", "-c", f'"$@" {shell}', "-", str(BIN / "endpoint-history"), *words]
    return subprocess.run(command, capture_output=True, check=False, env=os.environ | variables, timeout=60)


@pytest.fixture
def history(history_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", history_url)
    return history_url


@pytest.fixture
def hostile_history(history: str) -> str:
    endpoint = an_endpoint(HOSTILE, provider_name=f"{FOREIGN}{HOSTILE}", model_id="m/a", quantization=HOSTILE)
    return load(history, [a_look(endpoint, target="m/a", model=HOSTILE)])


@pytest.mark.slow_unless(words=[[]])
@pytest.mark.parametrize("words", [[], ["--csv"], ["--json"]], ids=str)
def test_no_text_of_a_stranger_reaches_a_terminal_raw(hostile_history: str, words: list[str]) -> None:
    done = run(*CHEAPEST, "m/a", *words)
    text = done.stdout.decode()
    assert done.returncode == 0
    assert [char for char in text.replace("\n", "") if not char.isprintable()] == []
    if words == ["--json"]:
        assert json.loads(text)["offers"][0]["provider"] == FOREIGN + HOSTILE
    else:
        assert FOREIGN in text


@pytest.mark.slow_unless(words=[["status", HOSTILE]])
@pytest.mark.parametrize("words", [[HOSTILE], [*CHEAPEST, HOSTILE], ["--" + HOSTILE], ["status", HOSTILE]], ids=ascii)
def test_an_argument_in_a_message_reaches_a_terminal_in_one_clean_line(words: list[str]) -> None:
    done = run(*words)
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert line.isprintable()


@pytest.mark.slow_unless(encoding=["latin-1:strict"])
@pytest.mark.parametrize("encoding", ["latin-1:strict", "utf-16"])
def test_what_an_encoding_lacks_is_replaced(hostile_history: str, encoding: str) -> None:
    done = run(*CHEAPEST, "m/a", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "code" in done.stdout.decode(encoding.partition(":")[0])


@pytest.mark.slow
def test_the_locale_of_a_bare_container_will_do(hostile_history: str) -> None:
    done = run(*CHEAPEST, "m/a", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?? ?n?code" in done.stdout


@pytest.mark.slow_unless(words=[["status"]])
@pytest.mark.parametrize("words", [["status"], ["export", "out", "--format", "csv"], ["--help"]], ids=str)
def test_a_closed_pipe_ends_a_command_quietly(history: str, words: list[str]) -> None:
    done = run(*words, shell="| true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, [line for line in done.stderr.splitlines() if b" read" not in line]) == (141, [])


@pytest.mark.slow_unless(words=[["--version"]])
@pytest.mark.parametrize("words", [[*CHEAPEST, "acme/swift-1"], ["--version"]], ids=str)
def test_a_full_disk_behind_the_output_is_one_line(history: str, words: list[str]) -> None:
    done = run(*words, shell="> /dev/full")
    line = b"endpoint-history: can't write the output: No space left on device"
    assert (done.returncode, done.stderr.splitlines()) == (1, [line])


@pytest.mark.slow_unless(streams=["<&- >&- 2>&-"])
@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full", "2>&1 >/dev/null | true"])
def test_messages_that_nobody_takes_stop_no_work(history: str, streams: str) -> None:
    done = run("export", "out", "--format", "csv", shell=f"{streams}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(Path("out/manifest.json").read_bytes())["complete"]
    assert Path("history.db").read_bytes().startswith(b"SQLite format 3")  # and it never took the place of a stream


@pytest.mark.slow
def test_a_command_keeps_its_exit_code_where_its_output_is_closed(history: str) -> None:
    assert run("status", shell=">&-").returncode == run("status").returncode == 1


LARGE = """
import os, sys
from endpoint_history.terminal import safe_output, show
if sys.argv[1] == "slow":
    os.set_blocking(1, False)
with safe_output("test"):
    for number in range(100_000):
        show(f"{number:070}")
"""


@pytest.mark.parametrize(("way", "lines"), [("head", 2), ("slow", 100_000)])
def test_long_output_ends_with_its_reader_and_waits_for_a_slow_one(way: str, lines: int) -> None:
    reader = "head -2" if way == "head" else "(sleep 0.2; cat)"
    command = f'"$@" | {reader}; exit ${{PIPESTATUS[0]}}'
    words = ["bash", "-c", command, "-", sys.executable, "-c", LARGE, way]
    done = subprocess.run(
        words, capture_output=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60
    )
    assert (done.returncode, done.stderr) == (141 if way == "head" else 0, b"")
    assert done.stdout.count(b"\n") == lines


def test_the_simulator_replaces_what_an_encoding_lacks_and_ends_with_its_reader(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "simulator", "--models", HOSTILE]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, check=False, env=variables, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.decode("ascii").splitlines()
    assert line.isprintable()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_door_writes_to_a_terminal(path: Path) -> None:
    assert path == DOOR or list(_writers(ast.parse(path.read_text()), flushes=path == FLUSHES)) == []


@pytest.mark.parametrize(
    "code",
    ["print(1)", "typer.echo(1)", "typer.secho(1)", "sys.stdout.write('')", "sys.stderr.write('')", "x = sys.stdout",
     "rich.print(1)", "Console().print(1)", "os.write(1, b'')", "from sys import stderr", "sys.__stdout__.write('')"],
)  # fmt: skip
def test_every_way_around_the_door_is_seen_here(code: str) -> None:
    assert list(_writers(ast.parse(code)))


def _writers(tree: ast.AST, *, flushes: bool = False) -> list[str]:
    streams = {"stdout", "stderr", "__stdout__", "__stderr__"}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                found.append(ast.unparse(node))
            case ast.Call(func=ast.Attribute(attr="print" | "echo" | "secho")):
                found.append(ast.unparse(node))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="write"), args=[ast.Constant(), *_]):
                found.append(ast.unparse(node))
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in streams and not flushes:
                found.append(ast.unparse(node))
            case ast.ImportFrom(module="sys", names=names) if {alias.name for alias in names} & streams:
                found.append(ast.unparse(node))
    return found


UNPRINTABLE = ["\x00", "\x1b", "\x9b", "\x7f", "\t", "\r", "\n", "\u2028", "\u202e", "\u2066", "\u200b", "\ufeff",
               "\u00ad", "\u2060", "\ud800", "\U000e0041"]  # fmt: skip


@pytest.mark.parametrize("char", UNPRINTABLE, ids=ascii)
def test_a_character_that_a_terminal_obeys_or_hides_is_replaced(char: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(f"a{char}b") == str(HistoryError(f"a{char}b")) == "a\ufffdb"
    show(f"a{char}b")
    show_note(f"a{char}b")
    assert capsys.readouterr() == ("a\ufffdb\n", "a\ufffdb\n")


@given(st.text())
def test_whatever_is_shown_is_one_line_that_can_be_read(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert len(f"{printable(text)}.".splitlines()) == 1


@pytest.mark.parametrize("text", ["模型 🚀", "\u0645\u06cc\u200c\u062e", "👩\u200d🔬", "non\u00a0breaking", "\\|<b>"])
def test_text_in_any_script_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_text_of_several_lines_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    show_text("a,b\n\x1b,c\r\nlast")
    assert capsys.readouterr().out == "a,b\n\ufffd,c\ufffd\nlast"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example/x", "https(:)//evil(.)example/x"),
        ("HTTP://EVIL.EXAMPLE", "HTTP(:)//EVIL(.)EXAMPLE"),
        ("www.evil.example", "www(.)evil(.)example"),
        ("z.ai", "z(.)ai"),
        ("bücher.köln", "bücher(.)köln"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd(.)xn--p1ai"),
        ("mailto:a@evil.example", "mailto(:)a@evil(.)example"),
        ("slack://open", "slack(:)//open"),
        ("openai/gpt-4.1-mini:free", "openai/gpt-4.1-mini:free"),
        ("claude-3.5", "claude-3.5"),
        ("ends. And begins", "ends. And begins"),
    ],
)
def test_addresses_become_no_links_and_versions_stay(text: str, shown: str) -> None:
    look_alike = shown.replace("(:)", "\uff1a").replace("(.)", "\u2024")
    assert unlinked(text) == unlinked(look_alike) == look_alike
