"""Paths as people write them in settings and commands: `~` is expanded, and what is no path of this machine is refused.

Nobody means to have a folder named `~`, `$HOME`, `C:` or `s3:`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?|%[A-Za-z_]\w*%")
_LOCAL_URLS = ("file://", "local://")
_PROTOCOLS = "s3a?|gc?s|abfss?|az|s?ftp|https?|file|sqlite|postgres(ql)?"
_NO_URL = "not a path; a URL has :// after its first word, as in s3://bucket/folder"
_REFUSED = [
    (re.compile(r"[\x00-\x1f\x7f]"), "a path with control characters"),
    (re.compile(r"(?<=/)~(?=/|$)"), "~ means a home folder only at the beginning of a path"),
    (re.compile(rf"^[A-Za-z][A-Za-z0-9+.-]+:|^({_PROTOCOLS})//"), _NO_URL),
]
_REFUSED_OFF_WINDOWS = [
    (re.compile(r"^/*[A-Za-z]:"), "a path of Windows, which this machine does not have"),
    (re.compile(r"\\"), "folders are separated by /, not by a backslash"),
]


def local_path(text: str) -> Path:
    """Return the path with `~` expanded. Raises ValueError with the reason for what is no path of this machine."""
    if variable := _VARIABLE.search(text):
        raise ValueError(f"{variable[0]} is not replaced here; write the path itself")
    for pattern, reason in _REFUSED if os.name == "nt" else _REFUSED_OFF_WINDOWS + _REFUSED:
        if pattern.search(text):
            raise ValueError(reason)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("the home folder that ~ means is not known; write the path itself") from None


def path_of_url(url: str) -> Path | None:
    """Return the path that an fsspec URL or a plain path means, None for a URL that leads elsewhere.

    Raises ValueError as `local_path` does.
    """
    for protocol in _LOCAL_URLS:
        if url.startswith(protocol):
            return local_path(url.removeprefix(protocol))
    return None if "://" in url else local_path(url)
