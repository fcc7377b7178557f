"""The archive of raw bodies: where bundles lie, how they come there whole, how they are read.

A run writes its lines to a spool on the local disk. At its end, or by `recover` after a crash, they are compressed to
a temporary name, which is then renamed to that of the bundle.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from endpoint_history.archive.bundle_format import RUN_NAME, ArchiveDamage, folder_of, read_bundle, run_name
from endpoint_history.archive.listing import BUNDLE, NOTE, list_archive
from endpoint_history.archive.spool import BundleWriter, Spool
from endpoint_history.archive.withdrawal_note import WithdrawalNote
from endpoint_history.errors import HistoryError
from endpoint_history.io.gzip_lines import inflate
from endpoint_history.io.private_files import make_folder, open_private, sync_folder
from endpoint_history.io.storage import Storage
from models.observation import Observation, Run

__all__ = ["Archive", "ArchiveDamage", "BundleWriter", "run_name"]

_CHUNK_BYTES = 16 * 2**10


class Archive:
    """All bundles under one URL: a local folder, or whatever fsspec knows, such as `s3://bucket/folder`.

    `location` is the URL for people, without credentials. A run under way has its spool beside the bundles, and where
    the archive is remote in `spool`, a local folder. Raises ConfigurationError for a URL that can't be an archive.
    """

    def __init__(self, url: str, spool: Path = Path("data/spool")) -> None:
        self._storage = Storage(url, "ARCHIVE_URL")
        self._address, self._files, self._root = self._storage.address, self._storage.files, self._storage.root
        self._is_local, self.location = self._storage.is_local, self._storage.location
        key = hashlib.sha256(self._address.public.encode()).hexdigest()[:12]
        self._spools = Path(self._root) if self._is_local else spool / key

    @property
    def folder(self) -> Path | None:
        """Where it lies, if that is on this machine."""
        return Path(self._root) if self._is_local else None

    @contextmanager
    def open_bundle(self, run: Run) -> Iterator[BundleWriter]:
        """Write the bundle of a run: at the end it is there whole, or not at all where nothing was added.

        It is there after an error too, because what was seen was seen. Raises HistoryError where it can't be written;
        the lines then wait for `recover`.
        """
        spool = self._begin(run.name)
        try:
            try:
                yield BundleWriter(run, spool)
            except BaseException as error:
                self._finish_after(error, spool, run.name)
                raise
            self._finish(spool, run.name)
        finally:
            spool.close()

    def recover(self) -> list[str]:
        """Finish the bundles of runs that a crash or a full disk cut short, and give their names.

        Runs still under way are left alone; several processes may recover at once. Raises HistoryError, after trying
        all, where one can't be finished; nothing of it is lost.
        """
        names: list[str] = []
        troubles: list[HistoryError] = []
        for path in sorted(self._spools.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/.*.jsonl.part")):
            name = path.name.removeprefix(".").removesuffix(".jsonl.part")
            try:
                if RUN_NAME.fullmatch(name) and self._take_over(path, name):
                    names.append(name)
            except HistoryError as trouble:
                troubles.append(trouble)
        if troubles:
            others = f" (and {len(troubles) - 1} more bundles)" if troubles[1:] else ""
            raise HistoryError(f"{troubles[0]}{others}")
        return names

    def bundles(self, since: str = "") -> list[str]:
        """The names of all bundles, oldest first, or of those not less than `since`. Raises HistoryError."""
        return sorted(self.sizes(since))

    def sizes(self, since: str = "") -> dict[str, int]:
        """Name and compressed bytes of every bundle whose name is not less than `since`; names sort by time.

        What else lies in the archive's folders is not ours, and bundles of withdrawn runs are left out. Raises
        HistoryError where the folders can't be listed.
        """
        found = list_archive(self._storage, since)
        return {name: size for name, size in found.sizes.items() if name not in found.withdrawn}

    def withdrawn(self) -> set[str]:
        """The names of the runs that are withdrawn, whether their bundles are there or not. Raises HistoryError."""
        return list_archive(self._storage).withdrawn

    def notes(self) -> dict[str, WithdrawalNote]:
        """Why each withdrawn run is withdrawn, by its name. Raises HistoryError."""
        return {name: self._note(name) for name in sorted(self.withdrawn())}

    def withdraw(self, note: WithdrawalNote) -> None:
        """Set the bundle of a run aside until `restore`: it stays where it is, but is listed no more.

        Raises HistoryError.
        """
        with self._address.told(f"can't withdraw {note.run} in the archive {self.location}"):
            waiting = self._spools / f".{note.run}{NOTE}.tmp"
            make_folder(waiting.parent)
            try:
                with open(waiting, "wb", opener=open_private) as file:
                    file.write(note.encode())
                    file.flush()
                    os.fsync(file.fileno())
                self._publish(waiting, self._path(note.run, NOTE))
            finally:
                waiting.unlink(missing_ok=True)

    def restore(self, name: str) -> None:
        """Undo `withdraw`, also twice. Raises HistoryError."""
        with self._address.told(f"can't restore {name} in the archive {self.location}"), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            self._files.rm_file(self._path(name, NOTE))

    def has(self, name: str) -> bool:
        """Whether the bundle of this run is there, and the run is not withdrawn."""
        return self.holds(name) and not self._exists(name, NOTE)

    def holds(self, name: str) -> bool:
        """Whether the bundle of this run is there, withdrawn or not."""
        with self._address.told(f"can't look for {name} in the archive {self.location}"):
            return RUN_NAME.fullmatch(name) is not None and self._exists(name)

    def is_open(self, name: str) -> bool:
        """Whether the run is under way on this machine, or its lines wait here to become its bundle."""
        return self._spool_path(name).exists()

    def size_bytes(self) -> int:
        """How much all bundles take, compressed."""
        return sum(self.sizes().values())

    def load(self, name: str, count: Callable[[int], None] = lambda _: None) -> Iterator[Observation]:
        """The observations of a bundle one by one, with their `archive_line`.

        `count` is told how many compressed bytes are read, as they are. Raises HistoryError where the bundle can't be
        had, and ArchiveDamage after the last readable line where others can't be read.
        """
        return read_bundle(self._chunks(name, count), name, self.path(name))

    def path(self, name: str) -> str:
        """Where the bundle of this run lies, without credentials."""
        return self._path(name, BUNDLE)

    def _path(self, name: str, suffix: str) -> str:
        return f"{self._root}/{folder_of(name)}/{name}{suffix}"

    def _spool_path(self, name: str) -> Path:
        return self._spools / folder_of(name) / f".{name}.jsonl.part"

    def _exists(self, name: str, suffix: str = BUNDLE) -> bool:
        self._files.invalidate_cache()
        return bool(self._files.exists(self._path(name, suffix)))

    def _note(self, name: str) -> WithdrawalNote:
        path = self._path(name, NOTE)
        with self._address.told(f"can't read {path}"):
            return WithdrawalNote.decode(self._files.cat_file(path), name)

    def _begin(self, name: str) -> Spool:
        path = self._spool_path(name)
        with self._address.told(f"can't write the archive bundle {path}"):
            make_folder(path.parent)
            # A remote archive is asked at the end only: what keeps it away for an hour must not keep a run from seeing.
            if self._is_local and self._exists(name):
                raise HistoryError(f"the bundle {self.path(name)} is there already, and none is ever rewritten")
            return Spool.create(path)

    def _take_over(self, path: Path, name: str) -> bool:
        with self._address.told(f"can't read {path}"):
            spool = Spool.take_over(path)
        if spool is None:
            return False
        try:
            return self._finish(spool, name)
        finally:
            spool.close()

    def _finish_after(self, error: BaseException, spool: Spool, name: str) -> None:
        try:
            self._finish(spool, name)
        except HistoryError as trouble:
            error.add_note(str(trouble))

    def _finish(self, spool: Spool, name: str) -> bool:
        """Make the bundle of a spool, True, or remove a spool that holds nothing new."""
        with self._address.told(f"can't finish the bundle {name}, its lines wait in {spool.path}"):
            if spool.empty or self._has_same(spool, name):
                spool.remove()
                return False
            packed = spool.path.with_name(f".{name}.jsonl.gz.tmp")
            try:
                spool.compress(packed)
                self._publish(packed, self.path(name))
            finally:
                packed.unlink(missing_ok=True)
            spool.remove()
            return True

    def _has_same(self, spool: Spool, name: str) -> bool:
        """Whether the bundle is there with the same lines: the crash came between its last two steps."""
        if not self._exists(name):
            return False
        try:
            same = _digest(inflate(self._chunks(name))) == _digest(spool.lines())
        except ValueError:
            same = False
        if not same:
            raise HistoryError(f"{spool.path} and {self.path(name)} differ: look at both and remove one")
        return True

    def _publish(self, file: Path, path: str) -> None:
        if self._is_local:
            make_folder(Path(path).parent)
            file.rename(path)
            sync_folder(Path(path).parent)
        else:
            self._storage.upload(file, path)

    def _chunks(self, name: str, count: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
        with self._address.told(f"can't read {self.path(name)}"), self._files.open(self.path(name), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                count(len(chunk))
                yield chunk


def _digest(pieces: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
