"""What people and automations are told of a collect: no database, values made by hand."""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.collecting.changes import EndpointName, PriceMove
from endpoint_history.collecting.run import Collected
from endpoint_history.collecting.summary import RunSummary
from endpoint_history.reporting.collect_report import failure, headline, lines, markdown, payload
from endpoint_history.text import printable

ENDPOINT = EndpointName("acme/swift-1", "North", "north/fp8")
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = [
    "a\nb\r\nc",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\u2028\u2029\x85\x0b\x0c\x1c",
    BIDI,
    "a | b |",
    "\\|",
    "\\\\|",
    "`*_{}[]<>#!~$`",
    "<script>alert(1)</script>",
    "[x](javascript:y)",
    "",
]
UNESCAPED_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")


def a_move(key: str = "prompt", before: str | None = "0.000001", after: str | None = "0.000002") -> PriceMove:
    return PriceMove(ENDPOINT, key, *(None if price is None else Decimal(price) for price in (before, after)))


def collected(waiting: int = 0, waiting_reason: str | None = None, targets: int = 10, **fields: Any) -> Collected:
    """A collect of ten targets of which nine were ok and one gone, with these fields of its outcome."""
    outcome: dict[str, Any] = {
        "run": "20260516T090000Z-collect-abc123",
        "ok": 9,
        "gone": 1,
        "failed": [],
        "never_seen": [],
        "unread": [],
        "same_model": [],
        "endpoints": 20,
        "new_prices": 3,
        "price_moves": [],
        "repriced": 2,
        "new_models": 0,
        "listing_changes": [],
        "drift": [],
    }
    return Collected(RunSummary(**outcome | fields), targets, waiting, waiting_reason, "sqlite:///h.db", "/archive")


def told_everywhere(name: str, reason: str) -> Collected:
    """A collect that has these texts wherever a stranger's text can stand."""
    endpoint = EndpointName(name, name, name)
    return collected(
        price_moves=[PriceMove(endpoint, "prompt", None, Decimal(1))],
        listing_changes=[("new", endpoint), ("terms changed", endpoint)],
        failed=[("acme/a", reason)],
        unread=[("acme/b", reason)],
        same_model=[("acme/c", name)],
        drift=[(name, reason), (reason, "")],
    )


def columns_by_table(text: str) -> list[set[int]]:
    """How many columns the rows of each table have; one number each where none is broken."""
    tables = [section.split("\n") for section in text.split("\n\n") if section.startswith("|")]
    return [{len(UNESCAPED_PIPE.findall(row)) - 1 for row in table} for table in tables]


def test_the_headline_says_what_happened_in_one_line() -> None:
    assert headline(collected()) == ("10 of 10 targets observed (9 ok, 1 gone); 20 endpoints, 3 prices new, 2 changed")


def test_the_headline_names_failed_and_waiting_only_where_any() -> None:
    told = headline(collected(waiting=4, waiting_reason="no room", targets=15, failed=[("acme/a", "HTTP 500")]))
    assert told == (
        "10 of 15 targets observed (9 ok, 1 gone); 1 failed; 4 answers wait in the archive;"
        " 20 endpoints, 3 prices new, 2 changed"
    )


def test_a_collect_that_observed_nothing_says_why_most_often() -> None:
    page = "HTTP 403: a web page\x1b[31m"
    nothing = collected(targets=3, ok=0, gone=0, failed=[("acme/a", page), ("acme/b", "HTTP 500"), ("acme/c", page)])
    assert failure(nothing) == f"{headline(nothing)}; most often: HTTP 403: a web page\ufffd[31m"


def test_a_collect_without_news_takes_five_lines() -> None:
    assert list(lines(collected())) == [
        "Targets    9 ok, 1 gone, 0 failed, of 10",
        "Endpoints  20 seen, none came or left",
        "Prices     3 new, 2 changed",
        "Database   sqlite:///h.db",
        "Archive    /archive",
    ]


