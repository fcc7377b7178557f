"""A URL that may hold credentials, and how to speak of what lies there without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from endpoint_history.errors import HistoryError

_WITH_CREDENTIALS = re.compile(r"(?P<protocol>[^:/]+)://(?P<credentials>.*)@")
_QUERY = re.compile(r"://[^?#]*(?P<query>[?#].*)", re.DOTALL)
_VALUE = re.compile(r"(?P<name>[?#&;](?:[^=&;#]*=)?)(?P<value>(?<==)[^&;#]+|[^=&;#]+(?=[&;#]|$))")
_SHORTEST_SECRET = 4  # shorter values of a query are not searched for: they stand in any text


def without_query_values(url: str) -> str:
    """Return the URL with `***` for each value of its query and fragment: any may be a token."""
    match = _QUERY.search(url)
    return url[: match.start("query")] + _VALUE.sub(r"\g<name>***", match["query"]) if match else url


class Address:
    """Where something is kept.

    `location` is the URL for people, without user, password and the values of its query; `public` has these values.
    `has_password` is whether a password stands before the host.
    """

    def __init__(self, url: str) -> None:
        self.public = _WITH_CREDENTIALS.sub(r"\g<protocol>://***@", url)
        self.location = without_query_values(self.public)
        match = _WITH_CREDENTIALS.search(url)
        credentials = match["credentials"] if match else ""
        password = credentials.partition(":")[2]
        self.has_password = bool(password)
        query = _QUERY.search(url)
        values = [found["value"] for found in _VALUE.finditer(query["query"])] if query else []
        values = [value for value in values if len(value) >= _SHORTEST_SECRET]
        secrets = {credentials, password, *values}
        # The longest first: another may be a part of it.
        self._secrets = sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True)

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
        return " ".join(self.hidden(text).split()) or type(error).__name__

    def hidden(self, text: str) -> str:
        """The same text with `***` for the credentials and the values of the query."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
