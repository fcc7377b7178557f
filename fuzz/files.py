"""Any bytes as a saved file, plain or in a container: `python -m fuzz.files [libFuzzer's options] [CORPUS]`.

The first byte chooses how they are put into the file.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["endpoint_history", "models"]):
    from endpoint_history.refusals import Refused
    from endpoint_history.sources.files.source import open_files

_NAME_BYTES = 20
_MOST_ITEMS = 100_000


def _plain(data: bytes) -> bytes:
    return data


def _zip(data: bytes) -> bytes:
    """The first bytes name the member."""
    name = data[:_NAME_BYTES].decode("utf-8", "replace").replace("\0", "") or "a"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data[_NAME_BYTES:])
    return out.getvalue()


def _tar(data: bytes) -> bytes:
    member = tarfile.TarInfo(data[:_NAME_BYTES].decode("utf-8", "replace").replace("\0", "") or "a")
    member.size = len(data[_NAME_BYTES:])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        file.addfile(member, io.BytesIO(data[_NAME_BYTES:]))
    return out.getvalue()


_FORMS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    *((suffix, _plain) for suffix in ("json", "jsonl", "gz", "zip", "tar", "tar.gz")),
    ("json.gz", gzip.compress),
    ("zip", _zip),
    ("tar.gz", _tar),
)
_FOLDER = tempfile.TemporaryDirectory(prefix="endpoint-history-fuzz-")


def read_anything(data: bytes) -> None:
    """Check that any file gives bodies, or refusals with a reason, and that reading it ends."""
    suffix, form = _FORMS[data[0] % len(_FORMS)] if data else _FORMS[0]
    path = Path(_FOLDER.name) / f"20260516T090000Z.{suffix}"
    path.write_bytes(form(data[1:]))
    for number, (_, item) in enumerate(open_files([str(path)], time=None, target=None).items):
        if number > _MOST_ITEMS or (isinstance(item, Refused) and not str(item)):
            raise AssertionError(item)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_anything)
    atheris.Fuzz()
