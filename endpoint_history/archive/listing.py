"""List what an archive holds: its bundles, and the notes of the runs that are withdrawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from endpoint_history.archive.bundle_format import RUN_NAME, folder_of
from endpoint_history.io.storage import Storage

BUNDLE, NOTE = ".jsonl.gz", ".withdrawn.json"
_OURS = rf".+({re.escape(BUNDLE)}|{re.escape(NOTE)})"


@dataclass(slots=True)
class ArchiveListing:
    """The bytes of every bundle by the name of its run, withdrawn or not, and the names of withdrawn runs."""

    sizes: dict[str, int] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)


def list_archive(storage: Storage, since: str = "") -> ArchiveListing:
    """What is there of runs whose name is not less than `since`; names sort by time. Raises HistoryError.

    What else lies in the folders is not ours.
    """
    storage.files.invalidate_cache()
    listing = ArchiveListing()
    for file in _files(storage, since):
        folder, _, filename = file["name"].rpartition("/")
        name, dot, ending = filename.partition(".")
        if not RUN_NAME.fullmatch(name) or not folder.endswith(f"/{folder_of(name)}"):
            continue
        if dot + ending == NOTE:
            listing.withdrawn.add(name)
        else:
            listing.sizes[name] = file["size"]
    return listing


def _files(storage: Storage, since: str) -> Iterator[dict[str, Any]]:
    for year in _listed(storage, storage.root, "[0-9]{4}", since[:4]):
        for month in _listed(storage, year["name"], "[0-9]{2}"):
            # No month before that of `since` is listed: this is asked before every collect, and the archive grows.
            if "".join(month["name"].rstrip("/").split("/")[-2:]) >= since[:6]:
                yield from _listed(storage, month["name"], _OURS, since)


def _listed(storage: Storage, folder: str, names: str, since: str = "") -> list[dict[str, Any]]:
    with storage.address.told(f"can't list {folder or storage.location}"):
        try:
            entries = storage.files.ls(folder, detail=True)
        except FileNotFoundError:
            return []
    by_name = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
    return [entry for name, entry in by_name.items() if re.fullmatch(names, name) and name >= since]
