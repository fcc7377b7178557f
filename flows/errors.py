"""Troubles that a person can mend: each is told in one line and sets the exit code."""

from __future__ import annotations

from flows.text import printable


class HistoryError(Exception):
    """Nothing could be done, and the message says why and what to do. Exit code 1."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message, printable wherever it goes: a terminal, a log, the state of a run."""
        return printable(super().__str__())


class ConfigurationError(HistoryError):
    """The usage or the configuration is wrong; nothing was asked or written. Exit code 2."""

    exit_code = 2


class ClockError(HistoryError):
    """This machine's clock and the answers of OpenRouter are far apart: nothing may be stored. Exit code 1."""


class UnreachableError(HistoryError):
    """OpenRouter, or what OPENROUTER_BASE_URL names, gives no answer at all. Exit code 1."""
