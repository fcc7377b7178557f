"""Where the time and the target of a saved body are found: in names, folders, partitions, patterns and zones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from endpoint_history.errors import ConfigurationError
from endpoint_history.sources.rules import read_target_rule, read_time_rule
from endpoint_history.sources.timestamps import read_time
from models.observation import Target

NINE = datetime(2026, 6, 1, 9, tzinfo=UTC)


def dated(path: str, time: str | None = None, zone: str | None = None) -> tuple[datetime, str]:
    found = read_time_rule(time, zone).read(path, None, None)
    return found.time, found.source


def refusal(path: str, time: str | None = None, zone: str | None = None) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        dated(path, time, zone)
    return str(raised.value)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("x__20260601T090000Z.json", "name"),
        ("x-20260601-090000.json", "name"),
        ("20260601090000.json", "name"),
        ("2026-06-01-09-00-00.json", "name"),
        ("2026-06-01T09:00Z.json", "name"),
        ("20260601T0900.json", "name"),
        ("2026-06-01_09-00.json", "name"),
        ("2026.06.01 09-00-00 x.json", "name"),
        ("1780304400.json", "name"),
        ("snapshot-1780304400000.json", "name"),
        ("1780304400000000.json", "name"),
        ("1780304400000000000.json", "name"),
        ("20260601T090000Z-1780304400.json", "name"),
        ("2026-06-01T09-00-00/x__m.json", "path"),
        ("2026-06-01/09-00-00/x__m.json", "path"),
        ("2026/06/01/09-00-00/x__m.json", "path"),
        ("2026-06-01/T090000/x.json", "path"),
        ("2026-06-01/090000Z.json", "path"),
        ("dt=2026-06-01/hour=09/x__m.json", "path"),
        ("year=2026/month=06/day=01/hour=9/x.json", "path"),
        ("year=2026/month=6/day=1/hour=09/minute=00/x.json", "path"),
        ("ts=2026-06-01 09%3A00%3A00/x.json", "path"),
        ("saved.tar/2026-06-01T09-00-00/x.json", "path"),
        ("20260601T090000Z.tar.gz/x.json", "path"),
        ("1780304400/x.json", "path"),
    ],
)
def test_a_time_that_a_path_names_in_one_way_needs_no_rule(path: str, source: str) -> None:
    assert dated(path) == (NINE, source)


def test_the_name_comes_before_the_folders() -> None:
    assert dated("20200101T000000Z/x_20260601T090000Z.json") == (NINE, "name")


@pytest.mark.parametrize(
    ("path", "pattern", "given"),
    [
        ("2026-06-01/x.json", "%Y-%m-%d", "2026-06-01 00:00:00"),
        ("dt=2026-06-01/x.json", "%Y-%m-%d", "2026-06-01 00:00:00"),
        ("year=2026/month=06/day=01/x.json", "year=%Y/month=%m/day=%d", "2026-06-01 00:00:00"),
        ("2026-06-01/123456/x.json", "%Y-%m-%d/%H%M%S", "2026-06-01 12:34:56"),
        ("2026/06/01/09/x.json", "%Y/%m/%d/%H", "2026-06-01 09:00:00"),
        ("20260601/x.json", "%Y%m%d", "2026-06-01 00:00:00"),
        ("x_202606010900.json", "%Y%m%d%H%M", "2026-06-01 09:00:00"),
    ],
)
def test_a_path_that_names_no_whole_time_is_refused_with_the_rule_that_would_read_it(
    path: str, pattern: str, given: str
) -> None:
    hint = f"--time 'path:{pattern}', which gives {given}"
    assert refusal(path) == f"no time; name its place with --time, such as {hint}"
    assert str(dated(path, f"path:{pattern}")[0]) == f"{given}+00:00"


@pytest.mark.parametrize(
    "path",
    [
        "from_20260601T000000Z_to_20260602T000000Z.json",
        "20260601T000000Z_1780304401.json",
        "20260601T000000Z/20260602T000000Z/x.json",
    ],
)
def test_a_path_with_two_times_is_refused(path: str) -> None:
    assert "holds several times (2026-06-01 00:00:00 and 2026-06-0" in refusal(path)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a/dt=2026-06-01/hour=09/x.json", "path:dt=%Y-%m-%d/hour=%H"),
        ("year=2026/month=6/day=1/hour=9/x.json", "path:year=%Y/month=%m/day=%d/hour=%H"),
        ("2026-06-01/x__m/09.json", "path:%Y-%m-%d/*/%H"),
        ("2026-07-01/2026-06-01 09h.json", "path:/%Y-%m-%d %Hh"),
        ("x/1780304400.json", "path:%s"),
        ("x/1780304400999.json", "path:x/%ms"),
        ("x_1780304400.999.json", "name:%s"),
        ("x_1780304400999999.json", "name:%us"),
        ("x_1780304400999999999.json", "name:%ns"),
        ("1780304400999_3.json", "name:%ms"),
    ],
)
def test_a_pattern_finds_the_time_in_a_path(path: str, pattern: str) -> None:
    assert dated(path, pattern)[0] == NINE


def test_a_pattern_that_finds_two_times_is_refused() -> None:
    path = "2026-06-01/acme__swift-2024-08-06.json"
    assert "finds several times (2024-08-06 00:00:00 and 2026-06-01" in refusal(path, "path:%Y-%m-%d")
    assert dated(path, "path:/%Y-%m-%d/")[0] == datetime(2026, 6, 1, tzinfo=UTC)


def test_a_name_without_the_time_is_refused_with_the_rule_for_its_path() -> None:
    hint = "--time 'path:%Y-%m-%d', which gives 2026-06-01 00:00:00"
    assert refusal("2026-06-01/x.json", "name:%Y-%m-%d") == f"no time such as %Y-%m-%d in its name, such as {hint}"


def test_a_zone_is_that_of_times_which_name_none() -> None:
    assert dated("x_20260601T110000.json", zone="Europe/Berlin")[0] == NINE
    assert dated("x_20260601T090000Z.json", zone="Europe/Berlin")[0] == NINE
    assert dated("2026-06-01/11.json", "path:%Y-%m-%d/%H", zone="+02:00")[0] == NINE
    assert dated("1780304400.json", "name:%s", zone="Asia/Tokyo")[0] == NINE


@pytest.mark.parametrize("clock", ["2026-10-25T02:30:00", "2026-03-29T02:30:00"])
def test_a_time_that_the_clocks_showed_twice_or_never_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match=r"Europe/Berlin showed .* twice or never"):
        read_time(clock, ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("rule", "zone", "said"),
    [
        (None, "Mars/Olympus", "zone: 'Mars/Olympus' is not a known time zone; expected UTC, +02:00"),
        (None, "../etc/passwd", "zone: '../etc/passwd' is not a known time zone"),
        (None, "", "zone: '' is not a known time zone"),
        ("path:", None, "time 'path:' is not known; expected"),
        ("path:%H", None, "time 'path:%H' names no year (%Y); see docs/backfill.md"),
        ("path:%Y/%s", None, "time 'path:%Y/%s': unix time (%s, %ms, %us, %ns) can't go together"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: str | None, zone: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_time_rule(rule, zone)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    "value",
    [
        1780304400,
        1780304400999,
        1780304400999999,
        1780304400999999999,
        "1780304400.5",
        "2026-06-01T09:00:00Z",
        "2026-06-01 09:00:00 UTC",
        "2026-06-01 09:00:00+00",
        "2026-06-01T11:00:00.123456789+02:00",
        "2026-06-01 09:00:00 +0000 UTC",
        "Mon, 01 Jun 2026 09:00:00 GMT",
        "Mon, 01 Jun 2026 11:00:00 +0200",
    ],
)
def test_a_field_may_hold_a_time_in_any_of_these_forms(value: Any) -> None:
    assert read_time(value) == NINE


@pytest.mark.parametrize(
    "value", ["2026-06-01T09:00:00.123456", "2026-06-01 09:00:00", "Mon, 01 Jun 2026 09:00:00 -0000"]
)
def test_a_field_without_a_zone_is_refused_with_the_option_that_helps(value: str) -> None:
    with pytest.raises(ValueError, match=r"has no zone; say which with --zone, such as --zone UTC"):
        read_time(value)
    assert read_time(value, UTC) == NINE


@pytest.mark.parametrize(
    ("pattern", "path", "target"),
    [
        ("{author}/{slug}.json", "in/saved/acme/swift-1.json", "acme/swift-1"),
        ("data/{author}/{slug}.json", "data/acme/swift-1:free.json", "acme/swift-1:free"),
        ("{author}/{slug}", "in/acme/swift-1.json.gz", "acme/swift-1"),
        ("{author}/{slug}/", "in/acme/swift-1/20260601T090000Z.json", "acme/swift-1"),
        ("{author}/*/{slug}.json", "in/acme/2026-06-01/swift-1.json", "acme/swift-1"),
        ("by/{author}__{slug}__", "x.tar/by/acme__swift-1__2026.json", "acme/swift-1"),
    ],
)
def test_a_pattern_finds_the_target_at_the_end_of_a_path(pattern: str, path: str, target: str) -> None:
    assert read_target_rule(f"path:{pattern}").read(path, None) == Target.parse(target)


def test_a_path_that_does_not_match_is_refused() -> None:
    with pytest.raises(ValueError, match="its path does not match"):
        read_target_rule("path:data/{author}/{slug}.json").read("other/acme/swift-1.json", None)
