"""Saved files as a source: which are found, what they hold, and how the rest is named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from endpoint_history.errors import ConfigurationError
from endpoint_history.refusals import Refused
from endpoint_history.sources.documents import json_lines
from endpoint_history.sources.files import containers
from endpoint_history.sources.files import tar as tars
from endpoint_history.sources.files.source import open_files
from endpoint_history.sources.items import SavedBody
from models.observation import Target
from tests.support.factories import NOT_FOUND, a_body, an_endpoint

BODY = a_body(an_endpoint())
OTHER = a_body(an_endpoint(prompt="0.5"), model="acme/other")
AT = datetime(2026, 5, 16, 9, 47, 11, tzinfo=UTC)
NAME = "acme__swift-1__20260516T094711Z.json"
WALK = (
    b'{"fetchedAt": "2026-05-16T09:47:11Z", "data": [{"detailsPath": "/api/v1/models/a/b/endpoints", "response": %s}]}'
)
REAL = Path(os.environ.get("REAL_BODIES", "")) / "real"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "ar": bytes,
    "gz": gzip.compress,
    "z2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.fixture(autouse=True)
def _within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, content: bytes = BODY) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def read(*patterns: str, time: str | None = None, zone: str | None = None, target: str | None = None) -> list[Any]:
    return [item for _, item in open_files(patterns, time=time, zone=zone, target=target).items]


def only(*patterns: str, **rules: Any) -> SavedBody:
    (item,) = read(*patterns, **rules)
    assert isinstance(item, SavedBody), item
    return item


def refusal(*patterns: str, **rules: Any) -> str:
    (item,) = read(*patterns, **rules)
    assert isinstance(item, Refused), item
    return f"{item.origin}: {item.reason}"


def origins(items: Sequence[SavedBody | Refused]) -> list[str]:
    return [item.origin for item in items if isinstance(item, SavedBody)]


def refused(items: Sequence[SavedBody | Refused]) -> list[tuple[str, str]]:
    return [(item.origin, item.reason) for item in items if isinstance(item, Refused)]


def a_zip(name: str, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 5, 16, 9, 47, 12)), content, zipfile.ZIP_DEFLATED)
    return name


def a_tar(name: str, members: dict[str, bytes]) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size, info.mtime = len(content), AT.timestamp()
            archive.addfile(info, io.BytesIO(content))
    return write(name, PACK[name.lower()[-2:]](packed.getvalue()))


def a_gzip(name: str, content: bytes = BODY) -> str:
    return write(name, gzip.compress(content))


ARCHIVES = pytest.mark.parametrize(
    ("make", "name"),
    [(a_zip, "s.ZIP"), *((a_tar, f"s.{kind}") for kind in ("tar", "TAR.GZ", "tgz", "tar.bz2", "tar.xz"))],
)
Make = Callable[[str, dict[str, bytes]], str]


# Which files.


def test_a_file_is_found_under_the_name_that_was_given() -> None:
    assert only(write(NAME)) == SavedBody(BODY, AT, None, NAME)


def test_a_folder_is_read_with_all_below_it_in_order_but_what_is_hidden() -> None:
    for name in (f"in/b/{NAME}", f"in/{NAME}", f"in/a/{NAME}", f"in/.git/{NAME}", f"in/a/.{NAME}"):
        write(name)
    assert origins(read("in")) == [f"in/a/{NAME}", f"in/{NAME}", f"in/b/{NAME}"]


@pytest.mark.parametrize("pattern", ["in/*/*.json", "in/**/*.json", "in/[ab]/*", "**/*.json"])
def test_a_glob_finds_its_files_in_order(pattern: str) -> None:
    write(f"in/b/{NAME}")
    write(f"in/a/{NAME}")
    assert origins(read(pattern)) == [f"in/a/{NAME}", f"in/b/{NAME}"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    assert only(write(f"[x]{NAME}")).origin == f"[x]{NAME}"


def test_a_file_that_two_patterns_name_is_read_once() -> None:
    assert len(read(write(NAME), "*.json", NAME)) == 1


def test_the_source_counts_files_and_says_how_many_are_read() -> None:
    source = open_files([a_zip("saved.zip", {f"1{NAME}": BODY, f"2{NAME}": BODY}), write(NAME)], time=None, target=None)
    assert source.size == 2
    assert [done for done, _ in source.items] == [1, 1, 2]


@pytest.mark.parametrize(
    ("patterns", "rules", "said"),
    [
        (["gone.json"], {}, "there is no file gone.json; expected a file, a folder or a pattern"),
        (["gone/*.json"], {}, "the pattern 'gone/*.json' matches no file"),
        (["empty"], {}, "there is no file in the folder empty"),
        ([], {}, "no files; expected files, folders or patterns"),
        ([""], {}, "'' is no file"),
        (["a\0b"], {}, r"'a\x00b' is no file"),
        (["x" * 300], {}, "there is no file xxx"),
        (["dangling"], {}, "dangling is not a file or a folder that can be read"),
        ([NAME], {"time": "ctime"}, "time 'ctime' is not known; expected 'field'"),
        ([NAME], {"time": ""}, "time '' is not known; expected 'field'"),
        ([NAME], {"time": "field:"}, "time 'field:' is not known"),
        ([NAME], {"time": "mtime:x"}, "time 'mtime:x' is not known"),
        ([NAME], {"time": "name:"}, "time 'name:' is not known"),
        ([NAME], {"time": "name:%Q"}, "time 'name:%Q': %Q is not known; see docs/backfill.md"),
        ([NAME], {"time": "name:%Y%"}, "time 'name:%Y%': % is not known; see docs/backfill.md"),
        ([NAME], {"time": "name:%H%M"}, "time 'name:%H%M' names no year (%Y); see docs/backfill.md"),
        ([NAME], {"target": "gpt"}, "target 'gpt' is not known; expected 'body', 'author/slug'"),
        ([NAME], {"target": "name:{author}"}, "target 'name:{author}' needs {author} and {slug} once each; expected"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_read(
    patterns: list[str], rules: dict[str, str], said: str
) -> None:
    write(NAME)
    Path("empty").mkdir()
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(ConfigurationError) as told:
        open_files(patterns, time=rules.get("time"), target=rules.get("target"))
    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)


# Times.


def test_untold_the_time_in_the_document_comes_before_that_in_the_name() -> None:
    write("20200101T000000Z.json", WALK % BODY)
    assert only("20200101T000000Z.json") == SavedBody(BODY, AT, Target("a", "b"), "20200101T000000Z.json item 1")


@pytest.mark.parametrize(
    "stamp",
    [
        "20260516T094711Z",
        "2026-05-16T09:47:11Z",
        "2026-05-16_09-47-11",
        "2026-05-16 09:47:11.5",
        "20260516T114711+0200",
    ],
)
def test_untold_a_timestamp_in_the_name_is_the_time(stamp: str) -> None:
    assert only(write(f"x__{stamp}__y.json")).observed_at == AT


@pytest.mark.parametrize("name", ["x.json", "20260231T000000Z.json", "9999999999.json"])
def test_without_a_time_a_file_is_refused_whatever_its_modification_time(name: str) -> None:
    assert refusal(write(name)) == f"{name}: no time; name its place with --time"


def test_time_field_takes_no_other_time() -> None:
    assert refusal(write(NAME), time="field").endswith(
        ": no time in observed_at, fetched_at, fetchedAt and the like; name the field with --time field:NAME"
    )
    assert only(write("x.json", WALK % BODY), time="field").observed_at == AT


def test_time_field_may_be_named() -> None:
    stamped = BODY.replace(b"{", b'{"when": 1778924831, "timestamp": "no time", ', 1)
    assert only(write("x.json", stamped), time="field:when") == SavedBody(stamped, AT, None, "x.json")
    assert refusal(write("x.json"), time="field:when") == "x.json: no time in when"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (NAME, "%Y%m%dT%H%M%SZ"),
        ("n7 16.05.26 09h47m11.json", "%d.%m.%y %Hh%Mm%S"),
        ("16May2026 114711+02:00.json", "%d%b%Y %H%M%S%z"),
        ("100%2026136094711.json", "100%%%Y%j%H%M%S"),
    ],
)
def test_a_pattern_finds_the_time_in_the_name(name: str, pattern: str) -> None:
    assert only(write(name), time=f"name:{pattern}").observed_at == AT


def test_a_pattern_passes_over_the_time_in_the_document() -> None:
    write("1-20200101.json", WALK.replace(b"2026-05-16T09:47:11Z", b"no time") % BODY)
    assert only("1-20200101.json", time="name:%Y%m%d").observed_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["x.json", "20260231.json", "120260516.json"])
def test_a_name_without_the_time_is_refused(name: str) -> None:
    assert refusal(write(name), time="name:%Y%m%d") == f"{name}: no time such as %Y%m%d in its name"


def test_the_modification_time_counts_where_it_is_told() -> None:
    for name in (write(NAME), a_gzip(f"{NAME}.gz")):
        os.utime(name, (0, 1_600_000_000.9))
        assert only(name, time="mtime").observed_at == datetime.fromtimestamp(1_600_000_000, UTC)


def test_members_have_modification_times_of_their_own() -> None:
    assert only(a_zip("x.zip", {"x": BODY}), time="mtime").observed_at == AT + timedelta(seconds=1)
    assert only(a_tar("x.tar", {"x": BODY}), time="mtime").observed_at == AT


def test_a_zip_may_hold_a_month_that_is_none() -> None:
    data = Path(a_zip("x.zip", {"x": BODY})).read_bytes()
    date = ((2026 - 1980) << 9 | 5 << 5 | 16).to_bytes(2, "little")
    assert refusal(write("m.zip", data.replace(date, b"\0\0")), time="mtime") == "m.zip!x: no modification time"


def test_times_are_utc_in_whole_seconds() -> None:
    found = only(write("x.json", WALK.replace(b"09:47:11Z", b"11:47:11.9+02:00") % BODY))
    assert (found.observed_at, found.observed_at.tzinfo) == (AT.astimezone(timezone(timedelta(hours=2))), UTC)


# Targets.


def test_a_target_may_be_given_for_all() -> None:
    assert only(write("20260516T094711Z.json", WALK % BODY), target="x/y:free").target == Target("x", "y:free")


def test_target_body_is_what_the_document_says() -> None:
    assert only(write(NAME), target="body").target is None
    assert only(write(NAME, WALK % BODY), target="body").target == Target("a", "b")


@pytest.mark.parametrize(
    ("pattern", "name", "target"),
    [
        ("{author}__{slug}__", NAME, "acme/swift-1"),
        ("{author}__{slug}__", "a_b__c_d:free__2026__20260516T094711Z.json", "a_b/c_d:free"),
        ("20260516T094711Z {slug} by {author}", "20260516T094711Z gpt-4.1 by ~x.json.gz", "~x/gpt-4.1"),
    ],
)
def test_a_pattern_finds_the_target_in_the_name(pattern: str, name: str, target: str) -> None:
    make = a_gzip if name.endswith(".gz") else write
    assert only(make(f"in__x__/{name}"), target=f"name:{pattern}").target == Target.parse(target)


def test_a_name_that_does_not_match_is_refused() -> None:
    write("20260516T094711Z.json")
    reason = "its name does not match {author}__{slug}__"
    assert refusal("20260516T094711Z.json", target="name:{author}__{slug}__") == f"20260516T094711Z.json: {reason}"


# Containers.


@ARCHIVES
def test_the_members_of_an_archive_are_read(make: Make, name: str) -> None:
    inner = gzip.compress(OTHER + b"\n" + NOT_FOUND)
    make(name, {f"in/{NAME}": BODY, "20260516T094711Z.jsonl.gz": inner, "x.json": WALK % OTHER})
    assert read(name) == [
        SavedBody(BODY, AT, None, f"{name}!in/{NAME}"),
        SavedBody(OTHER, AT, None, f"{name}!20260516T094711Z.jsonl.gz line 1"),
        Refused(
            f"{name}!20260516T094711Z.jsonl.gz line 2",
            "an API error body: Model not found; say whose it is with --target",
        ),
        SavedBody(OTHER, AT, Target("a", "b"), f"{name}!x.json item 1"),
    ]


@ARCHIVES
def test_rules_see_the_paths_of_members(make: Make, name: str) -> None:
    make(name, {"2026-05-16/acme__x__.json": BODY})
    found = only(name, time="path:%Y-%m-%d", target="name:{author}__{slug}__")
    assert (found.observed_at, found.target) == (datetime(2026, 5, 16, tzinfo=UTC), Target("acme", "x"))


@ARCHIVES
@pytest.mark.parametrize("path", ["../x.json", "a/../../x.json", "/x.json", "C:\\x.json", "..\\x.json"])
def test_a_member_that_escapes_is_refused_and_the_others_are_read(make: Make, name: str, path: str) -> None:
    items = read(make(name, {path: BODY, NAME: BODY}))
    assert [reason for _, reason in refused(items)] == ["its path escapes the archive"]
    assert origins(items) == [f"{name}!{NAME}"]


@ARCHIVES
def test_an_archive_within_an_archive_is_not_opened(make: Make, name: str) -> None:
    reason = "an archive within an archive, which is not opened"
    assert refused(read(make(name, {"in.zip": b"PK", "in.tgz": b""}))) == [
        (f"{name}!in.zip", reason),
        (f"{name}!in.tgz", reason),
    ]


@ARCHIVES
def test_a_member_over_the_limit_is_refused_and_the_others_are_read(
    make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MAX_BYTES", 70_000)
    big, packed = b" " * 70_001, gzip.compress(b" " * 70_001)
    items = read(make(name, {"big.json": big, "edge.json": b" " * 70_000, "big.json.gz": packed, NAME: BODY}))
    assert refused(items) == [
        (f"{name}!big.json", "larger than 32 MiB"),
        (f"{name}!edge.json", "empty"),
        (f"{name}!big.json.gz", "larger than 32 MiB"),
    ]
    assert origins(items) == [f"{name}!{NAME}"]


@ARCHIVES
def test_more_members_than_the_limit_are_refused(make: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (containers, tars):
        monkeypatch.setattr(module, "MAX_MEMBERS", 2)
    items = read(make(name, {f"{number}-{NAME}": BODY for number in range(3)}))
    assert (len(origins(items)), refused(items)) == (2, [(name, "more than 1,000,000 members; the rest is not read")])


def test_files_over_the_limit_are_refused() -> None:
    assert refusal(write("big.json", b" " * (32 * 2**20 + 1))) == "big.json: larger than 32 MiB"
    assert refusal(write("edge.json", b" " * (32 * 2**20))) == "edge.json: empty"


@pytest.mark.parametrize("kind", ["gz", "zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_takes_neither_memory_nor_time(kind: str) -> None:
    size = 3 * 2**30
    if kind == "gz":
        write("bomb.gz", b"".join([gzip.compress(bytes(2**26))] * 48))
    elif kind == "zip":
        lying = a_zip("bomb.zip", {"x": bytes(2**26)})
        write(lying, Path(lying).read_bytes().replace((2**26).to_bytes(4, "little"), (99).to_bytes(4, "little")))
    else:
        info = tarfile.TarInfo("x")
        info.size = size
        write(f"bomb.{kind}", PACK[kind[-2:]](info.tobuf() + bytes(2**20)))
    items = read(f"bomb.{kind}")
    assert origins(items) == []
    assert refused(items)


def test_a_tar_header_that_claims_to_be_huge_is_never_read() -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**40
    assert "damaged tar" in refusal(write("x.tar", info.tobuf() + bytes(2**16)))


def test_links_and_devices_in_a_tar_are_refused() -> None:
    with tarfile.open("x.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"kind-{kind.decode()}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    reason = "a link, a device or a sparse file, not a whole file"
    hard = "a hard link to another member: unpack the tar and load the folder"
    reasons = {2: reason, 1: hard, 6: reason, 3: reason}
    assert refused(read("x.tar")) == [(f"x.tar!kind-{kind}", said) for kind, said in reasons.items()]


def test_links_and_secrets_in_a_zip_are_refused() -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.mkdir("folder")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("odd", b"x", zipfile.ZIP_BZIP2)
        archive.writestr("secret", b"x")
    data = bytearray(Path("x.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    remedy = "repack it as a tar, or with zip -Z deflate"
    assert refused(read(write("y.zip", bytes(data)))) == [
        ("y.zip!link", "a link or a device, not a file"),
        ("y.zip!odd", f"compressed in a way that is not read here (method 12): {remedy}"),
        ("y.zip!secret", "encrypted"),
    ]


def summary(item: SavedBody | Refused) -> str:
    given = item.reason if isinstance(item, Refused) else (item.body, item.observed_at, item.target, item.dated_by)
    return f"{item.origin.rpartition('in/')[2]} {given}"


def test_a_folder_and_its_archives_give_the_same() -> None:
    tree = {
        "in/2026-06-01T09-00-00/acme__a.json": BODY,
        "in/dt=2026-06-01/hour=09/b.json.bz2": bz2.compress(BODY),
        "in/acme/c/20260601T090000Z.json.xz": lzma.compress(BODY[:99]) + lzma.compress(BODY[99:]),
        "in/1780304400000.json.gz": gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]),
        "in/day.jsonl": WALK % BODY + b"\n" + WALK % OTHER,
        "in/naive.jsonl": b'{"fetched_at": "2026-06-01T09:00:00", "response": %s}' % BODY,
        "in/2026-06-02/d.json": BODY,
        "in/bad_20260601T090000Z.json": b"nope",
        "in/cut_20260601T090000Z.json.gz": gzip.compress(BODY)[:99],
        "in/zst_20260601T090000Z.json": b"\x28\xb5\x2f\xfd",
    }
    for name, content in tree.items():
        write(name, content)
    sources = ["in", a_zip("in.zip", tree), a_tar("in.tar.gz", tree)]
    for rules in ({}, {"zone": "+02:00"}, {"time": "path:%Y-%m-%d"}, {"target": "path:in/{author}/{slug}/"}):
        told = [sorted(map(summary, read(source, **rules))) for source in sources]
        assert told[0] == told[1] == told[2]
    assert len(origins(read("in", zone="UTC"))) == 7


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_stdin_is_read_line_by_line(pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'{"fetched_at": 1778924831, "response": %s}\n' % BODY
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(content * 2))))
    assert read("-") == [SavedBody(BODY, AT, None, f"stdin line {number}") for number in (1, 2)]


def test_stdin_that_is_closed_is_an_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert refused(read("-")) == [("stdin", "empty")]


def test_a_pipe_given_as_a_file_is_refused_with_how_to_read_it() -> None:
    os.mkfifo("pipe")
    with pytest.raises(ConfigurationError, match=r"^pipe is not a file .*; for a pipe: … \| .* backfill files -$"):
        read("pipe")


@pytest.mark.parametrize("make", [a_zip, a_tar])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_under_another_name_is_named_with_what_to_do(
    make: Make, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = make.__name__.removeprefix("a_")
    content = pack(Path(make(f"x.{kind}", {NAME: BODY})).read_bytes())
    said = f"a {kind} archive: save it as a file whose name ends in .{kind}"
    assert refusal(write("x.ball", content)) == f"x.ball: {said}"
    assert refused(read(a_zip("s.zip", {"in/x": content})))[0][1] == "an archive within an archive, which is not opened"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert refusal("-") == f"stdin: {said}"


@pytest.mark.parametrize(("named", "packed"), [("tar", "gz"), ("tar.gz", "xz"), ("tbz", "z2"), ("tgz", "ar")])
def test_a_tar_is_decompressed_by_its_bytes(named: str, packed: str) -> None:
    content = PACK[packed](Path(a_tar("plain.tar", {NAME: BODY})).read_bytes())
    assert origins(read(write(f"x.{named}", content))) == [f"x.{named}!{NAME}"]


def test_a_saved_404_is_evidence_if_its_target_is_known() -> None:
    write("acme__gone__20260516T094711Z.json", NOT_FOUND)
    reason = "an API error body: Model not found; say whose it is with --target"
    assert refusal("acme__gone__20260516T094711Z.json").endswith(reason)
    found = only("acme__gone__20260516T094711Z.json", target="name:{author}__{slug}__")
    assert (found.target, found.status, found.body) == (Target("acme", "gone"), 404, NOT_FOUND)


def test_each_item_says_where_its_time_was_found() -> None:
    write("a/x.json", b'{"fetched_at": 1778924831, "response": %s}' % BODY)
    write(f"b/{NAME}")
    write("c/20260516T094711Z/x.json")
    assert [item.dated_by for item in read("a", "b", "c") if isinstance(item, SavedBody)] == [
        "field fetched_at",
        "name",
        "path",
    ]
    assert only("a", time="mtime").dated_by == "modified"


# Damage.


def many(count: int = 30) -> dict[str, bytes]:
    return {f"{number:02}-{NAME}": a_body(an_endpoint(), name=os.urandom(400).hex()) for number in range(count)}


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_tar_that_is_cut_off_gives_what_came_before(suffix: str) -> None:
    name = a_tar(f"x.{suffix}", many(900 if suffix == "tar.bz2" else 300))
    data = Path(name).read_bytes()
    items = read(write(name, data[: len(data) * 2 // 3]))
    assert 100 < len(origins(items)) < 700
    *_, (origin, reason) = refused(items)
    assert len(refused(items)) <= 2  # with the member that is cut off
    assert origin == name
    assert re.match(r"damaged tar: unreadable from byte \d+ of its content on \(.+\)$", reason)


def test_a_tar_with_a_broken_header_in_its_middle_says_so() -> None:
    data = bytearray(Path(a_tar("x.tar", many(3))).read_bytes())
    data[data.index(f"01-{NAME}".encode())] = 0xFF
    items = read(write("x.tar", bytes(data)))
    assert origins(items) == [f"x.tar!00-{NAME}"]
    assert len(refused(items)) == 1


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "gz"])
@pytest.mark.parametrize("content", [b"", b"no archive at all", bytes(2000), bytes(range(256)) * 20])
def test_a_container_that_is_none_is_refused(suffix: str, content: bytes) -> None:
    assert not origins(items := read(write(f"x.{suffix}", content)))
    assert len(items) == 1


def test_a_zip_that_is_cut_off_is_refused_with_what_repairs_it() -> None:
    data = Path(a_zip("x.zip", many())).read_bytes()
    reason = "damaged zip (File is not a zip file); zip -FF may repair it"
    assert refusal(write("x.zip", data[: len(data) * 2 // 3])) == f"x.zip: {reason}"


def test_a_damaged_member_of_a_zip_costs_itself() -> None:
    data = bytearray(Path(a_zip("x.zip", many(3))).read_bytes())
    place = data.index(b"PK\x03\x04", 1)
    data[place + 200] ^= 0xFF
    items = read(write("x.zip", bytes(data)))
    assert origins(items) == [f"x.zip!00-{NAME}", f"x.zip!02-{NAME}"]
    ((origin, reason),) = refused(items)
    assert origin == f"x.zip!01-{NAME}"
    assert reason.startswith(f"damaged at byte {place}: ")


def test_gzip_that_is_cut_off_gives_the_lines_before() -> None:
    data = gzip.compress(b"".join(body + b"\n" for body in many().values()))
    name = write("20260516T094711Z.jsonl.gz", data[: len(data) * 2 // 3])
    items = read(name)
    assert 15 < len(origins(items)) < 25
    ((origin, reason),) = refused(items)
    assert (origin[:-2], reason.split(", ")[0]) == (f"{name} line ", "the file is cut off here")
    assert reason.endswith(" of its content")


def test_any_flipped_byte_of_a_container_is_survived() -> None:
    for make, name in ((a_zip, "x.zip"), (a_tar, "x.tar.gz"), (a_tar, "x.tar.xz"), (a_tar, "x.tar")):
        data = Path(make(name, many(4))).read_bytes()
        for place in range(0, len(data), max(1, len(data) // 150)):
            flipped = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
            assert read(write(name, flipped))


# What the file system does.


def test_a_file_that_may_not_be_read_is_refused_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Path.open

    def opened(path: Path, *rest: Any, **options: Any) -> Any:
        if path.name.startswith("secret"):
            raise PermissionError(13, "Permission denied")
        return given(path, *rest, **options)

    names = [write(f"secret-{NAME}"), a_zip("secret.zip", {}), a_tar("secret.tar", {}), write(NAME)]
    monkeypatch.setattr(Path, "open", opened)
    items = read(*names)
    assert refused(items) == [(name, "can't be read: Permission denied") for name in names[:3]]
    assert origins(items) == [NAME]


def test_a_folder_that_may_not_be_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = os.scandir

    def listed(path: str) -> Any:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return given(path)

    write(f"in/{NAME}")
    Path("in/secret").mkdir()
    monkeypatch.setattr(os, "scandir", listed)
    items = read("in")
    assert (len(origins(items)), [origin for origin, _ in refused(items)]) == (1, ["in/secret"])


def test_a_file_that_goes_before_it_is_read_is_refused() -> None:
    source = open_files([write(NAME), write(f"2{NAME}")], time=None, target=None)
    Path(NAME).unlink()
    first, second = (item for _, item in source.items)
    assert first == Refused(NAME, "can't be read: No such file or directory")
    assert isinstance(second, SavedBody)


def test_a_source_can_be_read_twice() -> None:
    source = open_files([write(NAME)], time=None, target=None)
    assert list(source.items) == list(source.items)


@pytest.mark.skipif(not REAL.is_dir(), reason="REAL_BODIES names no recorded bodies")
def test_all_recorded_bodies_are_found_as_they_were_recorded() -> None:
    recorded = sorted(REAL.glob("*.json"))
    items = read(f"{REAL}/*.json", time="name:%Y%m%dT%H%M%SZ", target="name:{author}__{slug}__")
    assert refused(items) == []
    assert [(item.body, item.origin) for item in items if isinstance(item, SavedBody)] == [
        (path.read_bytes(), str(path)) for path in recorded
    ]
    names = [Target(*path.stem.rsplit("__", 1)[0].split("__")) for path in recorded]
    assert [item.target for item in items if isinstance(item, SavedBody)] == names
    assert len(items) == 510


@pytest.mark.skipif(not REAL.is_dir(), reason="REAL_BODIES names no recorded bodies")
def test_recorded_bodies_come_out_of_one_walk_unchanged() -> None:
    bodies = [path.read_bytes().strip() for path in sorted(REAL.glob("*.json"))]
    walk = b'{"fetchedAt": 1778924831, "data": [%s]}' % b", ".join(b'{"response": %s}' % body for body in bodies)
    items = read(write("walk.json", walk))
    assert [item.body for item in items if isinstance(item, SavedBody)] == bodies


EXTREME_TIMES = [
    *("1E+99999999", "-1E+99999999", "1E-99999999", "9" * 5000, "-1", "NaN", "-Infinity", "true", "[]", "{}"),
    *('"1E+99999999"', '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00:00+23:59"', '""', '"\\ud800"', '"+999999"'),
]


@pytest.mark.parametrize("time", EXTREME_TIMES, ids=lambda time: time[:20])
def test_a_line_of_an_extreme_time_costs_itself_alone(time: str) -> None:
    good = b'{"observed_at":"2026-11-01T01:00:00Z","response":%s}\n' % BODY
    bad = b'{"observed_at":%s,"response":%s}\n' % (time.encode(), BODY)
    first, second, third = read(write("x.jsonl", good + bad + good))
    assert isinstance(first, SavedBody)
    assert isinstance(second, Refused)
    assert "is no time" in second.reason or "no zone" in second.reason
    assert isinstance(third, SavedBody)
