"""The file name of a model or provider: a function of its name alone, for links that last. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

# What is lower case, and can be read back: two such ids never share a name, on file systems that know no case either.
_PLAIN: Final = re.compile(r"([a-z0-9][a-z0-9-]*)/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)")
_LONGEST: Final = 100
_READABLE: Final = 60


def file_name(name: str) -> str:
    """A name for files, without its ending, that is safe on every file system and in every address.

    `openai/gpt-4o` becomes `openai_gpt-4o`; any other name (with `:`, `~`, upper case, blanks) what can be read of it,
    and a digest of all of it, so that no two names ever share a file.

    >>> file_name("openai/gpt-4o")
    'openai_gpt-4o'
    >>> file_name("deepseek/deepseek-r1:free")
    'deepseek_deepseek-r1-free__433d16b2f2'
    """
    plain = _PLAIN.fullmatch(name)
    if plain and len(name) <= _LONGEST:
        return f"{plain[1]}_{plain[2]}"
    author, _, slug = name.lower().rpartition("/")
    parts = (re.sub(r"[^a-z0-9]+", "-", part).strip("-")[:_READABLE] for part in (author, slug))
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return "_".join(filter(None, parts)) + f"__{digest}"
