"""Text written by strangers, made safe for the place where people read it. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_REPLACEMENT: Final = "\ufffd"
# Controls, format characters (bidi marks, zero-width spaces, tags), lone surrogates, line and paragraph separators.
_UNPRINTABLE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS: Final = {"\u200c", "\u200d"}  # Persian words and emoji are written with these
# What chats and Markdown take for an address: a scheme, or a dot between a name and the letters of a domain.
_SCHEME: Final = re.compile(r":(?=//)|(?<=\bmailto):|(?<=\btel):", re.IGNORECASE)
_DOMAIN_DOT: Final = re.compile(r"(?<=[\w-])\.(?=[^\W\d_])")


def printable(text: str) -> str:
    """Return the text on one line, each character that a terminal would obey or hide replaced by U+FFFD."""
    if text.isprintable():
        return text
    return "".join(_REPLACEMENT if _is_unprintable(char) else char for char in text)


def one_line(text: str, length: int) -> str:
    """Return the text printable, each run of white space as one space, and cut to this length."""
    line = printable(" ".join(text[: 10 * length].split()))
    return line if len(line) <= length else f"{line[: length - 3]}..."


def count_text(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 target`, `2 targets`."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def is_invisible(char: str) -> bool:
    """Whether a character leaves no mark on paper: a control, a format character, a space or a filler."""
    return char in _FILLERS or unicodedata.category(char) in _UNPRINTABLE | {"Zs"}


def unlinked(text: str) -> str:
    """Return the text with the colon of schemes and the dots of domains replaced by look-alikes, so nothing links it.

    Version numbers such as gpt-4.1 stay as they are: no domain ends in a digit.
    """
    return _DOMAIN_DOT.sub("\u2024", _SCHEME.sub("\uff1a", text))


# Letters and marks by category that fonts draw as nothing: Hangul and Khmer fillers, joiners, variation selectors.
_FILLERS: Final = {
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"),
    *map(chr, range(0x180B, 0x1810)),
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _UNPRINTABLE and char not in _JOINERS