def test_arrivals_are_counted_by_kind() -> None:
    listing_changes = [
        ("new", ENDPOINT),
        ("gone", ENDPOINT),
        ("new", ENDPOINT),
        ("returned", ENDPOINT),
        ("terms changed", ENDPOINT),
    ]
    told = list(lines(collected(listing_changes=listing_changes, new_models=7)))[1]
    assert told == ("Endpoints  20 seen, 2 new, 1 gone, 1 returned, 1 terms changed, 7 models seen for the first time")


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (a_move(), "prompt $1/M -> $2/M"),
        (a_move("completion", "0", "0.00000000123"), "completion $0/M -> $0.00123/M"),
        (a_move("image_token", "0.0001", None), "image_token $100/M -> none"),
        (a_move("input_cache_write_1h", None, "0.0000005"), "input_cache_write_1h none -> $0.5/M"),
        (a_move("request", "0.01", "0.02"), "request $0.01 -> $0.02"),
        (a_move("web_search", None, "0.005"), "web_search none -> $0.005"),
        (a_move("image", "0.00001", "1"), "image $0.00001 -> $1"),
        (a_move("discount", "0.25", None), "discount 0.25 -> none"),
        (a_move("conditions", None, None), "conditions none -> none"),
        (a_move("prompt", "0.00000010000000000000000001", "1E-7"), "prompt $0.10000000000000000001/M -> $0.1/M"),
    ],
)
def test_prices_are_told_in_the_units_people_use(move: PriceMove, expected: str) -> None:
    told = list(lines(collected(price_moves=[move])))[3]
    assert told == f"  acme/swift-1 at North (north/fp8): {expected}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"failed": [("acme/a", "HTTP 500")]}, "  failed: acme/a: HTTP 500"),
        ({"unread": [("acme/a", "endpoint 2")]}, "  read in part: acme/a: endpoint 2"),
        ({"same_model": [("acme/a", "acme/b")]}, "  counted once: acme/a is acme/b"),
        ({"drift": [("endpoint.quantization", "fp1")]}, "  unknown upstream: endpoint.quantization = fp1"),
        ({"drift": [("endpoint.novelty", "")]}, "  unknown upstream: endpoint.novelty"),
    ],
)
def test_every_trouble_has_its_own_line(fields: dict[str, Any], expected: str) -> None:
    assert list(lines(collected(**fields)))[3] == expected


def test_answers_that_wait_come_with_how_to_load_them() -> None:
    told = list(lines(collected(waiting=4, waiting_reason="the disk is full")))
    assert told[3:5] == [
        "  4 answers wait in the archive, bundle 20260516T090000Z-collect-abc123: the disk is full",
        "  the next collect loads them, or: endpoint-history backfill archive",
    ]


@pytest.mark.parametrize(("count", "shown", "cut"), [(50, 50, 0), (51, 50, 1), (400, 50, 1)])
def test_long_lists_are_cut_for_a_terminal(count: int, shown: int, cut: int) -> None:
    told = list(lines(collected(unread=[(f"acme/m{n}", "bad") for n in range(count)])))
    assert (sum("read in part: " in line for line in told), told.count("  …")) == (shown, cut)


def test_failed_targets_are_named_however_many() -> None:
    count = 400
    told = collected(failed=[(f"acme/m{n}", "HTTP 500") for n in range(count)])
    assert sum("failed: " in line for line in lines(told)) == count
    assert len(re.findall(r"^\| acme/m", markdown(told), re.MULTILINE)) == count


@pytest.mark.parametrize(("count", "more"), [(50, None), (51, "… and 1 more"), (400, "… and 350 more")])
def test_long_tables_are_cut_and_say_so(count: int, more: str | None) -> None:
    told = markdown(collected(unread=[(f"acme/m{n}", "bad") for n in range(count)]))
    assert f"## Read in part ({count})" in told
    assert len(re.findall(r"^\| acme/m", told, re.MULTILINE)) == 50
    assert re.findall(r"^… and .*", told, re.MULTILINE) == ([more] if more else [])


def test_markdown_without_news_has_no_lists() -> None:
    title, numbers, place = markdown(collected()).split("\n\n")
    assert title == f"# {headline(collected())}"
    assert numbers.splitlines()[2:4] == ["| targets observed | 10 of 10 |", "| targets failed | 0 |"]
    assert place == "Database `sqlite:///h.db`, archive `/archive`, run `20260516T090000Z-collect-abc123`."


