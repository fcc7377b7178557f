"""What one look at one target brought, before anybody has read it."""

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
    """One configured author/slug pair: the path that is asked for, which may resolve to another model id."""

    author: str
    slug: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `author/slug`; `~`, `:` and `.` are legal, path tricks and blanks are not. Raises ValueError."""
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

    `name` is unique and is also the name of the archive bundle that holds the run's bodies.
    `source` tells where its bodies come from: `live`, or for a backfill `files`, `git` or `wayback`.
    `cadence_seconds` is the interval of the schedule in force, None when nothing repeats it.
    """

    name: str
    kind: RunKind
    source: str
    cadence_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one target at one instant: evidence not yet read.

    `observed_at` is aware UTC in whole seconds, from our clock when the response came. `status` is the HTTP status,
    None when no response came. `error` says in one line why there is no whole response; a body beside it is only a
    part. `body` is what came after content decoding, unedited. `origin` says where a body from outside lay: a file, a
    commit and path, a capture's URL; None where we looked ourselves. `archive_line` counts the lines of the run's
    archive bundle from 1.
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
        """The first 16 hex digits of the body's SHA-256; empty without a body."""
        return hashlib.sha256(self.body).hexdigest()[:16] if self.body is not None else ""
