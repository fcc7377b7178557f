"""The items of every source: saved bodies, known bodies, and refusals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from endpoint_history.refusals import Refused
from models.observation import Target


@dataclass(frozen=True, slots=True)
class SavedBody:
    """One saved body, unedited.

    `observed_at` is aware, in any zone. `target` is the requested path, None if the source does not name it: the body's
    own model id counts. `origin` names its place for people: a file, a file in a zip, a commit and path, or the URL of
    a capture. `dated_by` names the place of its time: `field fetched_at`, `name`, `path`, `modified`, or a phrase of
    the source. `status` is the HTTP status of the response: 200, or 404 with the API's own error body.
    """

    body: bytes
    observed_at: datetime
    target: Target | None
    origin: str
    dated_by: str = field(default="", compare=False)
    status: int = 200


@dataclass(frozen=True, slots=True)
class KnownBody:
    """A saved body that is not read again, as the database or an earlier version of its file has it."""

    origin: str


@dataclass(frozen=True, slots=True)
class Source:
    """Saved bodies. `size` is the number of files or blobs to read.

    `items` are read during the iteration: pairs of how many files or blobs are read by then, and the item.
    """

    size: int
    items: Iterable[tuple[int, SavedBody | Refused | KnownBody]]
