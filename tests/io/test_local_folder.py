"""A folder that others may write to: no link in it leads anywhere, and nothing stands there half."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from endpoint_history.analysis.export.destination import STAGING, Destination
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.io.local_folder import NO_FILE, LocalFolder
from endpoint_history.site.output.folder import Folder
from tests.support.exporting import content, counts, export_to
from tests.support.sites import build_site

Make = Callable[[], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def folder(root: Path) -> Iterator[LocalFolder]:
    made = LocalFolder(root, ".making-")
    with made.locked():
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """Somebody's closed file and folder elsewhere, which nothing may reach."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "secret").write_text("mine")
    (elsewhere / "secret").chmod(0o600)
    yield elsewhere
    assert content(elsewhere) == {"secret": b"mine"}
    assert stat.S_IMODE((elsewhere / "secret").stat().st_mode) == 0o600


def modes(root: Path) -> set[tuple[bool, int]]:
    """Of all below a folder, itself included: whether it is a folder, and its mode."""
    return {(path.is_dir(), stat.S_IMODE(path.lstat().st_mode)) for path in [root, *root.rglob("*")]}


def plant(root: Path, secret: Path, *, instead_of: str) -> None:
    """Replace a file or folder of an export or a site by a link to somebody's own."""
    place = root / instead_of
    if place.is_dir():
        place.rename(secret.parent / "taken")
        place.symlink_to(secret)
    else:
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(secret / "secret")


@pytest.mark.parametrize("way", ["write", "take in"])
def test_a_file_takes_the_place_of_a_link_and_not_of_what_it_leads_to(
    folder: LocalFolder, root: Path, secret: Path, tmp_path: Path, way: str
) -> None:
    plant(root, secret, instead_of="a/file")
    if way == "write":
        folder.write("a/file", b"ours")
    else:
        (tmp_path / "source").write_bytes(b"ours")
        folder.take_in(tmp_path / "source", "a/file")
    assert not (root / "a/file").is_symlink()
    assert content(root) == {"a/file": b"ours"}


@pytest.mark.parametrize("path", ["link/file", "link/deep/file"])
def test_a_linked_folder_is_refused(folder: LocalFolder, root: Path, secret: Path, path: str) -> None:
    (root / "link").symlink_to(secret)
    acts: list[Make] = [
        lambda: folder.write(path, b"ours"),
        lambda: folder.remove(path),
        lambda: folder.set_mode(path),
    ]
    for act in acts:
        with pytest.raises(OSError, match="link is no folder; links are not followed"):
            act()
    assert folder.sizes() == {"link": NO_FILE}


def test_a_link_or_a_pipe_is_not_read(folder: LocalFolder, root: Path, secret: Path) -> None:
    (root / "link").symlink_to(secret / "secret")
    os.mkfifo(root / "pipe")
    for name, reason in (("link", "link is a link, and links are not followed"), ("pipe", "pipe is no file")):
        with pytest.raises(OSError, match=reason), folder.opened(name):
            pass
    assert folder.sizes() == {"link": NO_FILE, "pipe": NO_FILE}


