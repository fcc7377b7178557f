"""Show how far something is, how fast it goes and when it will end: the door to rich."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from endpoint_history.terminal import show_note

_LINE_SECONDS = 10.0
_BAR_SECONDS = 0.1
_MINUTE = 60
_HOUR = 3600
_TELLING = 100  # so many seconds, or minutes, are told as such
_TWO_DIGITS = 9.95


class Pace:
    """A progress to be called for each thing that is done, of which `tell` gets a line now and then.

    `what` names what is counted by `done` and `total`. Where a thing is no step of that, as many bodies lie in one
    file, `each` names the things. `every` and `clock` are in seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        what: str,
        each: str | None = None,
        *,
        every: float = _LINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._what, self._each, self._every, self._clock = tell, what, each, every, clock
        self.done = self.total = self._things = self._things_told = self._first = 0
        self._began = self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        """One more thing is done. What went before the first says nothing of how fast it goes."""
        if not self._things:
            self._first, self._began = done, self._clock()
            self._due = self._began + self._every
        self.done, self.total = done, total
        self._things += 1
        if self._clock() >= self._due:
            self.tell()

    def tell(self) -> None:
        """The line of now, whether it is due or not; nothing where nothing was done since the last."""
        now = self._clock()
        self._due = now + self._every
        if self._things > self._things_told:
            self._things_told = self._things
            self._tell(", ".join(self._parts(now - self._began)))

    def _parts(self, elapsed: float) -> Iterator[str]:
        since, things = self.done - self._first, self._things if self._each else self.done
        yield f"{self.done:,} of {self.total:,} {self._what}"
        if things != self.done:
            yield f"{things:,} {self._each}"
        if elapsed > 0 and (more := self._things - 1 if self._each else since):
            yield f"{_rate(more / elapsed)}/s"
        if since and self.done < self.total:
            yield f"about {_duration(elapsed * (self.total - self.done) / since)} left"


@contextmanager
def shown_progress(what: str = "targets asked", each: str | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a plain line now and then elsewhere, and at the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        pace = Pace(show_note, what, each)
        yield pace
        pace.tell()
        return
    with Progress(BarColumn(), TextColumn("{task.description}", markup=False), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        pace = Pace(
            lambda line: bar.update(task, description=line, completed=pace.done, total=pace.total),
            what,
            each,
            every=_BAR_SECONDS,
        )
        yield pace


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= _TWO_DIGITS else f"{per_second:.2g}"


def _duration(seconds: float) -> str:
    if seconds < _TELLING:
        return f"{seconds:.0f} s"
    if seconds < _TELLING * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
