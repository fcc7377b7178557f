"""Where a site goes: what lies elsewhere than in a local folder, and where readers find it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.url import Address
from endpoint_history.settings import Settings
from endpoint_history.site.publish import publish
from tests.support.exporting import content, load
from tests.support.factories import a_look, an_endpoint
from tests.support.sites import NOW, build_site

REMOTE = "memory://user:pass@word@host/site"
LOCATION = "memory://***@host/site"
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])


def stored() -> dict[str, bytes]:
    return {path.partition("/site")[2].partition("/")[2]: f.getvalue() for path, f in MemoryFileSystem.store.items()}


def test_a_remote_site_is_that_of_a_folder_with_all_its_steps(memory: None, history_url: str, tmp_path: Path) -> None:
    first = build_site(REMOTE, history_url)
    build_site(tmp_path / "site", history_url)
    assert first.location == LOCATION
    assert stored() == content(tmp_path / "site")
    load(history_url, [a_look(an_endpoint(prompt="0.000007"), minute=60 * 24 * 60)])
    changed, local = build_site(REMOTE, history_url), build_site(tmp_path / "site", history_url)
    assert (changed.written, changed.unchanged) == (local.written, local.unchanged)
    assert stored() == content(tmp_path / "site")
    assert build_site(REMOTE, history_url).written == 0


def test_a_page_is_uploaded_under_a_name_that_tells_its_type(
    memory: None, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, put = [], MemoryFileSystem.put_file

    def watched(files: MemoryFileSystem, start: str, end: str, **options: object) -> None:
        names.append(Path(start).name)
        put(files, start, end, **options)

    monkeypatch.setattr(MemoryFileSystem, "put_file", watched)
    build_site(REMOTE, history_url)
    assert {Path(name).suffix for name in names} >= {".html", ".css", ".js", ".json", ".xml"}


def test_a_remote_site_that_takes_nothing_is_one_line_without_secrets(
    memory: None, history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError("not with pass@word\nand hunter2")

    monkeypatch.setattr(MemoryFileSystem, "put_file", forbidden)
    with pytest.raises(ConfigurationError) as caught:
        build_site(f"{REMOTE}?token=hunter2", history_url)
    line = f"can't write endpoint-history-site.txt to {LOCATION}?token=***: not with *** and ***"
    assert str(caught.value) == line
    assert stored() == {}


def test_a_remote_folder_with_other_files_is_refused_and_left_alone(memory: None, history_url: str) -> None:
    MemoryFileSystem().pipe("memory://user:pass@word@host/site/notes.txt", b"mine")
    with pytest.raises(ConfigurationError, match="is not a site: it holds files"):
        build_site(REMOTE, history_url)
    assert stored() == {"notes.txt": b"mine"}


def test_an_upload_that_breaks_off_is_one_line_and_the_next_build_makes_all(
    memory: None, history_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, left = MemoryFileSystem.put_file, 5

    def fails(files: MemoryFileSystem, start: str, end: str, **options: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise ConnectionResetError("the line is cut")
        put(files, start, end, **options)

    with monkeypatch.context() as away:
        away.setattr(MemoryFileSystem, "put_file", fails)
        with pytest.raises(HistoryError, match=r"^can't write .* to memory://.*: the line is cut$"):
            build_site(REMOTE, history_url)
    build_site(REMOTE, history_url)
    build_site(tmp_path / "site", history_url)
    assert stored() == content(tmp_path / "site")


def test_a_driver_that_is_missing_is_named_and_nothing_is_made(
    history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigurationError, match=r"^FOLDER s3://\*\*\*@bucket/site: Install s3fs to access S3$"):
        build_site("s3://key:secret@bucket/site", history_url)
    assert [path.name for path in Path().iterdir()] == ["history.db"]


def test_links_of_the_feed_are_whole_addresses_where_the_site_has_one(
    history_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", history_url)
    monkeypatch.setenv("SITE_URL", "https://prices.example.com/history/")
    publish(Settings.read(), "out", NOW, lambda *_: None)
    root = ET.fromstring(Path("out/feed.xml").read_bytes())
    links = [str(link.get("href")) for link in root.iter(f"{ATOM}link")]
    assert links[:2] == [f"https://prices.example.com/history/{name}" for name in ("feed.xml", "index.html")]
    assert [link for link in links if not link.startswith("https://prices.example.com/history/")] == []
    assert [id_.text for id_ in root.iter(f"{ATOM}id") if not str(id_.text).startswith("urn:uuid:")] == []


def test_a_host_that_hides_names_with_a_sign_in_front_is_told_to_hide_none(history_url: str) -> None:
    build_site("out", history_url)
    assert Path("out/.nojekyll").read_bytes() == b""


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://bucket/x?secret=hunter2", "s3://bucket/x?secret=***"),
        ("s3://bucket/x?a=hunter2&sig=hunter3#frag=hunter4", "s3://bucket/x?a=***&sig=***#frag=***"),
        ("s3://bucket/x?hunter2", "s3://bucket/x?***"),
        ("s3://k:s@bucket/x?secret=hunter2;b=", "s3://***@bucket/x?secret=***;b="),
        ("s3://bucket/x", "s3://bucket/x"),
    ],
)
def test_values_of_a_query_are_in_no_message(url: str, location: str) -> None:
    address = Address(url)
    assert address.location == location
    values = re.findall(r"hunter\d", url)
    assert "hunter" not in address.reason(ValueError(f"no way to {url}, not with {' or '.join(values)}"))
