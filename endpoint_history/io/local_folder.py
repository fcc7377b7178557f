"""A local folder that other users may write to: files come there whole, and nothing in it is reached through a link."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from endpoint_history.io.private_files import sync_folder

NO_FILE: Final = -1  # the size of a link, a pipe, or anything else that is no file


class LocalFolder:
    """A folder; paths in it are relative, with `/`. All but `root` is used while it is `locked`, and raises OSError.

    What is made has exactly these modes, whatever the umask. Names of files in the making begin with `making`.
    """

    def __init__(self, root: Path, making: str, *, file_mode: int = 0o600, folder_mode: int = 0o700) -> None:
        self.root = root
        self._making, self._file_mode, self._folder_mode = making, file_mode, folder_mode
        self._descriptor = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is missing, and keep out others that lock it. Raises BlockingIOError if one has."""
        self._make_root(self.root)
        self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(self._descriptor)

    def remove_unfinished(self) -> None:
        """Remove what a crash left in the making."""
        for path in self.sizes():
            name = path.rpartition("/")[2]
            if name.startswith(self._making):
                self.remove(path)
        for name in os.listdir(self._descriptor):  # noqa: PTH208 - it is a descriptor
            if name.startswith(self._making):
                shutil.rmtree(name, dir_fd=self._descriptor)

    def sizes(self) -> dict[str, int]:
        """Return path and bytes of everything in the folder but folders; NO_FILE for what is no file."""
        sizes = {}
        for folder, folders, names, descriptor in os.fwalk(".", dir_fd=self._descriptor, onerror=_raise):
            for name in (*folders, *names):
                with suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if not stat.S_ISDIR(found.st_mode):
                        path = f"{folder}/{name}".removeprefix("./")
                        sizes[path] = found.st_size if stat.S_ISREG(found.st_mode) else NO_FILE
        return sizes

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """Open a file for reading. Raises FileNotFoundError, and OSError for what is no file."""
        with self._parent(path) as (parent, name):
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
            except OSError as error:
                raise _explained(error, name) from None
        with open(descriptor, "rb") as file:  # noqa: PTH123 - it is a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, f"{name} is no file")
            yield file

    def write(self, path: str, content: bytes) -> None:
        """Put a file in its place, or in that of what is there. It is not waited for until it is on the disk."""
        with self._parent(path, make=True) as (parent, name):
            aside = f"{self._making}{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            try:
                with open(os.open(aside, flags, self._file_mode, dir_fd=parent), "wb") as file:  # noqa: PTH123
                    os.fchmod(file.fileno(), self._file_mode)
                    file.write(content)
                os.replace(aside, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with suppress(OSError):
                    os.unlink(aside, dir_fd=parent)
                raise

    def take_in(self, source: Path, path: str) -> None:
        """Move a file of the same file system to its place, and wait until it is on the disk."""
        with self._parent(path, make=True) as (parent, name):
            with source.open("rb") as file:
                os.fchmod(file.fileno(), self._file_mode)
                os.fsync(file.fileno())
            os.replace(source, name, dst_dir_fd=parent)
            os.fsync(parent)

    def set_mode(self, path: str) -> None:
        """Give a file the mode that it would be made with."""
        with self.opened(path) as file:
            found = os.fstat(file.fileno())
            # One with a second name may be somebody's secret, put here to be opened to others.
            if found.st_nlink == 1 and stat.S_IMODE(found.st_mode) != self._file_mode:
                os.fchmod(file.fileno(), self._file_mode)

    def remove(self, path: str) -> None:
        """Remove a file, and folders that are empty then."""
        with self._parent(path) as (parent, name):
            os.unlink(name, dir_fd=parent)
        folder = path.rpartition("/")[0]
        with suppress(OSError):
            while folder:
                with self._parent(folder) as (parent, name):
                    os.rmdir(name, dir_fd=parent)
                folder = folder.rpartition("/")[0]

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder of a path as a descriptor, no part of the way being a link, and the name in it."""
        *folders, last = path.split("/")
        descriptor = os.dup(self._descriptor)
        try:
            for name in folders:
                below = self._open_folder(name, descriptor, make=make)
                os.close(descriptor)
                descriptor = below
            yield descriptor, last
        finally:
            os.close(descriptor)

    def _open_folder(self, name: str, parent: int, *, make: bool) -> int:
        made = False
        with suppress(FileExistsError):
            if make:
                os.mkdir(name, self._folder_mode, dir_fd=parent)
                made = True
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError as error:
            raise _explained(error, name) from None
        if made:
            os.fchmod(descriptor, self._folder_mode)
        return descriptor

    def _make_root(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_root(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(self._folder_mode)
            folder.chmod(self._folder_mode)
            sync_folder(folder.parent)


def _explained(error: OSError, name: str) -> OSError:
    """Name a link, or a file in the place of a folder, which the system tells in other words."""
    if error.errno == errno.ELOOP:
        return OSError(errno.ELOOP, f"{name} is a link, and links are not followed")
    if error.errno == errno.ENOTDIR:
        return OSError(errno.ENOTDIR, f"{name} is no folder; links are not followed")
    return error


def _raise(error: OSError) -> None:
    raise error
