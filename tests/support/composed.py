"""What compose.yaml says, as Docker would read it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.prefect_server import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
_REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
VARIABLES = sorted(set(_REQUIRED.findall((ROOT / "compose.yaml").read_text())))


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service, where `given` is what stands in .env. Raises KeyError for one that must be there."""
    found: dict[str, str | None] = SERVICES[service]["environment"]
    values = {name: given.get(name) if value is None else _filled(value, given) for name, value in found.items()}
    return {name: value for name, value in values.items() if value is not None}


def _filled(value: str, given: Mapping[str, str]) -> str:
    return _REQUIRED.sub(lambda match: given[match[1]], value)


def copy_context(app: Path) -> Path:
    """A folder with what .dockerignore lets into the image."""
    app.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                shutil.copytree(source, app / line[1:], ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, app)
    return app
