"""The simulated OpenRouter: a believable market, real faults over real HTTP, and its command."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import httpx
import pytest

from simulator.faults import KINDS, Faults
from simulator.market import Market
from simulator.server import Simulator, serving
from tests.support.factories import at
from tests.support.prefect_server import environment

MARKET = Market(models=40)
PATH = MARKET.paths()[0]
GOOD = json.dumps(MARKET.body(PATH, at(0))).encode()


@contextmanager
def faulty(*rules: str) -> Iterator[str]:
    """The URL of one model's endpoints, on a server with these faults."""
    with serving(Simulator(MARKET, clock=lambda: at(0), faults=Faults(list(rules)))) as base_url:
        yield f"{base_url}/models/{PATH}/endpoints"


def command(folder: Path, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *words],
        cwd=folder,
        env=environment(folder / "prefect", COLUMNS="1000"),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_the_listing_comes_in_pages() -> None:
    market = Market(models=600)
    found, sizes = [], []
    with serving(Simulator(market)) as base_url, httpx.Client(base_url=base_url.removesuffix("/api/v1")) as client:
        following = "/api/v1/models?output_modalities=all"
        while following:
            page = client.get(following).json()
            found += page["data"]
            sizes.append((len(page["data"]), page["total_count"]))
            following = page["links"]["next"]
            assert following is None or "output_modalities=all" in following
    assert (sizes, found) == ([(500, 601), (101, 601)], market.listing())


@pytest.mark.parametrize(
    ("path", "content"),
    [("models/acme/unknown/endpoints", '{"error":{"code":404,"message":"Model not found"}}'), ("credits", "<!DOCTYPE")],
)
def test_an_unknown_path_is_not_found(path: str, content: str) -> None:
    with serving(Simulator(MARKET)) as base_url:
        answer = httpx.get(f"{base_url}/{path}")
    assert answer.status_code == 404
    assert answer.text.startswith(content)


def is_error(code: int) -> Callable[[httpx.Response], bool]:
    return lambda answer: answer.status_code == code == answer.json()["error"]["code"]


def is_page(status: int) -> Callable[[httpx.Response], bool]:
    return lambda answer: answer.status_code == status and "text/html" in answer.headers["content-type"]


def leads_to(answer: httpx.Response, place: str) -> bool:
    return answer.status_code == 302 and place in answer.headers["location"]


WHOLE_ANSWERS: dict[str, Callable[[httpx.Response], bool]] = {
    "429": lambda answer: is_error(429)(answer) and answer.headers["retry-after"] == "1",
    "429-date": lambda answer: is_error(429)(answer) and answer.headers["retry-after"].endswith(" GMT"),
    "429-bare": lambda answer: is_error(429)(answer) and "retry-after" not in answer.headers,
    "500": is_error(500),
    "502": is_page(502),
    "503": is_error(503),
    "504": is_page(504),
    "522": is_page(522),
    "html": is_page(200),
    "empty": lambda answer: answer.is_success and answer.content == b"",
    "notjson": lambda answer: answer.is_success and answer.text == "{not json",
    "not-utf8": lambda answer: answer.is_success and b"\xff" in answer.content,
    "deep": lambda answer: answer.is_success and answer.content == b"[" * 10_000,
    "error-in-200": lambda answer: answer.is_success and answer.json()["error"]["code"] == 500,
    "wrong-shape": lambda answer: answer.is_success and answer.json()["data"]["id"] == 7,
    "wrong-type": lambda answer: is_page(200)(answer) and answer.content == GOOD,
    "gone": is_error(404),
    "gone-page": is_page(404),
    "redirect": lambda answer: leads_to(answer, PATH),
    "redirect-away": lambda answer: leads_to(answer, "//127.0.0.2:9/"),
    "redirect-loop": lambda answer: leads_to(answer, answer.url.path),
    "cut-close": lambda answer: answer.is_success and GOOD.startswith(answer.content) and answer.content != GOOD,
    "large": lambda answer: len(answer.content) == 20 * 1024**2,
}
BROKEN_ANSWERS: dict[str, type[httpx.TransportError]] = {
    "truncate": httpx.RemoteProtocolError,
    "cut-chunks": httpx.RemoteProtocolError,
    "reset": httpx.TransportError,
    "hang": httpx.ReadTimeout,
    "hang-in-body": httpx.ReadTimeout,
}


def test_every_kind_of_fault_is_tested_here() -> None:
    assert KINDS.keys() == WHOLE_ANSWERS.keys() | BROKEN_ANSWERS.keys() | {"drip", "bomb", "damaged-gzip"}


@pytest.mark.parametrize("kind", WHOLE_ANSWERS)
def test_a_fault_answers_as_its_name_says(kind: str) -> None:
    with faulty(f"{kind}:1") as url:
        assert WHOLE_ANSWERS[kind](httpx.get(url))


@pytest.mark.parametrize("kind", BROKEN_ANSWERS)
def test_a_fault_breaks_the_answer_as_its_name_says(kind: str) -> None:
    with faulty(f"{kind}:1") as url, pytest.raises(BROKEN_ANSWERS[kind]):
        httpx.get(url, timeout=0.5)


