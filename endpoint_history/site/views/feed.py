"""The Atom feed of changes: one entry for each model and look at which something changed. Pure."""

from __future__ import annotations

import re
import uuid
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from endpoint_history.site.data.changes import LISTINGS, MOVES, EndpointChange, newest_first
from endpoint_history.site.data.summary import QUARTER, Overview
from endpoint_history.site.output import numbers
from endpoint_history.site.output.slugs import file_name

_MOST: Final = 100
_TITLE: Final = "Prices and endpoints of LLM models on OpenRouter"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_IDS: Final = uuid.UUID("0b9c2d4e-6f0a-5c1d-8e57-3a4f9d2b7c61")
# XML has no way to write these at all.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feed(overview: Overview, site_url: str | None = None, notice: str | None = None) -> bytes:
    """Return the feed as XML. Its links begin with the site's URL; without one they are relative to where it lies."""
    base = f"{site_url.rstrip('/')}/" if site_url else ""
    root = ET.Element("feed", xmlns=_ATOM)
    _add(root, "title", ". ".join(filter(None, (_TITLE, notice))))
    _add(root, "subtitle", "Price changes, and endpoints that came, left or returned; times are UTC")
    _add(root, "id", uuid.uuid5(_IDS, "feed").urn)
    _add(root, "updated", numbers.iso(overview.as_of))
    ET.SubElement(root, "link", rel="self", type="application/atom+xml", href=f"{base}feed.xml")
    ET.SubElement(root, "link", rel="alternate", type="text/html", href=f"{base}index.html")
    author = ET.SubElement(root, "author")
    _add(author, "name", "endpoint-history")
    for found in _entries(overview)[:_MOST]:
        _entry(root, found, base)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _entries(overview: Overview) -> list[list[EndpointChange]]:
    since = overview.as_of - QUARTER
    told = newest_first(
        change
        for offer in overview.all
        for change in offer.changes
        if since < change.at <= overview.as_of
        and (change.kind in MOVES or change.kind in LISTINGS)
        and not overview.is_first_sight(change)
    )
    return [list(found) for _, found in groupby(told, key=lambda change: (change.at, change.model.id))]


def _entry(root: ET.Element, found: list[EndpointChange], base: str) -> None:
    model, at = found[0].model, found[0].at
    entry = ET.SubElement(root, "entry")
    kinds = ", ".join(sorted({change.kind for change in found}))
    _add(entry, "title", f"{model.id}: {kinds}")
    _add(entry, "id", uuid.uuid5(_IDS, f"{model.id} {numbers.iso(at)}").urn)
    _add(entry, "updated", numbers.iso(at))
    ET.SubElement(entry, "link", rel="alternate", type="text/html", href=f"{base}models/{file_name(model.id)}.html")
    _add(entry, "content", "\n".join(_told(change) for change in found), type="text")


def _told(change: EndpointChange) -> str:
    row = change.endpoint.row
    lines = "; ".join(
        f"{line.what} {' → '.join(filter(None, (line.before, line.after)))}{f' ({line.change})' if line.change else ''}"
        for line in change.lines
    )
    return f"{row['provider_name']} ({row['route']}) {change.kind}{f': {lines}' if lines else ''}"


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _FORBIDDEN.sub("\ufffd", text)
