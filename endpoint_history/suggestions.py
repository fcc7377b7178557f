"""Guess what somebody may have meant by a name that does not exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 3


def closest(name: str, known: Iterable[str], cutoff: float = 0.5) -> list[str]:
    """Return up to three of the known names, best first; letter case does not matter.

    Of `author/slug` names, those with exactly this slug come first: people leave the author out, or misspell it.
    """
    by_case = {item.casefold(): item for item in sorted(set(known))}
    asked = name.casefold()
    slug = asked.rpartition("/")[2]
    same_slug = [item for item in by_case if slug and item.partition("/")[2] == slug]
    alike = get_close_matches(asked, by_case, n=_MOST, cutoff=cutoff)
    return [by_case[item] for item in dict.fromkeys([*same_slug, *alike])][:_MOST]
