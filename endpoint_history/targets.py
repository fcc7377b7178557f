"""The target list: which author/slug pairs to ask for. Pure but for reading its file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from endpoint_history.errors import ConfigurationError
from endpoint_history.settings import Settings
from endpoint_history.suggestions import closest
from models.observation import TARGET_FORM, TARGET_MAX_LENGTH, Target

EVERYTHING = "*"
DEFAULT_INCLUDE = (EVERYTHING,)
DEFAULT_EXCLUDE = ("~*/*", "openrouter/*")  # aliases and routers: they have no prices of their own
_PATTERN_PART = r"[A-Za-z0-9~*][A-Za-z0-9~*._:@+-]*"
ENTRY_FORM = rf"^(\*|{_PATTERN_PART}/{_PATTERN_PART})$"
_EXPECTED = "expected 'author/slug', a pattern such as 'anthropic/*', or '*'"


@dataclass(frozen=True, slots=True)
class TargetList:
    """Entries to ask for and entries to leave out: pairs, or patterns in which `*` stands for any text."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    origin: str = "the given targets"

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """Read the targets file of these settings; without `targets.toml`, return every model but aliases and routers.

        Raises ConfigurationError as `read` does, also if TARGETS_FILE names a file that is missing.
        """
        path = settings.targets_file
        if "targets_file" not in settings.model_fields_set and not path.exists():
            return cls(DEFAULT_INCLUDE, DEFAULT_EXCLUDE, f"the default targets, as there is no {path}")
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a `targets.toml`. Raises ConfigurationError naming the file, and the line or the entry."""
        try:
            text = path.read_text(encoding="utf-8")
            given = tomllib.loads(text)
        except FileNotFoundError:
            raise ConfigurationError(f"there is no targets file {path}; TARGETS_FILE names it") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the targets file {path} can't be read: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{path} is not TOML: {error}") from None
        _refuse_unknown_keys(path, given)
        include, exclude = (_entries(path, text, given, key) for key in ("targets", "exclude"))
        return cls._checked(include, exclude, str(path))

    @classmethod
    def given(cls, entries: Sequence[str]) -> Self:
        """Take entries as they come from a command line or a flow parameter. Raises ConfigurationError."""
        for entry in entries:
            _check(entry, "target")
        return cls._checked(tuple(entries), (), "the given targets")

    @classmethod
    def _checked(cls, include: tuple[str, ...], exclude: tuple[str, ...], origin: str) -> Self:
        if not include:
            raise ConfigurationError(f"{origin}: no targets; {_EXPECTED}")
        return cls(include, exclude, origin)

    @property
    def needs_listing(self) -> bool:
        """Whether the models listing is needed to tell what this list means."""
        return any(EVERYTHING in entry for entry in self.include)

    def names(self, id_: str) -> bool:
        """Whether this author/slug pair is written out in the list, and not only matched by a pattern."""
        return id_ in self.include and self.takes(id_)

    def takes(self, id_: str) -> bool:
        """Whether an author/slug pair is among what this list means, listed or not."""
        included = any(_matches(entry, id_) for entry in self.include)
        return included and not any(_matches(entry, id_) for entry in self.exclude)

    def resolve(self, listed: Iterable[str] = (), known: Iterable[str] = ()) -> list[Target]:
        """The targets, sorted and each once; patterns are matched with the listed model ids.

        A pattern that matches none of them is matched with the ids known before. Raises ConfigurationError where a
        pattern matches nothing, or nothing is left.
        """
        valid = _valid(listed)
        found: set[str] = set()
        for entry in self.include:
            matched = _meant(entry, valid) or _meant(entry, known)
            if not matched:
                raise ConfigurationError(
                    f"{self.origin}: {entry!r} matches none of the {len(valid)} listed models{_hint(entry, valid)}"
                )
            found |= matched
        kept = {id_ for id_ in found if not any(_matches(entry, id_) for entry in self.exclude)}
        if not kept:
            raise ConfigurationError(f"{self.origin}: 'exclude' leaves no target")
        return sorted(Target.parse(id_) for id_ in kept)


def _valid(ids: Iterable[str]) -> set[str]:
    return {id_ for id_ in ids if TARGET_FORM.fullmatch(id_) and len(id_) <= TARGET_MAX_LENGTH}


def _meant(entry: str, ids: Iterable[str]) -> set[str]:
    return {id_ for id_ in ids if _matches(entry, id_)} if EVERYTHING in entry else {entry}


def _hint(entry: str, ids: Iterable[str]) -> str:
    """What the pattern may have meant, if its author is nearly one that is listed."""
    author, _, slug = entry.partition("/")
    near = closest(author, {id_.partition("/")[0] for id_ in ids}, cutoff=0.6)
    return f"; did you mean '{near[0]}/{slug}'?" if near and near[0] != author else ""


def _matches(pattern: str, model_id: str) -> bool:
    if pattern == EVERYTHING:
        return True
    parts, id_parts = pattern.split("/"), model_id.split("/")
    return len(parts) == len(id_parts) and all(map(fnmatchcase, id_parts, parts))


def _check(entry: Any, where: str) -> None:
    if not isinstance(entry, str) or not re.fullmatch(ENTRY_FORM, entry) or len(entry) > TARGET_MAX_LENGTH:
        raise ConfigurationError(f"{where}: {repr(entry)[:TARGET_MAX_LENGTH]} is no target; {_EXPECTED}")


def _refuse_unknown_keys(path: Path, given: dict[str, Any]) -> None:
    unknown = sorted(given.keys() - {"targets", "exclude"})
    if unknown:
        raise ConfigurationError(f"{path}: {unknown[0]!r} is not known here; expected 'targets' and 'exclude'")


def _entries(path: Path, text: str, given: dict[str, Any], key: str) -> tuple[str, ...]:
    entries = given.get(key, [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"{path}: {key!r} is not a list of targets")
    for entry in entries:
        _check(entry, f"{path}{_line(text, entry)}")
    return tuple(entries)


def _line(text: str, entry: Any) -> str:
    """`:LINE` of an entry, where it can be told."""
    quoted = (f'"{entry}"', f"'{entry}'")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and any(form in line for form in quoted):
            return f":{number}"
    return ""