@pytest.mark.parametrize("kind", ["truncate", "hang-in-body"])
def test_a_broken_body_begins_as_the_good_one(kind: str) -> None:
    came: list[bytes] = []
    with faulty(f"{kind}:1") as url, httpx.stream("GET", url, timeout=0.5) as answer:
        with pytest.raises(httpx.TransportError):
            came.extend(answer.iter_raw())
        assert int(answer.headers["content-length"]) == len(GOOD)
    assert GOOD.startswith(b"".join(came))
    assert 0 < len(b"".join(came)) <= len(GOOD) // 2


def test_a_dripping_body_comes_a_little_at_a_time() -> None:
    with faulty("drip:1") as url, httpx.stream("GET", url, timeout=10) as answer:
        came = b"".join(islice(answer.iter_raw(), 3))
    assert GOOD.startswith(came)
    assert 3 <= len(came) < len(GOOD) // 2


def test_a_bomb_is_small_until_it_is_inflated() -> None:
    with faulty("bomb:1") as url, httpx.stream("GET", url, timeout=60) as answer:
        assert int(answer.headers["content-length"]) < 1024**2
        assert sum(map(len, answer.iter_bytes())) == 200 * 1024**2


def test_a_damaged_gzip_body_cannot_be_inflated_whole() -> None:
    with faulty("damaged-gzip:1") as url, httpx.stream("GET", url) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join(answer.iter_raw())
    with pytest.raises(EOFError):
        gzip.decompress(raw)


def drawn(faults: Faults, path: str = PATH, times: int = 200) -> list[bool]:
    return [faults.draw(path) is not None for _ in range(times)]


@pytest.mark.parametrize(("rule", "found"), [("500:0", {False}), ("500:1", {True}), ("500:0.5", {True, False})])
def test_a_share_says_how_often_a_fault_comes(rule: str, found: set[bool]) -> None:
    assert set(drawn(Faults([rule]))) == found


def test_faults_are_the_same_for_the_same_seed() -> None:
    assert drawn(Faults(["500:0.5"], seed=2)) == drawn(Faults(["500:0.5"], seed=2))
    assert drawn(Faults(["500:0.5"], seed=2)) != drawn(Faults(["500:0.5"], seed=3))


def test_a_rule_for_paths_fails_some_paths_always() -> None:
    faults = Faults(["500!:0.5"])
    assert {frozenset(drawn(faults, path, times=20)) for path in MARKET.paths()} == {
        frozenset([True]),
        frozenset([False]),
    }


def test_of_several_rules_the_first_that_hits_counts() -> None:
    assert Faults(["500:0", "html:1", "gone:1"]).draw(PATH) is KINDS["html"]


@pytest.mark.parametrize("rule", ["", "bogus", "bogus:1", ":0.5", "500!!:1", "HTML:1"])
def test_a_fault_of_no_known_kind_says_what_is_expected(rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule!r}: expected KIND:SHARE, .* one of 429, .*, 500, .*, large$"):
        Faults([rule])


def test_help_names_every_option_and_fault(tmp_path: Path) -> None:
    done = command(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in ("--port", "--at", "--fault", "--demo", *KINDS))


def test_an_occupied_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        done = command(tmp_path, "--port", str(occupied.getsockname()[1]))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("simulator: ")
    assert "in use" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--at", "noon"),
        ("--at", "2026-13-01"),
        ("--port", "x"),
        ("--port", "99999"),
        ("--models", "many"),
        ("--models", "0"),
        ("--fault", "bogus:1"),
        ("--fault", "500"),
        ("--fault", "500:x"),
        ("--fault", "500:1.5"),
        ("--fault", "500:nan"),
    ],
)
def test_a_bad_option_is_told_without_a_traceback(tmp_path: Path, words: tuple[str, str]) -> None:
    done = command(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"simulator: argument {words[0]}: {words[1]!r}")


@pytest.mark.parametrize(
    "words", [("--fault", "500:1"), ("--at", "2026-05-16T09:00"), ("--latency-ms", "1"), ("--port", "80")]
)
def test_a_demo_refuses_what_it_would_ignore(tmp_path: Path, words: tuple[str, str]) -> None:
    done = command(tmp_path, "--demo", *words)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert done.stderr == "simulator: --demo takes --models, --seed and --days alone (see --help)\n"


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of one model's endpoints at the command's server, and its process, which ends by Ctrl-C."""
    whole = [sys.executable, "-m", "simulator", "--at", "2026-05-16T09:00", *words]
    with subprocess.Popen(whole, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            base_url = process.stdout.readline().partition(" ")[0].removeprefix("OPENROUTER_BASE_URL=")
            yield f"{base_url}/models/{PATH}/endpoints", process
        finally:
            process.send_signal(signal.SIGINT)


def test_a_stopped_clock_serves_one_instant_until_interrupted(tmp_path: Path) -> None:
    with started(tmp_path) as (url, process):
        answer = httpx.get(url)
    assert (answer.json(), process.returncode) == (json.loads(GOOD), 0)


def test_faults_of_the_command_are_the_same_each_time(tmp_path: Path) -> None:
    with started(tmp_path, "--fault", "500:0.5") as (url, _):
        failed = [httpx.get(url).is_error for _ in range(30)]
    assert failed == drawn(Faults(["500:0.5"], MARKET.seed), times=30)
