"""The values of a request before its body is parsed: target, run and observation."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Self

Outcome = Literal["ok", "gone", "failed"]
RunKind = Literal["collect", "backfill"]

_PART = r"[A-Za-z0-9~][A-Za-z0-9~._:@+-]*"
TARGET_FORM = re.compile(rf"(?P<author>{_PART})/(?P<slug>{_PART})")
TARGET_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One configured author/slug pair. It may resolve to a model with another id."""

    author: str
    slug: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the target of a text `author/slug`. Raises ValueError for `..`, blanks and other characters."""
        match = TARGET_FORM.fullmatch(text)
        if not match or len(text) > TARGET_MAX_LENGTH:
            raise ValueError(
                f"{text!r} is not an author/slug pair such as 'openai/gpt-4o' or 'deepseek/deepseek-r1:free'"
            )
        return cls(match["author"], match["slug"])

    def __str__(self) -> str:
        return f"{self.author}/{self.slug}"


@dataclass(frozen=True, slots=True)
class Run:
    """One collect or backfill.

    `name` is unique, and is also the name of the archive bundle with the run's bodies. `source` is where the bodies
    come from: `live`, or `files`, `git` or `wayback` for a backfill. `cadence_seconds` is the interval of the run's
    schedule, None if it has none.
    """

    name: str
    kind: RunKind
    source: str
    cadence_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One request for one target, and its response, not yet parsed.

    `observed_at` is aware UTC in whole seconds: the time of our clock when the response arrived. `status` is the HTTP
    status, None if no response arrived. `error` is one line that says why there is no complete response; a body beside
    it is incomplete. `body` is the unedited body after content decoding. `origin` is the source of an imported body: a
    file, a commit and path, or a capture's URL; it is None if we made the request ourselves. `archive_line` is the line
    in the run's archive bundle, counted from 1.
    """

    run: Run
    target: Target
    observed_at: datetime
    status: int | None
    error: str | None = None
    elapsed_ms: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    origin: str | None = None
    archive_line: int | None = None

    def __post_init__(self) -> None:
        if self.observed_at.tzinfo is None or self.observed_at.microsecond:
            raise ValueError(f"observed_at is aware and in whole seconds, not {self.observed_at}")

    @property
    def body_digest(self) -> str:
        """Return the first 16 hex digits of the body's SHA-256, or an empty text without a body."""
        return hashlib.sha256(self.body).hexdigest()[:16] if self.body is not None else ""
