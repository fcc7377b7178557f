"""The form of an archive bundle: one line of JSON for one observation, gzip over them. Pure: bytes and values only.

A line ends with the CRC-32 of all that stands before it. gzip has one sum for a whole bundle, which comes too late: of
600 bundles with one flipped bit 270 gave lines that were wrong and still read well.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from endpoint_history.errors import HistoryError
from endpoint_history.io.gzip_lines import RawLine, inflate, split_lines
from models.observation import Observation, Run, RunKind, Target

FORMAT: Literal[1] = 1
RUN_NAME = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}Z"
    r"(?=.{1,80}\Z)-[a-z]+(?:-[a-z0-9]+)+"
)

NAME_TIME = "%Y%m%dT%H%M%SZ"
_SECOND = "%Y-%m-%dT%H:%M:%SZ"
_SEAL_BYTES = len(',"crc32":"00000000"}')


class ArchiveDamage(HistoryError):  # noqa: N818 - what is found, and history goes on without it
    """A part of a bundle can't be read; the message names file, first line, its byte offset, and how many lines."""


def run_name(kind: str, started_at: datetime, token: str) -> str:
    """Name a run such as `20261123T201500Z-collect-1a2b3c`; names sort by time.

    `started_at` is aware; `token` tells runs of one second apart. Raises ValueError where the name would be no safe
    file name: `kind` and `token` are lower-case ASCII letters, `token` also digits.
    """
    name = f"{started_at.astimezone(UTC):{NAME_TIME}}-{kind}-{token}"
    if started_at.tzinfo is None or not RUN_NAME.fullmatch(name):
        raise ValueError(f"{name!r} from {started_at!r} is not the name of a run")
    return name


def collect_name(name: str) -> str:
    """The name of the walk that a run is, or of which it is a shard: `20261123T201500Z-collect-1a2b3c-2-4d5e6f`."""
    return "-".join(name.split("-")[:3])


def folder_of(name: str) -> str:
    """Where in the archive the bundle of a run lies: `2026/11`. Raises HistoryError for what names no run."""
    match = RUN_NAME.fullmatch(name)
    if not match:
        raise HistoryError(f"{name!r} is not the name of a run, such as 20261123T201500Z-collect-1a2b3c")
    return f"{match['year']}/{match['month']}"


def encode_line(observation: Observation) -> bytes:
    """One observation as one line with its newline.

    A lone surrogate in the error or a header, which UTF-8 can't hold, becomes a question mark.
    """
    text = json.dumps(_fields(observation), ensure_ascii=False, separators=(",", ":"))
    content = text.encode(errors="replace").removesuffix(b"}")
    return content + _seal(content) + b"\n"


def read_bundle(chunks: Iterable[bytes], name: str, where: str) -> Iterator[Observation]:
    """The observations of the bundle `name` from its compressed bytes, as far as they can be read.

    Small chunks (16 KiB) bound the memory that a hostile bundle can take. `where` is the file for the message. Raises
    ArchiveDamage after the last readable line if any line could not be read.
    """
    first, bad, lines = "", 0, 0
    for raw in split_lines(inflate(chunks)):
        lines += 1
        try:
            yield _decode(raw, name)
        except ValueError as error:
            first = first or f"line {raw.number} at byte {raw.offset}: {_one_line(error)}"
            bad += 1
    if not lines:
        raise ArchiveDamage(f"{where}, it holds no line, and no bundle is written without one")
    if bad:
        more = "" if bad == 1 else f", the first of {bad} unreadable lines"
        raise ArchiveDamage(f"{where}, {first}{more}")


_Duration = Annotated[int, Field(ge=0, lt=2**31)]  # what the columns hold
_Status = Annotated[int, Field(ge=0, lt=1000)]


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)

    format: Literal[1]
    run: str
    kind: RunKind
    source: str
    cadence_seconds: _Duration | None
    author: str
    slug: str
    observed_at: Annotated[str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$")]
    status: _Status | None
    error: str | None
    elapsed_ms: _Duration | None
    headers: dict[str, str]
    body: str | None = None
    body_base64: str | None = None
    origin: str | None = None


def _fields(observation: Observation) -> dict[str, Any]:
    run, target = observation.run, observation.target
    return {
        "format": FORMAT,
        "run": run.name,
        "kind": run.kind,
        "source": run.source,
        "cadence_seconds": run.cadence_seconds,
        "author": target.author,
        "slug": target.slug,
        "observed_at": observation.observed_at.astimezone(UTC).strftime(_SECOND),
        "status": observation.status,
        "error": observation.error,
        "elapsed_ms": observation.elapsed_ms,
        "headers": observation.headers,
        "origin": observation.origin,
    } | _body_fields(observation.body)


def _body_fields(body: bytes | None) -> dict[str, str | None]:
    """`body` is always there, so that the columns of a bundle don't depend on what came."""
    try:
        return {"body": None if body is None else body.decode()}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(body or b"").decode()}


def _seal(content: bytes) -> bytes:
    return b',"crc32":"%08x"}' % zlib.crc32(content)


def _decode(raw: RawLine, name: str) -> Observation:
    if raw.trouble:
        raise ValueError(raw.trouble)
    if _seal(raw.content[:-_SEAL_BYTES]) != raw.content[-_SEAL_BYTES:]:
        raise ValueError("its checksum is wrong")
    line = _Line.model_validate_json(raw.content)
    if line.run != name:
        raise ValueError(f"it belongs to the run {line.run!r}")
    return Observation(
        run=Run(line.run, line.kind, line.source, line.cadence_seconds),
        target=Target.parse(f"{line.author}/{line.slug}"),
        observed_at=datetime.fromisoformat(line.observed_at),
        status=line.status,
        error=line.error,
        elapsed_ms=line.elapsed_ms,
        headers=line.headers,
        body=_body(line),
        origin=line.origin,
        archive_line=raw.number,
    )


def _body(line: _Line) -> bytes | None:
    if line.body_base64 is not None:
        return base64.b64decode(line.body_base64, validate=True)
    return None if line.body is None else line.body.encode()


def _one_line(error: ValueError) -> str:
    match error:
        case ValidationError():
            first = error.errors()[0]
            return f"{'.'.join(map(str, first['loc'])) or 'not JSON'}: {first['msg']}"
        case binascii.Error() | UnicodeError():
            return "its body is no text and no base64"
        case _:
            return str(error)
