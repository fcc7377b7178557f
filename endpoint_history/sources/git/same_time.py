"""Refuse different bodies of one target with the same time: at most one of them can be right."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NamedTuple, Self

from endpoint_history.io.strict_json import NotJsonError, load_json
from endpoint_history.refusals import Refused
from endpoint_history.sources.items import KnownBody, SavedBody
from models.observation import Target

_IN_MEMORY_BYTES = 32 * 2**20


class _Held(NamedTuple):
    """A held body; its bytes are in the file from `start` on."""

    done: int
    found: SavedBody
    start: int
    size: int
    hint: str


@dataclass(slots=True)
class SameTime:
    """Holds bodies until all with the same time are read; their bytes are on disk beyond 32 MiB.

    `commits` counts the commits of each second, for bodies dated by their commit alone. Use it as a context manager.
    """

    commits: Counter[int] = field(default_factory=Counter)
    _held: defaultdict[int, list[_Held]] = field(default_factory=lambda: defaultdict(list))
    _bodies: tempfile.SpooledTemporaryFile[bytes] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed with this
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bodies.close()

    def hold(self, done: int, found: SavedBody, hint: str) -> None:
        """Hold one until its second is complete. `hint` is the option that could date it better."""
        start = self._bodies.seek(0, 2)
        self._bodies.write(found.body)
        second = int(found.observed_at.timestamp())
        self._held[second].append(_Held(done, replace(found, body=b""), start, len(found.body), hint))

    def end_commit(self, second: int | None) -> Iterator[tuple[int, SavedBody | Refused | KnownBody]]:
        """Yield the items of this second, if this was its last commit."""
        if second is None:
            return
        self.commits[second] -= 1
        if self.commits[second] <= 0:
            yield from self._released(self._held.pop(second, []))
            self._forget()

    def end_file(self) -> Iterator[tuple[int, SavedBody | Refused | KnownBody]]:
        """Yield all held items."""
        for second in list(self._held):
            yield from self._released(self._held.pop(second))
        self._forget()

    def _forget(self) -> None:
        if not self._held:
            self._bodies.seek(0)
            self._bodies.truncate()

    def _released(self, held: list[_Held]) -> Iterator[tuple[int, SavedBody | Refused | KnownBody]]:
        if len(held) == 1:
            yield held[0].done, self._whole(held[0])
            return
        owned = [(item, _owner(self._body(item), item.found.target), self._digest(item)) for item in held]
        written: defaultdict[str, set[bytes]] = defaultdict(set)
        for _, target, digest in owned:
            written[target].add(digest)
        seen: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        judged = []
        for item, target, digest in owned:
            # Contents are compared only if the bytes differ.
            content = _content(self._body(item)) if len(written[target]) > 1 else digest
            judged.append((item, target, seen[target].setdefault(content, digest) == digest))
        for item, target, is_first in judged:
            if (count := len(seen[target])) > 1:
                yield item.done, Refused(item.found.origin, _refusal(item, count, target))
            else:
                # The same content in another layout, such as a line of a log beside a file that shows the newest.
                yield item.done, self._whole(item) if is_first else KnownBody(item.found.origin)

    def _whole(self, item: _Held) -> SavedBody:
        return replace(item.found, body=self._body(item))

    def _body(self, item: _Held) -> bytes:
        self._bodies.seek(item.start)
        return self._bodies.read(item.size)

    def _digest(self, item: _Held) -> bytes:
        return hashlib.sha256(self._body(item)).digest()


def _refusal(item: _Held, count: int, target: str) -> str:
    time = f"{item.found.observed_at:%Y-%m-%d %H:%M:%S}"
    source = {"name": "the file's name", "path": "the file's path"}.get(item.found.dated_by, item.found.dated_by)
    return f"{count} different bodies of {target} have only the one time {time} UTC, {source}: {item.hint}"


def _owner(body: bytes, target: Target | None) -> str:
    """Return the target of a body; without one, the path that was probably requested."""
    try:
        return str(target or _own_target(load_json(body)["data"]))
    except (NotJsonError, KeyError, TypeError, AttributeError, ValueError):
        return ""


def _content(body: bytes) -> bytes:
    """Return a digest of a body's content, whatever its layout."""
    with suppress(NotJsonError, TypeError, ValueError):
        body = json.dumps(load_json(body), sort_keys=True, default=str).encode()
    return hashlib.sha256(body).digest()


def _own_target(data: dict[str, Any]) -> str:
    """Return the variant if all endpoints are of one, else the model."""
    ids = {str(endpoint.get("model_id") or data["id"]) for endpoint in data["endpoints"]}
    only = ids.pop() if len(ids) == 1 else ""
    return only if only.startswith(f"{data['id']}:") else str(data["id"])
