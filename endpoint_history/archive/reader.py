"""Read bundles of the archive one after the other: how far that is, and what of them can't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from endpoint_history.archive.bundles import Archive
from endpoint_history.errors import HistoryError
from endpoint_history.refusals import Refused
from models.observation import Observation

_KILO = 1000

Progress = Callable[[int, int], None]


class BundleReader:
    """These bundles, to be read one after the other; `progress` gets its `place` after each look."""

    def __init__(self, archive: Archive, names: Sequence[str], progress: Progress | None = None) -> None:
        self.names = names
        self._archive = archive
        self._progress = progress
        self._bytes = 0

    @property
    def place(self) -> tuple[int, int]:
        """How many kB of the bundles have been read, of how many."""
        return -(-self._bytes // _KILO), -(-self._size // _KILO)

    @cached_property
    def _size(self) -> int:
        sizes = self._archive.sizes()
        return sum(sizes.get(name, 0) for name in self.names)

    def looks(self, name: str) -> Iterator[Observation | Refused]:
        """What a bundle holds; what of it can't be read comes last. Raises HistoryError where the archive is away."""
        try:
            for look in self._archive.load(name, self._count):
                yield look
                if self._progress:
                    self._progress(*self.place)
        except HistoryError as damage:
            self._archive.has(name)  # raises where it is not this bundle alone
            path = self._archive.path(name)
            yield Refused(path, str(damage).removeprefix(f"{path}, ").replace(f"can't read {path}", "it can't be read"))

    def _count(self, read: int) -> None:
        self._bytes += read
