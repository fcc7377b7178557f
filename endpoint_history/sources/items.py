"""What every source gives: bodies that somebody saved, and what could not be taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from endpoint_history.refusals import Refused
from models.observation import Target


@dataclass(frozen=True, slots=True)
class SavedBody:
    """One saved body, as it was saved.

    `observed_at` is aware, of any zone. `target` is the requested path where the source tells it; None: the body's own
    model id. `origin` says where it lay, for people: a file, a file within a zip, a commit and path, a capture's URL.
    `dated_by` says where its time was found: `field fetched_at`, `name`, `path`, `modified`, or a word of the source's
    own. `status` is the HTTP status of the answer: 200, or 404 with the API's own error body.
    """

    body: bytes
    observed_at: datetime
    target: Target | None
    origin: str
    # Where its time was found is about the reading, not about the body: it does not make two of them different.
    dated_by: str = field(default="", compare=False)
    status: int = 200


@dataclass(frozen=True, slots=True)
class KnownBody:
    """Something that is not read again, as what it would give is had already: where it lay."""

    origin: str


@dataclass(frozen=True, slots=True)
class Source:
    """Older bodies. `name` is what `runs.source` says; `size` is how many files, blobs or captures there are to read.

    `items` reads them as it goes, and ends; each belongs to one of the `size` things, in the order they are read, so
    that `done` of an item is how many of them have been read with it.
    """

    name: str
    size: int
    items: Iterable[tuple[int, SavedBody | Refused | KnownBody]]
