"""Warn if `.env` holds a secret and other users of this machine can read it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

from flows.settings import env_file_values

_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
_SECRET_NAME = re.compile("PASSWORD|SECRET|TOKEN|API_KEY|WEBHOOK|CONNECTION_URL", re.IGNORECASE)


def exposed_secret() -> str | None:
    """Return the name of a variable whose secret other users can read in `.env`; None if there is none.

    A file that is missing or can't be read exposes nothing that we could name.
    """
    try:
        if not Path(".env").stat().st_mode & _OTHERS_MAY_READ:
            return None
        values = env_file_values()
    except (OSError, UnicodeDecodeError):
        return None
    return next((name.upper() for name, value in values.items() if value and _is_secret(name, value)), None)


def _is_secret(name: str, value: str) -> bool:
    try:
        return bool(_SECRET_NAME.search(name) or urlsplit(value).password)
    except ValueError:  # urlsplit refuses some texts that are no URL
        return False
