"""Read a git repository with the git program: which commits changed which paths.

Read-only: nothing is checked out or fetched, and no hook, pager, filter or program of the repository is run.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from endpoint_history.errors import ConfigurationError
from endpoint_history.sources.git.changes import ChangeList

_PIPE_BYTES = 2**20  # Linux's limit for everyone: git reads the next blob while this one is parsed

# Variables about git itself that are kept; other GIT_* variables could select another repository.
_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",  # git before 2.45 does not know GIT_NO_LAZY_FETCH: its fetch finds no way out
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_SAFE = ("--no-pager", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "log.showRoot=true")
# -c names a path of a merge only where the merge differs from all its parents: what came whole from one of them is
# that parent's change, at that parent's time.
_ANY = ("log", "-1", "--format=%S", "--no-show-signature", "--full-history")
_LOG = (
    *("log", "--full-history", "--reverse", "-c", "--raw", "-z", "--no-abbrev", "--format=commit %H %at %ct"),
    *("--no-renames", "--no-follow", "--no-relative", "--no-ext-diff", "--no-textconv", "--no-show-signature"),
    *("--no-color", "--no-notes", "--encoding=UTF-8", "-O/dev/null"),
)


class Repository:
    """A git repository with commits. Raises ConfigurationError, in one line, if there is none."""

    def __init__(self, name: str) -> None:
        program = shutil.which("git")
        if program is None:
            raise ConfigurationError("git is not installed: this source reads repositories with the git program")
        self.name = one_line(name)
        self._command = [program, "-C", str(_folder(name)), *_SAFE]
        shallow = self._ask("rev-parse", "--path-format=absolute", "--git-path", "shallow")
        self._head = self._ask("rev-parse", "--verify", "HEAD^{commit}", otherwise="has no commits")
        self.lfs_objects = (
            Path(self._ask("rev-parse", "--path-format=absolute", "--git-common-dir")) / "lfs" / "objects"
        )
        self._cuts = frozenset(Path(shallow).read_text("ascii").split() if Path(shallow).exists() else ())

    def list_changes(self, patterns: Sequence[str]) -> ChangeList:
        """List the changes at these paths, folders and globs, oldest first. Raises ConfigurationError."""
        if not patterns:
            raise ConfigurationError("name at least one path of the repository")
        specs = [_pathspec(pattern) for pattern in patterns]
        for pattern, spec in zip(patterns, specs, strict=True):
            if not self._ask(*_ANY, self._head, "--", spec):
                raise ConfigurationError(
                    f"no commit of {self.name} touches {one_line(pattern)}{self._where_else(spec)}"
                )
        listing = ChangeList(self._cuts)
        self._run(*_LOG, self._head, "--", *specs, stdout=listing.asked)
        self._run(*_LOG, "--full-diff", self._head, "--", *specs, stdout=listing.full)
        return listing

    def _where_else(self, spec: str) -> str:
        """Return a hint at a branch that touches a path if HEAD does not: some keep data on a branch of its own."""
        ref = one_line(self._ask(*_ANY, "--all", "--", spec))
        branch = ref.removeprefix("refs/heads/").removeprefix("refs/remotes/origin/")
        return f", but one of {ref} does: load a clone of it (git clone --branch {branch})" if ref else ""

    def start_batch(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process that returns blobs for their ids; the caller ends it."""
        return subprocess.Popen(  # noqa: S603 - git itself, no shell
            [*self._command, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            pipesize=_PIPE_BYTES,
        )

    def _ask(self, *arguments: str, otherwise: str | None = None) -> str:
        return os.fsdecode(self._run(*arguments, otherwise=otherwise)).removesuffix("\n")

    def _run(self, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, otherwise: str | None = None) -> bytes:
        done = subprocess.run(  # noqa: S603 - git itself, no shell
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=_environment(),
            check=False,
        )
        if done.returncode == 0:
            return done.stdout or b""
        reason = git_reason(done.stderr) or f"ended with {done.returncode}"
        if "not a git repository" in reason:
            raise ConfigurationError(f"{self.name} is not a git repository")
        raise ConfigurationError(f"{self.name} {otherwise}" if otherwise else f"{self.name}: git says: {reason}")


def one_line(text: str | bytes) -> str:
    """Return a path or name on one line, without control characters."""
    if isinstance(text, str):
        text = os.fsencode(text)
    decoded = text.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in decoded)


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(_KEPT)}
    return kept | _ENVIRONMENT


def _folder(name: str) -> Path:
    with suppress(OSError, ValueError, RuntimeError):  # a name too long, with a NUL, or of a user that is not there
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"there is no folder {one_line(name)!r}")


def _pathspec(pattern: str) -> str:
    if not pattern or "\0" in pattern:
        raise ConfigurationError(f"{one_line(pattern)!r} is not a path")
    path = posixpath.normpath(pattern)
    # From the root wherever we stand; `*` ends at a slash and `**` does not, as in a shell.
    return ":(top)" if path == "." else f":(top,glob){path}"


def git_reason(stderr: bytes) -> str:
    """Git's own words in one line, from its `fatal:` on where it has one."""
    text = stderr.decode("utf-8", "backslashreplace")
    *_, words = text.rpartition("fatal: ")
    return one_line(" ".join(words.split()))[:400]
