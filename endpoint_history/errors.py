"""Troubles that a person can mend: each is told in one line and sets the exit code."""

from __future__ import annotations

import traceback

from endpoint_history.text import one_line, printable


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
    """This machine's clock is far from the dates of OpenRouter's answers, or ahead of the database's. Exit code 1."""


class UnreachableError(HistoryError):
    """OpenRouter, or what OPENROUTER_BASE_URL names, gives no answer at all. Exit code 1."""


def unexpected(error: BaseException) -> str:
    """One printable line for an error that nobody foresaw: its kind, its message, and where it was raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    message = one_line(str(error), 200)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno})" if frames else ""
    return f"unexpected error: {type(error).__name__}: {message}{place}"


def reason_of(error: BaseException) -> str:
    """The line for any error: its own if it is a HistoryError."""
    return str(error) if isinstance(error, HistoryError) else unexpected(error)
