"""Build the site: read history, make each page's values, write what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from endpoint_history.analysis.export.write import snapshot
from endpoint_history.database.engine import translated_errors
from endpoint_history.errors import ConfigurationError
from endpoint_history.site.data.history import read_history
from endpoint_history.site.data.summary import Overview, overview
from endpoint_history.site.output.folder import Folder
from endpoint_history.site.output.render import Page
from endpoint_history.site.output.slugs import file_name
from endpoint_history.site.views.coverage import coverage_page
from endpoint_history.site.views.feed import feed
from endpoint_history.site.views.home import home_page
from endpoint_history.site.views.json_files import index_json, model_json
from endpoint_history.site.views.model import model_page
from endpoint_history.site.views.provider import provider_page
from endpoint_history.site.views.rankings import rankings_page
from endpoint_history.site.views.search import search_script

Progress = Callable[[int, int], None]
_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Built:
    """What became of the files: those of this build, and how many models and providers have a page."""

    models: int
    providers: int
    written: int
    unchanged: int
    location: str


def build(
    engine: sa.Engine,
    url: str | Path,
    now: datetime,
    progress: Progress = lambda *_: None,
    *,
    site_url: str | None = None,
    notice: str | None = None,
) -> Built:
    """Bring the pages in a folder, or under an fsspec URL, to what the database holds at one instant.

    `now` is aware; what a collector saw after it does not count as lately. `site_url` is where readers find the site,
    if it is published; `notice` is a sentence that every page, JSON file and the feed's title show. The same arguments
    and history make the same bytes. Raises ConfigurationError if the folder can't be used, or there is no history yet.
    """
    folder = Folder(url)
    with translated_errors(engine), snapshot(engine) as connection:
        history = read_history(connection)
    if history.seen_at is None:
        raise ConfigurationError("nothing is kept yet; run: endpoint-history collect")
    seen = overview(history, min(history.seen_at, now))
    with folder.locked():
        for file in sorted(_STATIC.iterdir()):
            folder.put(f"static/{file.name}", file.read_bytes())
        folder.put(".nojekyll", b"")  # else GitHub Pages leaves out files by their names
        providers = _pages(folder, seen, progress, site_url, notice)
    return Built(len(history.models), providers, folder.written, folder.unchanged, folder.location)


def _pages(folder: Folder, seen: Overview, progress: Progress, site_url: str | None, notice: str | None) -> int:
    """Write all pages, the first page last: what it leads to is there then."""
    models, providers = seen.history.models, sorted(seen.of_provider)
    total = len(models) + len(providers)
    shared = {"notice": notice}
    noted = {"notice": notice} if notice else {}
    for done, model in enumerate(models):
        progress(done, total)
        name = f"models/{file_name(model.id)}"
        _put(folder, f"{name}.html", "model.html", model_page(seen, model) | shared, below=True)
        folder.put(f"{name}.json", _json(model_json(seen, model) | noted))
    for done, provider in enumerate(providers, len(models)):
        progress(done, total)
        values = provider_page(seen, provider) | shared
        _put(folder, f"providers/{file_name(provider)}.html", "provider.html", values, below=True)
    folder.put("models.json", _json(index_json(seen) | noted))
    folder.put("static/search-index.js", search_script(seen).encode())
    folder.put("feed.xml", feed(seen, site_url, notice))
    for name, page in (("coverage", coverage_page), ("rankings", rankings_page), ("index", home_page)):
        _put(folder, f"{name}.html", f"{name}.html", page(seen) | shared, below=False)
    progress(total, total)
    return len(providers)


def _put(folder: Folder, name: str, template: str, values: dict[str, Any], *, below: bool) -> None:
    page = Page(template, values, below=below)
    if folder.begins_with(name, page.head):
        folder.keep(name)
    else:
        folder.put(name, page.render())


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
