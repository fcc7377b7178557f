"""Find a secret in an answer that repeats it: as it is, or as servers write what they were sent. Pure."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from urllib.parse import quote

_SHORTEST = 8  # a placeholder such as "none" or "test" would be found in every answer
_HEAD = 24  # an answer that is cut in the middle of the secret repeats it too


class SecretEcho:
    """Knows how secrets look when they are repeated: in any letter case, escaped for JSON, HTML or a URL, in base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._signs = {
            sign.lower() for secret in secrets if len(secret) >= _SHORTEST for sign in _forms(secret[:_HEAD])
        }

    def is_in(self, content: bytes) -> bool:
        """Whether the content repeats one of the secrets, at least its first 24 characters."""
        lowered = content.lower() if self._signs else b""
        return any(sign in lowered for sign in self._signs)


def _forms(text: str) -> Iterable[bytes]:
    escaped = json.dumps(text)[1:-1]
    by_number = "".join(f"\\u{ord(sign):04x}" for sign in text)
    for form in (
        text,
        escaped,
        escaped.replace("/", r"\/"),
        by_number,
        quote(text, safe=""),
        quote(text),
        html.escape(text),
    ):
        yield form.encode()
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    for shift in range(3):
        yield from _base64_forms(text.encode(), shift)


def _base64_forms(text: bytes, shift: int) -> Iterable[bytes]:
    """What surely stands in the base64 of a longer text that has this one at an offset of `shift` modulo 3."""
    rest = text[-shift % 3 :]
    encoded = base64.b64encode(rest[: len(rest) // 3 * 3])
    yield encoded
    yield encoded.translate(bytes.maketrans(b"+/", b"-_"))