def test_what_is_in_the_making_has_a_name_that_nobody_can_know(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    replace = os.replace

    def watched(source: str, target: str, **options: int) -> None:
        names.append(source)
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", watched)
    folder.write("a", b"1")
    folder.write("a", b"2")
    assert len({*names}) == 2
    assert all(name.startswith(".making-") and len(name) > 20 for name in names)


def test_a_file_that_can_not_be_written_leaves_nothing(
    folder: LocalFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("a", b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write("a", b"after")
    assert content(root) == {"a": b"before"}


def test_another_name_of_a_file_is_not_opened_to_others(root: Path, secret: Path) -> None:
    opened = LocalFolder(root, ".making-", file_mode=0o644)
    with opened.locked():
        os.link(secret / "secret", root / "a")
        opened.set_mode("a")


def test_a_site_goes_through_no_link(history_url: str, root: Path, secret: Path) -> None:
    build_site(root, history_url)
    whole = content(root)
    for planted in ("index.html", ".making-index.html", "static/.making-index.html", ".nojekyll"):
        plant(root, secret, instead_of=planted)
    (root / ".making-folder").symlink_to(secret)
    build_site(root, history_url)
    assert content(root) == whole
    assert [path for path in root.rglob("*") if path.is_symlink()] == []
    plant(root, secret, instead_of="models")
    with pytest.raises(
        HistoryError, match=r"^can't (read|write) models/.*: models is no folder; links are not followed$"
    ):
        build_site(root, history_url)


def test_an_export_goes_through_no_link(history_url: str, root: Path, secret: Path) -> None:
    export_to(root, history_url)
    whole = content(root)
    for planted in ("models/data.parquet", f"{STAGING}manifest.json", f"{STAGING}data.parquet"):
        plant(root, secret, instead_of=planted)
    (root / f"{STAGING}folder").symlink_to(secret)
    assert counts(export_to(root, history_url))[::2] == (1, 0)
    assert content(root) == whole
    assert [path for path in root.rglob("*") if path.is_symlink()] == []
    plant(root, secret, instead_of="models")
    with pytest.raises(HistoryError, match=r"models is no folder; links are not followed$"):
        export_to(root, history_url)


def test_a_manifest_or_a_mark_that_is_a_link_makes_no_export_and_no_site(
    history_url: str, root: Path, secret: Path
) -> None:
    plant(root, secret, instead_of="manifest.json")
    with pytest.raises(HistoryError, match=r"manifest.json is a link, and links are not followed$"):
        export_to(root, history_url)
    (root / "manifest.json").rename(root / "endpoint-history-site.txt")
    with pytest.raises(ConfigurationError, match="is not a site"):
        build_site(root, history_url)


def test_a_folder_that_is_a_link_itself_is_the_one_that_was_named(history_url: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    build_site(root, history_url)
    assert (tmp_path / "real" / "index.html").is_file()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_an_export_is_closed_to_others_unless_told_otherwise(history_url: str, root: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        export_to(root, history_url, "csv")
        assert modes(root) == {(True, 0o700), (False, 0o600)}
        export_to(root, history_url, "csv", for_all=True)
        assert {mode for is_folder, mode in modes(root) if not is_folder} == {0o644}
        export_to(root, history_url, "csv")
        assert {mode for is_folder, mode in modes(root) if not is_folder} == {0o600}
        export_to(root.parent / "open", history_url, "csv", for_all=True)
        assert modes(root.parent / "open") == {(True, 0o755), (False, 0o644)}
    finally:
        os.umask(before)


@pytest.mark.parametrize("make", [Destination, Folder], ids=["export", "site"])
@pytest.mark.parametrize(
    "url", ["s3:/bucket/x", "s3:bucket", "moon://x", "https://example.org/x", "~nobody-here/x", ""]
)
def test_a_url_that_will_not_do_is_refused_and_makes_nothing(make: Callable[[str], object], url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^(DEST|FOLDER)"):
        make(url)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("make", [Destination, Folder], ids=["export", "site"])
def test_the_home_folder_is_meant_by_a_tilde(
    make: Callable[[str], Destination | Folder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = make("~/out")
    with made.locked():
        assert (tmp_path / "home" / "out").is_dir()
    assert made.location == f"{tmp_path}/home/out"


def test_every_file_of_a_site_is_readable_for_all_after_each_build(history_url: str, root: Path) -> None:
    before = os.umask(0o077)
    try:
        build_site(root, history_url)
        assert modes(root) == {(True, 0o755), (False, 0o644)}
        for path in root.rglob("*.*"):
            path.chmod(0o600)
        build_site(root, history_url)
    finally:
        os.umask(before)
    closed = [path.name for path in root.rglob("*.*") if stat.S_IMODE(path.stat().st_mode) != 0o644]
    assert closed == ["endpoint-history-site.txt"]  # the mark of the folder, which is no page
