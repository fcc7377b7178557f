"""A URL that may hold credentials, and how to speak of what lies there without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from flows.errors import HistoryError

_WITH_CREDENTIALS = re.compile(r"(?P<protocol>[^:/]+)://(?P<credentials>.*)@")


class Address:
    """Where something is kept. `location` is the URL for people, without user and password."""

    def __init__(self, url: str) -> None:
        self.location = _WITH_CREDENTIALS.sub(r"\g<protocol>://***@", url)
        match = _WITH_CREDENTIALS.search(url)
        credentials = match["credentials"] if match else ""
        password = credentials.partition(":")[2]
        self._secrets = [secret for secret in (credentials, password, unquote(password)) if secret]

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn whatever the disk or a driver raises inside into a HistoryError of one line: `what`, and the reason."""
        try:
            yield
        except HistoryError:
            raise
        except Exception as error:  # noqa: BLE001 - every driver has its own
            raise HistoryError(f"{what}: {self.reason(error)}") from None

    def reason(self, error: Exception) -> str:
        """What the error says, in one line and without credentials."""
        text = (isinstance(error, OSError) and error.strerror) or str(error)
        if isinstance(error, FileNotFoundError) and not error.strerror:
            text = "it is not there"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split()) or type(error).__name__
