"""The static site: what is written, what is not written again, and what strangers' texts become."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa

from endpoint_history.database.engine import opened
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.site.build import build
from endpoint_history.site.data import uptime_strips
from endpoint_history.site.data.history import Days
from endpoint_history.site.output import numbers
from endpoint_history.site.output.folder import Folder
from endpoint_history.site.output.render import Page
from endpoint_history.site.output.slugs import file_name
from models.tables import models, pricing_snapshots
from tests.support.exporting import content, load
from tests.support.factories import MODEL, a_look, an_endpoint
from tests.support.sites import CASES, HOSTILE, HOSTILE_MODEL, NOW, build_site, everything

ROOT = Path(__file__).parents[2]
ATOM = "{http://www.w3.org/2005/Atom}"


class Read(HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.data.append(data)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site-history") / "history.db"
    load(f"sqlite:///{path}", everything())
    return path


@pytest.fixture(scope="module")
def url(database: Path) -> str:
    return f"sqlite:///{database}"


@pytest.fixture(scope="module")
def site(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site(folder, url)
    return folder


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def of_model(site: Path, model: str) -> dict[str, Any]:
    found = json.loads((site / "models" / f"{file_name(model)}.json").read_text())
    assert isinstance(found, dict)
    return found


def test_every_model_and_provider_has_a_page_and_every_link_leads_to_a_file(site: Path, url: str) -> None:
    with opened(url) as engine, engine.connect() as connection:
        ids = list(connection.execute(sa.select(models.c.openrouter_id)).scalars())
    assert all((site / "models" / f"{file_name(id_)}.html").is_file() for id_ in ids)
    for page in pages(site):
        for name, attributes in Read(page.read_text()).elements:
            link = attributes.get("href") or attributes.get("src") or ""
            if link and not urlsplit(link).scheme and not link.startswith("#"):
                assert (page.parent / link.partition("#")[0]).is_file(), (page, name, link)


def test_a_notice_is_on_every_page_and_on_none_without_one(site: Path, url: str, tmp_path: Path) -> None:
    with opened(url) as engine:
        build(engine, tmp_path / "demo", NOW, notice="Made up <b>")
    noted = pages(tmp_path / "demo")
    assert len(noted) == len(pages(site))
    assert [path for path in noted if '<p class="notice wrap">Made up &lt;b&gt;</p>' not in path.read_text()] == []
    assert [path for path in pages(site) if 'class="notice' in path.read_text()] == []
    found = [*(tmp_path / "demo").glob("*.json"), *(tmp_path / "demo" / "models").glob("*.json")]
    assert {json.loads(path.read_text())["notice"] for path in found} == {"Made up <b>"}
    assert "notice" not in json.loads((site / "models.json").read_text())
    title = ET.fromstring((tmp_path / "demo" / "feed.xml").read_bytes()).findtext(f"{ATOM}title")
    assert title == "Prices and endpoints of LLM models on OpenRouter. Made up <b>"


def test_scheduled_changes_of_a_day_are_one_row_and_the_json_names_each(tmp_path: Path) -> None:
    morning = [{"utc_start": 1000, "utc_end": 1100, "prompt": "0.0000005"}]
    looks = [
        a_look(an_endpoint(prompt=price, pricing={"overrides": morning}), minute=day * 24 * 60 + minute)
        for day in (0, 1)
        for minute, price in ((0, "0.000001"), (60, "0.0000005"), (120, "0.000001"))
    ]
    build_site(tmp_path / "site", load(f"sqlite:///{tmp_path}/nights.db", looks))
    page = (tmp_path / "site" / "models" / f"{file_name(MODEL)}.html").read_text()
    assert page.count("changed 2 times by schedule") == 2
    assert page.count('<td class="scheduled">') == 2
    [endpoint] = of_model(tmp_path / "site", MODEL)["endpoints"]
    assert endpoint["scheduled_changes"] == [
        {"day": day, "observed_at": [f"{day}T10:00:00Z", f"{day}T11:00:00Z"]} for day in ("2026-05-16", "2026-05-17")
    ]


def test_no_page_names_a_host_but_openrouter(site: Path) -> None:
    for path in sorted(site.rglob("*")):
        if path.is_file() and path.suffix != ".json":
            hosts = set(re.findall(r"(?:https?:)?//([a-z0-9.-]+\.[a-z]+)", path.read_text()))
            assert hosts <= {"openrouter.ai", "www.w3.org"}, path


def test_the_same_history_and_now_make_the_same_bytes_on_both_databases(
    site: Path, tmp_path: Path, database_url: str
) -> None:
    load(database_url, everything(), seed=3)
    build_site(tmp_path / "again", database_url)
    assert content(tmp_path / "again") == content(site)


def test_a_second_build_writes_nothing(url: str, tmp_path: Path) -> None:
    first = build_site(tmp_path, url)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = build_site(tmp_path, url)
    assert (first.unchanged, second.written, second.unchanged) == (0, 0, first.written)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_a_page_of_the_same_history_is_not_even_made_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_site(tmp_path, url)
    made: list[Page] = []
    monkeypatch.setattr(Page, "render", made.append)
    build_site(tmp_path, url)
    assert made == []


def test_a_look_at_one_model_rewrites_no_page_of_another(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "history.db"
    copy.write_bytes(database.read_bytes())
    out = tmp_path / "site"
    build_site(out, f"sqlite:///{copy}")
    before = content(out)
    load(f"sqlite:///{copy}", [a_look(an_endpoint(prompt="0.000007"), minute=60 * 24 * 60)])
    build_site(out, f"sqlite:///{copy}")
    after = content(out)
    changed = {name for name in after if after[name] != before.get(name) and name.startswith("models/")}
    assert changed == {f"models/{file_name(MODEL)}.html", f"models/{file_name(MODEL)}.json"}


def test_the_page_of_a_model_that_is_gone_from_history_stays(url: str, tmp_path: Path) -> None:
    build_site(tmp_path / "site", url)
    before = content(tmp_path / "site")
    build_site(tmp_path / "site", load(f"sqlite:///{tmp_path}/other.db", [a_look(an_endpoint())]))
    after = content(tmp_path / "site")
    page = f"models/{file_name('acme/market')}.html"
    assert after[page] == before[page]
    assert set(before) <= set(after)


def test_a_damaged_page_is_mended(url: str, tmp_path: Path) -> None:
    build_site(tmp_path, url)
    before = content(tmp_path)
    (tmp_path / "index.html").write_bytes(b"")
    (tmp_path / "feed.xml").unlink()
    assert build_site(tmp_path, url).written == 2
    assert content(tmp_path) == before


@pytest.mark.parametrize("id_", [*CASES, HOSTILE_MODEL, "nul/x", "a/b.", "a" * 90 + "/" + "b" * 90, "a/ü", "CON"])
def test_a_file_name_is_safe_on_every_file_system(id_: str) -> None:
    name = file_name(id_)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*[a-z0-9]", name)
    assert len(name) < 150
    assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)


def test_no_two_ids_share_a_file_where_case_is_not_told_apart() -> None:
    ids = [*CASES, "case/swift-free", "case/swift_free", "case-swift/x", "case/swift-x", "case/swift.", "case_swift/x"]
    assert len({file_name(id_).lower() for id_ in ids}) == len(ids)


@pytest.mark.parametrize(
    ("id_", "name"),
    [
        ("openai/gpt-4o", "openai_gpt-4o"),
        ("qwen/qwen3-235b-a22b-07-25", "qwen_qwen3-235b-a22b-07-25"),
        ("deepseek/deepseek-r1:free", "deepseek_deepseek-r1-free__433d16b2f2"),
        ("DeepInfra", "deepinfra__5da192cdb2"),
    ],
)
def test_a_link_lasts(id_: str, name: str) -> None:
    assert file_name(id_) == name


def test_texts_of_strangers_are_text_on_every_page(site: Path) -> None:
    for page in pages(site):
        read = Read(page.read_text())
        tags = {tag for tag, _ in read.elements}
        assert "img" not in tags, page
        assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
        scripts = [attributes for tag, attributes in read.elements if tag == "script"]
        assert [s for s in scripts if "src" not in s] == [{"type": "application/json", "id": "data"}] * (
            page.parent.name == "models"
        )


def test_texts_of_strangers_come_whole_to_the_chart_and_the_search(site: Path) -> None:
    page = (site / "models" / f"{file_name(HOSTILE_MODEL)}.html").read_text()
    (data,) = Read(page).data
    assert json.loads(data)["series"][0]["name"] == f"{HOSTILE} {HOSTILE}"
    script = (site / "static" / "search-index.js").read_text()
    assert script.isascii()
    assert HOSTILE in [entry[1] for entry in json.loads(script.partition(" = ")[2].rstrip(";\n"))]


def test_the_link_to_openrouter_can_lead_nowhere_else(site: Path, url: str) -> None:
    for page in (site / "models").glob("*.html"):
        links = [a.get("href") or "" for tag, a in Read(page.read_text()).elements if tag == "a"]
        assert [link for link in links if "openrouter" in link and not link.startswith("https://openrouter.ai/")] == []


def test_the_feed_is_valid_atom(site: Path) -> None:
    root = ET.fromstring((site / "feed.xml").read_bytes())
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"{ATOM}{name}")) == 1, name
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", element.findtext(f"{ATOM}id") or "")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", element.findtext(f"{ATOM}updated") or "")
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    entries = root.findall(f"{ATOM}entry")
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == len(entries) > 0
    assert all((site / str(link.get("href"))).is_file() for link in root.iter(f"{ATOM}link"))


def test_the_feed_tells_of_price_changes_and_of_who_came_and_went(site: Path) -> None:
    root = ET.fromstring((site / "feed.xml").read_bytes())
    market = [e for e in root.iter(f"{ATOM}entry") if (e.findtext(f"{ATOM}title") or "").startswith("acme/market: ")]
    assert [e.findtext(f"{ATOM}title") for e in market] == [
        "acme/market: returned",
        "acme/market: left",
        "acme/market: repriced",
        "acme/market: came",
    ]
    assert market[2].findtext(f"{ATOM}content") == "Alpha (alpha/fp8) repriced: Prompt 0.10 → 0.20 (+100 %)"


def test_the_json_of_a_model_has_its_prices_exact(site: Path, url: str) -> None:
    with opened(url) as engine, engine.connect() as connection:
        kept = list(connection.execute(sa.select(pricing_snapshots).order_by(pricing_snapshots.c.observed_at)))
    rows = [row for id_ in json.loads((site / "models.json").read_text())["models"] for row in _rows(site, id_["id"])]
    assert sorted(str(Decimal(row["prompt_usd"])) for row in rows if row.get("prompt_usd")) == sorted(
        str(row.prompt_usd) for row in kept if row.prompt_usd is not None
    )
    assert sum(not row["listed"] for row in rows) == sum(not row.listed for row in kept) > 0


def _rows(site: Path, id_: str) -> Iterator[dict[str, Any]]:
    for endpoint in of_model(site, id_)["endpoints"]:
        yield from endpoint["prices"]


def test_the_json_of_a_model_tells_null_apart_from_zero_and_from_nothing_seen(site: Path) -> None:
    endpoints = {endpoint["provider"]: endpoint for endpoint in of_model(site, "acme/market")["endpoints"]}
    assert (endpoints["Delta"]["prices"][-1]["prompt_usd"], endpoints["Gamma"]["prices"][-1]["prompt_usd"]) == (
        None,
        "0",
    )
    assert endpoints["Delta"]["prices"][-1]["varies"] is True
    beta, delta = endpoints["Beta"]["uptime"], endpoints["Delta"]["uptime"]
    assert beta["first_day"] == "2026-10-07"
    assert beta["worst_pct"][3:5] == [99.99, 40]
    assert set(delta["mean_pct"]) == {None}
    assert set(delta["covered_minutes"]) == {0}


def test_a_day_that_nobody_saw_is_null_among_the_days(site: Path) -> None:
    uptime = next(e for e in of_model(site, MODEL)["endpoints"] if e["route"] == "north/fp8")["uptime"]
    assert uptime["covered_minutes"][1] is None
    assert uptime["mean_pct"][1] is None
    assert uptime["covered_minutes"][0] > 0


def test_an_uptime_strip_has_no_bar_where_nothing_was_seen(site: Path) -> None:
    page = (site / "models" / f"{file_name(MODEL)}.html").read_text()
    strip = page.split('aria-label="Uptime of North north/fp8')[1].split("</svg>")[0]
    bars = re.findall(r"M(\d+) [\d.]+h(\d+)", strip)
    assert sum(int(days) for _, days in bars) == 3  # of 51: the days of May, June and July with a look


@pytest.mark.parametrize(
    ("since", "until", "percent", "covered"),
    [(6, 9, 70, 200), (6, 7, 99, 200), (8, 9, 70, 200), (9, 9, 80, 100), (10, 12, None, 0), (5, 5, None, 0)],
)
def test_no_mean_is_taken_across_the_redefinition(since: int, until: int, percent: float | None, covered: int) -> None:
    october = [date(2026, 10, day) for day in (6, 7, 8, 9, 10)]
    days = Days(october, [98, 100, 60, 80, None], [0] * 5, [100, 100, 100, 100, 0], [0] * 5)
    found = uptime_strips.mean(days, date(2026, 10, since), date(2026, 10, until))
    assert (found.percent, found.covered) == (percent, covered)
    assert found.seen == sum(max(since, 8 if until >= 8 else 0) <= day.day <= until for day in october)


def test_a_mean_weighs_each_endpoint_by_what_is_covered_of_it() -> None:
    means = [uptime_strips.Mean(100, 300, 0), uptime_strips.Mean(80, 100, 50), uptime_strips.Mean(None, 0, 0)]
    assert uptime_strips.together(means) == uptime_strips.Mean(95, 400, 50)
    assert uptime_strips.together([]).percent is None


def test_the_bars_of_a_strip_are_as_wide_as_their_days_and_leave_gaps() -> None:
    may = [date(2026, 5, day) for day in (1, 2, 3, 6, 7)]
    days = Days(may, [100.0, 99.95, None, 40.0, 99.0], [0] * 5, [1] * 5, [0] * 5)
    assert uptime_strips.paths(days, date(2026, 5, 1)) == [
        ("up0", "M2 0.88h1v0.12h-1z"),
        ("up5", "M0 0.65h2v0.35h-2z"),
        ("up4", "M6 0.5h1v0.5h-1z"),
        ("up1", "M5 0h1v1h-1z"),
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.25, "0.25"), (0.0375, "0.0375"), (3, "3.00"), (12.345678, "12.3457"), (0.000123456, "0.0001235")],
)
def test_a_price_is_shown_with_the_digits_that_tell_it_from_others(number: float, text: str) -> None:
    assert numbers.usd(number) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [("2", "1", "−50 %"), ("1", "1.051", "+5.1 %"), ("1", "12", "×12"), ("0", "1", ""), ("1", "0", "−100 %")],  # noqa: RUF001
)
def test_a_move_is_told_by_its_size(before: str, after: str, text: str) -> None:
    assert numbers.change(Decimal(before), Decimal(after)) == text


def test_an_uptime_is_never_rounded_up() -> None:
    assert (numbers.percent(99.999), numbers.percent(100.0), numbers.percent(None)) == ("99.99", "100.00", None)


def test_what_came_when_its_model_was_first_seen_is_no_arrival(site: Path) -> None:
    page = (site / "models" / f"{file_name('acme/market')}.html").read_text()
    assert (page.count('<td class="first-seen">'), page.count('<td class="came">')) == (4, 0)
    page = (site / "models" / f"{file_name(MODEL)}.html").read_text()
    assert page.count('<td class="came">') > 0


def test_who_was_not_seen_lately_is_told_apart_from_who_has_no_number(site: Path) -> None:
    told = [(site / "models" / f"{file_name(id_)}.html").read_text() for id_ in (MODEL, "acme/market")]
    assert [("not seen</span>" in page, "no number</span>" in page) for page in told] == [(True, False), (False, True)]


def test_the_redefinition_is_marked(site: Path) -> None:
    page = (site / "models" / f"{file_name('acme/market')}.html").read_text()
    assert "redefined uptime" in page
    assert '<path class="redefined" d="M1 0V1"/>' in page


def test_conditional_prices_are_told_in_words(site: Path) -> None:
    page = (site / "models" / f"{file_name('acme/market')}.html").read_text()
    assert "for prompts of more than 200,000 tokens: prompt <b>2.00</b>" in page
    page = (site / "models" / f"{file_name(MODEL)}.html").read_text()
    assert "from 00:00 to 06:00 UTC: prompt <b>0.50</b>" in page


def test_no_file_of_a_page_is_closed_to_a_web_server(url: str, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        build_site(tmp_path / "new" / "site", url)
    finally:
        os.umask(before)
    for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), path


def test_a_folder_with_other_files_is_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(ConfigurationError, match="is not a site"):
        build_site(tmp_path, url)
    assert content(tmp_path) == {"index.html": b"mine"}


def test_two_builds_at_once_are_refused(url: str, tmp_path: Path) -> None:
    with Folder(tmp_path).locked(), pytest.raises(HistoryError, match="another build"):
        build_site(tmp_path, url)


def test_a_history_without_a_look_is_told(sqlite_template: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing is kept yet"):
        build_site(tmp_path / "site", f"sqlite:///{sqlite_template}")
    assert not (tmp_path / "site").exists()


def test_what_was_seen_after_now_is_not_lately(url: str, tmp_path: Path) -> None:
    build_site(tmp_path, url, NOW.replace(month=10, day=9))
    page = (tmp_path / "index.html").read_text()
    assert 'data-fresh="2026-10-09T12:00:00Z"' in page


BUILDER = """
import os, signal, sys
from pathlib import Path
from tests.support.sites import build_site

left = int(sys.argv[3])
step = getattr(os, sys.argv[4])

def deadly(*args, **options):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **options)

setattr(os, sys.argv[4], deadly)
build_site(Path(sys.argv[2]), sys.argv[1])
"""


@pytest.mark.slow_unless(step=["replace"], times=[9])
@pytest.mark.parametrize(("times", "step"), [(1, "replace"), (9, "replace"), (2, "fchmod"), (14, "fchmod")])
def test_a_build_killed_anywhere_leaves_whole_pages_and_the_next_makes_all(
    site: Path, url: str, tmp_path: Path, times: int, step: str
) -> None:
    command = [sys.executable, "-c", BUILDER, url, str(tmp_path / "site"), str(times), step]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    whole = content(site)
    left = {name: body for name, body in content(tmp_path / "site").items() if ".making-" not in name}
    assert left.items() <= whole.items()
    build_site(tmp_path / "site", url)
    assert content(tmp_path / "site") == whole