@pytest.mark.parametrize(
    ("move", "arrow", "change"),
    [
        (a_move("prompt", "0.000001", "0.000003"), "▲", "+200 %"),
        (a_move("prompt", "0.000003", "0.000002"), "▼", "-33.33 %"),
        (a_move("request", None, "0.01"), "▲", ""),
        (a_move("prompt", "0", "0.000001"), "▲", ""),
        (a_move("discount", "0.2", "0.1"), "▼", ""),
        (a_move("conditions", None, None), "", ""),
    ],
)
def test_a_moved_price_is_told_with_its_direction_and_percent(move: PriceMove, arrow: str, change: str) -> None:
    [row] = [line for line in markdown(collected(price_moves=[move])).splitlines() if "acme/swift" in line]
    cells = row.strip("|").split("|")
    assert (cells[0].strip(), cells[-1].strip()) == (arrow, change)


def test_the_site_is_linked_where_there_is_one() -> None:
    link = "[All prices and uptimes on the site](<https://prices.example.com>)"
    assert link in markdown(collected(), "https://prices.example.com").split("\n\n")
    assert "on the site" not in markdown(collected())


def test_markdown_tells_each_list_in_its_own_table() -> None:
    told = markdown(told_everywhere("acme/swift-1", "HTTP 500"))
    assert re.findall(r"^## (.*) \(", told, re.MULTILINE) == [
        "Prices moved",
        "Endpoints",
        "Failed targets",
        "Read in part",
        "Counted once",
        "Unknown to this version",
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_break_no_line_of_a_terminal(text: str) -> None:
    told = list(lines(told_everywhere(text, text)))
    assert len(told) == 11
    assert [line for line in told if _is_unprintable(line)] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_break_no_table_of_markdown(text: str) -> None:
    told = markdown(told_everywhere(text, text))
    assert columns_by_table(told) == [{2}, {8}, {4}, {2}, {2}, {2}, {2}]
    assert not _is_unprintable(told.replace("\n", ""))


@pytest.mark.parametrize("sign", list("\\`*_{}[]<>|#!~$&"))
def test_signs_of_markdown_and_html_are_escaped(sign: str) -> None:
    assert f"| acme/a | x\\{sign}y |" in markdown(collected(failed=[("acme/a", f"x{sign}y")]))


@pytest.mark.parametrize(
    "name", ["https://evil.example/pay", "www.evil.example", "mailto:a@evil.example", "&#104;ttp://x.y"]
)
def test_no_address_in_a_name_becomes_a_link_in_markdown(name: str) -> None:
    told = markdown(told_everywhere(name, name)).rpartition("\n\nDatabase ")[0]
    assert told.count("\uff1a//") + told.count("\u2024") > 10
    assert not re.search(r"://|mailto:|\.(example|y)|(?<!\\)&", told)


@given(name=st.text(), reason=st.text())
def test_whatever_strangers_write_lines_and_tables_hold(name: str, reason: str) -> None:
    told = told_everywhere(name, reason)
    assert not any(_is_unprintable(line) for line in lines(told))
    assert columns_by_table(markdown(told)) == [{2}, {8}, {4}, {2}, {2}, {2}, {2}]


def test_names_in_any_script_stay_as_they_are() -> None:
    assert printable("Ünïcode 模型 مزود 🚀 \\|<b>") == "Ünïcode 模型 مزود 🚀 \\|<b>"


def test_the_payload_holds_exact_prices_as_text() -> None:
    move = a_move("request", "0.00000010000000000000000001", None)
    assert payload(collected(price_moves=[move]))["price_moves"] == [
        {
            "model": "acme/swift-1",
            "provider": "North",
            "route": "north/fp8",
            "price": "request",
            "before": "0.00000010000000000000000001",
            "after": None,
        }
    ]


def test_the_payload_counts_all_and_lists_two_hundred() -> None:
    told = payload(
        collected(
            price_moves=[a_move()] * 450, listing_changes=[("terms changed", ENDPOINT)] * 201, drift=[("a", "b")] * 200
        )
    )
    assert told["counts"] == {"price_moves": 450, "drift": 200, "terms_changed": 201}
    assert {name: len(told[name]) for name in told["counts"]} == {
        "price_moves": 200,
        "drift": 200,
        "terms_changed": 200,
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_the_payload_is_json_whatever_names_hold(text: str) -> None:
    told = payload(told_everywhere(text, text))
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def _is_unprintable(line: str) -> bool:
    breaks = len(line.splitlines()) > 1
    return breaks or any(char in BIDI or unicodedata.category(char) in {"Cc", "Zl", "Zp"} for char in line)
