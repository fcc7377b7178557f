"""Pages out of plain values: the door to Jinja2."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from endpoint_history.site.output import numbers

_TEMPLATES = Path(__file__).parents[1] / "templates"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["aligned"] = numbers.aligned
# What stands in a <script> as JSON: no sign in it can end that element, whoever wrote the text.
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
_HEAD = "<!doctype html>\n<!-- {} -->\n"


class Page:
    """One page to be: its template, its values, and whether it lies in a folder below the first page's.

    `head` is how it begins.
    """

    def __init__(self, template: str, values: Mapping[str, Any], *, below: bool) -> None:
        self._template = template
        self._values = dict(values) | {"root": "../" if below else ""}
        shown = json.dumps(self._values, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{_templates_digest()}\n{template}\n{shown}".encode()).hexdigest()[:32]
        # By the digest of all that it is made from a page is known to be as it was.
        self.head = _HEAD.format(digest).encode()

    def render(self) -> bytes:
        """The whole page."""
        text = _ENVIRONMENT.get_template(self._template).render(self._values)
        return self.head + text.encode() + b"\n"


@cache
def _templates_digest() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_TEMPLATES.iterdir()))).hexdigest()
