"""Warn if `.env` holds a secret and other users of this machine can read it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import parse_qsl

from endpoint_history.io.url import Address

_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
_SECRET_NAME = re.compile(
    "PASSW|SECRET|TOKEN|API_KEY|(?<!SSL)KEY$|AUTH(?!OR)|AUTHORIZATION|CREDENTIAL|WEBHOOK|CONNECTION_(?:URL|STRING)|SIG$",
    re.IGNORECASE,
)
_FILE_NAME = re.compile("_FILE$|^GOOGLE_APPLICATION_CREDENTIALS$", re.IGNORECASE)  # the secret is in another file


def exposed_secret() -> str | None:
    """Return the name of a variable whose secret other users can read in `.env`; None if there is none.

    A file that is missing or can't be read exposes nothing that we could name.
    """
    try:
        if not Path(".env").stat().st_mode & _OTHERS_MAY_READ:
            return None
        from endpoint_history.settings import env_file_values  # noqa: PLC0415 - commands that need no settings start fast

        values = env_file_values()
    except (OSError, UnicodeDecodeError):
        return None
    return next((name.upper() for name, value in values.items() if value and _is_secret(name, value)), None)


def _is_secret(name: str, value: str) -> bool:
    """Whether the name says so, or the value is a URL with a password or such a name in its query."""
    if _FILE_NAME.search(name):
        return False
    query = value.partition("?")[2] if "://" in value else ""
    names = [name, *(key for key, _ in parse_qsl(query))]
    return Address(value).has_password or any(map(_SECRET_NAME.search, names))
