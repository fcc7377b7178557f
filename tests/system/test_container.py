"""The image and the services of compose.yaml, linted; tests/system/test_compose.py runs their commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import yaml

from endpoint_history.settings import Settings
from tests.support.composed import COMPOSE, SERVICES, VARIABLES, copy_context, environment
from tests.support.prefect_server import BIN, ROOT

DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = [name for name, service in SERVICES.items() if "build" in service]
SETTINGS = {name.upper() for name in Settings.model_fields}
# Of the drivers below: libpq and asyncpg, and s3fs.
DRIVERS = {"PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


DIGEST = "@sha256:[0-9a-f]{64}"
DRIVER_LOCKS = sorted(ROOT.glob("requirements-*fs.lock"))


def instructions(keyword: str) -> list[str]:
    return re.findall(rf"^{keyword} (.+)", DOCKERFILE, re.MULTILINE)


def pip_words(text: str) -> list[list[str]]:
    """The words after `pip install` of each call."""
    return [shlex.split(call) for call in re.findall(r"(?:pip install|\$\(PIP\)) ([^&;\n]+)", text)]


def lint(*words: str | Path) -> None:
    done = subprocess.run([BIN / words[0], *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    lint("hadolint", ROOT / "Dockerfile")


def test_the_linter_would_find_a_fault(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN pip install x\n")
    with pytest.raises(AssertionError, match="DL3006"):
        lint("hadolint", tmp_path / "Dockerfile")


def test_the_services_keep_to_the_specification() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml")


def test_a_misspelt_key_of_a_service_would_be_found(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"services": {"server": SERVICES["server"] | {"depend_on": {}}}}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(AssertionError, match="depend_on"):
        lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml")


def test_the_image_takes_the_lock_file_as_the_makefile_does() -> None:
    locked, driver, itself = pip_words("\n".join(instructions("RUN")))
    _, of_make, itself_of_make, _ = pip_words((ROOT / "Makefile").read_text())
    assert set(of_make) <= set(locked)
    assert driver[:-1] == locked[:-1]
    assert driver[-1] == "requirements-$EXTRA.lock"
    assert set(itself_of_make) <= set(itself)


@pytest.mark.slow
def test_the_project_installs_from_what_comes_into_the_image(tmp_path: Path) -> None:
    """But for what is locked: that is there, and nothing is asked of the network."""
    *_, itself = pip_words("\n".join(instructions("RUN")))
    app = copy_context(tmp_path / "app")
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", *itself]
    done = subprocess.run(words, cwd=app, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Would install endpoint-history-" in done.stdout
    (compiled,) = re.findall(r"compileall -q ([a-z_ ]+)", DOCKERFILE)
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(compiled.split()) == sorted(packages)
    assert {path.name for path in app.iterdir() if path.is_dir()} == set(packages)


def test_every_argument_of_a_build_is_one_of_the_image() -> None:
    known = {argument.partition("=")[0] for argument in instructions("ARG")}
    assert {argument for name in OURS for argument in SERVICES[name]["build"]["args"]} == known


def test_the_image_runs_a_python_of_ours_as_nobody_special() -> None:
    (image,) = instructions("FROM")
    version = re.fullmatch(rf"python:(3\.\d+)\.\d+-slim{DIGEST}", image)
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PYPROJECT["project"]["classifiers"]
    (user,) = instructions("USER")
    assert f"--uid {user} " in DOCKERFILE
    assert int(user) > 0


def test_every_image_of_others_is_named_by_its_digest() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert [image for image in images if re.fullmatch(rf"postgres:17\.\d+{DIGEST}", image)] == images != []


@pytest.mark.parametrize("lock", DRIVER_LOCKS, ids=lambda lock: lock.name)
def test_a_driver_and_all_that_it_needs_are_pinned_by_hash_beside_what_is_locked(lock: Path) -> None:
    pins, others = (pinned(path) for path in (lock, ROOT / "requirements.lock"))
    driver = lock.stem.removeprefix("requirements-")
    assert driver in pins
    assert {name: pins[name] for name in pins.keys() & others.keys()} == {
        name: others[name] for name in pins.keys() & others.keys()
    }
    assert not re.search(r"://|^-", lock.read_text(), re.MULTILINE)  # no address and no option
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []


def test_the_drivers_are_those_of_the_package_the_image_and_the_makefile() -> None:
    drivers = {lock.stem.removeprefix("requirements-") for lock in DRIVER_LOCKS}
    (copied,) = [line for line in instructions("COPY") if "requirements" in line]
    makefile = (ROOT / "Makefile").read_text()
    assert drivers == set(PYPROJECT["project"]["optional-dependencies"]) - {"export", "site"}
    assert drivers == set(re.findall(r"requirements-(\w+)\.lock", copied))
    assert f"DRIVERS := {' '.join(sorted(drivers))}\n" in makefile


def pinned(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Of each package of a lock file its version, and its hashes."""
    found = re.findall(
        r"^([a-z0-9.-]+)==(\S+)[^\n]*\n((?: +--hash=sha256:[0-9a-f]{64}[^\n]*\n)*)", lock.read_text(), re.MULTILINE
    )
    return {name: (version, frozenset(re.findall("[0-9a-f]{64}", hashes))) for name, version, hashes in found}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_one_that_is_read(name: str) -> None:
    given = set(SERVICES[name]["environment"])
    assert {variable for variable in given - SETTINGS - DRIVERS if not hasattr(prefect.settings, variable)} == set()


def test_a_worker_takes_every_setting_from_outside() -> None:
    assert SETTINGS - set(SERVICES["worker"]["environment"]) == {
        "TARGETS_FILE",
        "ALERTS_FILE",
    }  # volumes bring the files


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_service_without_its_password_does_not_start(variable: str) -> None:
    given = dict.fromkeys(VARIABLES, "x")
    del given[variable]
    refusing = {name for name, service in SERVICES.items() if variable in str(service["environment"])}
    assert refusing
    for name in refusing:
        with pytest.raises(KeyError, match=variable):
            environment(name, given)


def test_no_password_is_written_down() -> None:
    values = [value for service in SERVICES.values() for value in service["environment"].items()]
    assert [name for name, value in values if "PASSWORD" in name and not value.startswith("${")] == []
    assert [value for _, value in values if re.search(r"://[^/]*:[^/]*@", value or "")] == []


def test_the_page_says_the_same_for_setting_up_by_hand() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    *_, commands = SERVICES["setup"]["command"]
    assert [line for line in commands.splitlines() if f"    .venv/bin/{line}\n" not in page] == []
    script = re.sub(r":'\w+'", "'...'", COMPOSE["configs"]["databases"]["content"])
    lines = [line for line in script.splitlines() if not line.startswith("\\getenv")]
    assert [line for line in lines if f"    {line}\n" not in page] == []


def test_no_port_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:4200:4200"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_has_no_rights_to_spare(name: str) -> None:
    service = SERVICES[name]
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


def test_secrets_and_data_stay_out_of_the_image() -> None:
    first, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert first == "*"
    assert others.pop() == "**/__pycache__"
    assert [line for line in others if line[0] != "!" or not (ROOT / line[1:]).exists()] == []
    assert {"!.env", "!data"}.isdisjoint(others)
