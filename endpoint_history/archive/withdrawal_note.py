"""The note that sets a bundle aside: why and when a run was withdrawn, and what it had brought. Pure.

It lies beside the bundle, which is neither moved nor rewritten: one small file makes the change, on a local disk and in
an object store alike, so no crash can leave a withdrawal half done in the archive.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_REASON = 500


class WithdrawalNote(BaseModel):
    """Why `run` is withdrawn. The other fields are what the database knew of it, if anything."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    run: str
    reason: str
    withdrawn_at: datetime | None
    source: str | None = None
    finished_at: datetime | None = None
    ok: int | None = None
    gone: int | None = None
    failed: int | None = None
    first_observed_at: datetime | None = None
    last_observed_at: datetime | None = None

    def encode(self) -> bytes:
        """The note as one line of JSON."""
        return self.model_dump_json().encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes, run: str) -> Self:
        """Read a note. One that somebody damaged still withdraws its run: its reason then says so."""
        try:
            return cls.model_validate_json(content).model_copy(update={"run": run})
        except ValidationError:
            return cls(run=run, reason="unknown, as the note can't be read", withdrawn_at=None)
