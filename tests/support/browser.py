"""A real Chromium, run by Playwright: the one that is installed here, on files alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Nothing of a browser's own may go out either.
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class BrowserMissing(Exception):  # noqa: N818 - a reason to skip rather than a fault
    """There is no Chromium on this machine."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Raises BrowserMissing where none is installed."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise BrowserMissing(f"no browser is installed: {', '.join(_PROGRAMS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield browser
        browser.close()


class Watched:
    """A page, and all that it complained of or asked for from elsewhere than its folder."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.troubles: list[str] = []
        self._folder = folder.resolve().as_uri()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._asked)
        page.on("dialog", self._opened)

    def open(self, name: str) -> Page:
        """Open a file of the folder, and wait until it and all that it needs is there."""
        self.page.goto(f"{self._folder}/{name}", wait_until="load")
        return self.page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(message.text)

    def _opened(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(self._folder):
            self.troubles.append(f"asked for {request.url}")
