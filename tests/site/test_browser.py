"""The site in a real browser, from a folder, without a server and a network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from endpoint_history.analysis.cheapest.cost import Usage, cost_usd
from endpoint_history.parsing.scheduled_price import ObservedPrices
from endpoint_history.site.output.slugs import file_name
from models.listing import PriceSet
from tests.support.browser import BrowserMissing, Watched, chromium
from tests.support.exporting import load
from tests.support.factories import MODEL, MORNING, a_look, an_endpoint
from tests.support.sites import HOSTILE, HOSTILE_MODEL, build_site, everything

MARKET = "acme/market"
NEAR = "acme/near"
NAMES = {
    "home": "index.html",
    "rankings": "rankings.html",
    "coverage": "coverage.html",
    "model": f"models/{file_name(MARKET)}.html",
    "changes": f"models/{file_name(MODEL)}.html",
    "hostile": f"models/{file_name(HOSTILE_MODEL)}.html",
    "provider": f"providers/{file_name('Alpha')}.html",
    "hostile provider": f"providers/{file_name(HOSTILE)}.html",
}
# Doubles would take the first two for one price, and the third for the same as the second at one half.
NEAR_PRICES = {
    "One": ("0.00000010000000000000001", "0.0000003"),
    "Two": ("0.0000001", "0.0000003"),
    "Three": ("0.0000003", "0.00000010000000000000000001"),
    "Four": ("0.0000002", "0.0000002"),
}
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as found:
            yield found
    except BrowserMissing as missing:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"REQUIRE_BROWSER=1, but {missing}", pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browsed")
    near = [
        an_endpoint(name.lower(), prompt, provider_name=name, model_id=NEAR, pricing={"completion": completion})
        for name, (prompt, completion) in NEAR_PRICES.items()
    ]
    looks = [*everything(), a_look(*near, target=NEAR, model=NEAR)]
    build_site(folder / "site", load(f"sqlite:///{folder}/history.db", looks))
    return folder / "site"


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = Watched(context.new_page(), site)
    yield found
    context.close()
    assert found.troubles == []


def column(page: Page, table: str, place: int) -> list[str]:
    cells = page.locator(f"{table} tbody tr > :nth-child({place})").all_inner_texts()
    return [cell.strip() for cell in cells]


@pytest.mark.slow_unless(width=[360], scheme=["dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_without_a_complaint_fits_its_screen_and_is_accessible(
    browser: Browser, site: Path, name: str, width: int, scheme: Any
) -> None:
    """From a folder, in every theme and width."""
    context = browser.new_context(
        viewport={"width": width, "height": 740}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.add_init_script(path=AXE)  # by the browser itself: the page's policy against strange scripts stays in force
    watched = Watched(context.new_page(), site)
    page = watched.open(NAMES[name])
    assert page.locator("h1").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    context.close()
    assert watched.troubles == []
    serious = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]])
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
    assert serious == []


def test_charts_draw_a_step_for_every_price_and_break_where_nothing_was_listed(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    curves = page.locator(".plot[data-key=prompt] .curve")
    paths = {curves.nth(n).get_attribute("d") for n in range(curves.count())}
    assert len(paths) == 3  # the fourth has no price to draw: it varies
    assert sorted(str(path).count("M") for path in paths) == [1, 1, 2]  # Beta left and returned
    assert max(str(path).count("V") for path in paths) == 1  # Alpha became dearer
    assert page.locator(".plot[data-key=prompt] .unseen").count() == 1


def test_another_price_and_other_times_are_drawn_on_demand(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    assert not page.locator("#more-plot").is_visible()
    page.select_option("#more", "input_cache_read")
    assert page.locator("#more-plot .curve").count() == 1
    strip = page.locator(".strip").first
    before = strip.get_attribute("viewBox")
    page.goto(page.url.replace(file_name(MARKET), file_name(MODEL)))
    page.get_by_role("button", name="30 days").click()
    assert page.locator(".strip").first.get_attribute("viewBox") == "21 0 30 1"
    assert before == "0 0 6 1"


def test_the_charts_keep_their_place_when_they_are_drawn(watched: Watched) -> None:
    watched.page.add_init_script(
        "globalThis.jumps = []; new PerformanceObserver((list) => jumps.push(...list.getEntries().map((e) => e.value)))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    for name in ("model", "home"):
        page = watched.open(NAMES[name])
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("jumps.reduce((sum, value) => sum + value, 0)") < 0.02


def test_pointing_at_a_chart_tells_prices_and_uptime_of_that_time(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    page.locator("#plots").scroll_into_view_if_needed()
    box = page.locator("#plots").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 60, box["y"] + 80)
    told = page.locator("#tip").inner_text()
    assert "Alpha alpha/fp8" in told
    assert "0.20" in told
    page.locator("#plots").focus()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    page.keyboard.press("ArrowLeft")
    assert "Alpha alpha/fp8: 0.20" in page.locator("#tip-words").inner_text()


def test_a_name_beside_its_strip_shows_it_alone(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    page.get_by_role("button", name="Beta beta").click()
    assert page.locator(".plot[data-key=prompt] .curve:not(.dim)").count() == 1
    assert page.locator(".strip-row:not(.dim)").count() == 1


def test_search_finds_models_and_providers_and_leads_there_by_keyboard(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("/")
    page.keyboard.type("market")
    assert page.locator("#found li").all_inner_texts() == ["acme/market model"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/acme_market.html")
    page.fill("#search", "alph")
    page.locator("#found li").first.click()
    page.wait_for_url("**/providers/alpha__*.html")
    page.fill("#search", "no such thing")
    assert page.locator("#found").inner_text() == "Nothing of that name"


def test_a_table_sorts_by_any_column_and_what_has_no_value_stays_last(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    for _ in range(2):
        page.get_by_role("button", name="Provider", exact=True).click()
    assert [name.split()[0] for name in column(page, "#prices", 2)] == ["Gamma", "Delta", "Beta", "Alpha"]
    head = page.locator("#prices thead th").nth(3)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "#prices", 4) == ["0.90", "0.20", "0", "varies"]
    head.get_by_role("button").press("Enter")
    assert column(page, "#prices", 4) == ["0", "0.20", "0.90", "varies"]


def test_the_slider_ranks_anew_and_what_varies_is_not_free(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    assert [name.split()[0] for name in column(page, "#prices", 2)] == ["Gamma", "Alpha", "Beta", "Delta"]
    page.locator("#mix").fill("0")
    assert page.locator("#mix-is").inner_text() == "0 % prompt, 100 % answer"
    assert column(page, "#prices", 3) == ["0", "0.10", "2.00", "varies"]
    assert column(page, "#prices", 1) == ["—", "1", "2", "—"]  # a free variant is not among the offers of the model
    page.locator("#mix").fill("100")
    assert column(page, "#prices", 3) == ["0", "0.20", "0.90", "varies"]
    assert page.locator("#mix-best").inner_text() == "Cheapest: Alpha alpha/fp8, 0.20"


@pytest.mark.slow_unless(share=[37])
@pytest.mark.parametrize("share", [0, 1, 37, 50, 75, 100])
def test_the_slider_ranks_as_the_cost_of_a_request_does(watched: Watched, share: int) -> None:
    page = watched.open(f"models/{file_name(NEAR)}.html")
    page.locator("#mix").fill(str(share))
    usage = Usage(input_tokens=share, output_tokens=100 - share)

    def cost(name: str) -> tuple[Decimal, str]:
        prompt, completion = map(Decimal, NEAR_PRICES[name])
        return cost_usd([ObservedPrices(MORNING, PriceSet(prompt, completion))], usage, MORNING), name

    assert [name.split()[0] for name in column(page, "#prices", 2)] == sorted(NEAR_PRICES, key=cost)
    assert column(page, "#prices", 1) == ["1", "2", "3", "4"]


def test_the_first_page_shows_a_day_or_a_week(watched: Watched) -> None:
    page = watched.open("index.html")
    page.get_by_role("button", name="Last 24 hours").click()
    assert page.locator("tbody tr:visible").count() == 0
    assert page.get_by_text("No price moved.").is_visible()


def test_a_time_tells_the_reader_s_own_when_pointed_at(browser: Browser, site: Path) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB")
    page = Watched(context.new_page(), site).open(NAMES["model"])
    time = page.locator(".fresh time").first
    time.hover()
    assert time.get_attribute("datetime") == "2026-10-12T08:30:00Z"
    assert "12 Oct 2026, 17:30:00" in str(time.get_attribute("title"))
    context.close()


def test_without_javascript_prices_changes_and_strips_are_there(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / NAMES["model"]).as_uri())
    assert [name.split()[0] for name in column(page, "#prices", 2)] == ["Gamma", "Alpha", "Beta", "Delta"]
    assert page.locator(".strip path").count() > 4
    assert page.locator(".changes tbody tr").count() > 4
    hint = page.locator("noscript").bounding_box()
    assert hint
    assert hint["height"] > 0
    context.close()


def test_texts_of_strangers_stay_text(watched: Watched) -> None:
    page = watched.open(NAMES["hostile"])
    assert page.locator("h1").inner_text().startswith("</script><script>alert(1)</script><img src=x")
    page.fill("#search", "script")
    page.locator("#plots").focus()
    page.keyboard.press("ArrowLeft")
    assert HOSTILE[:40] in page.locator("#found").inner_text()
    assert HOSTILE[:40] in page.locator("#tip").inner_text()
    assert page.evaluate("document.images.length") == 0


def test_no_script_but_those_of_the_folder_would_run(browser: Browser, site: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        (site / "index.html").read_text().replace("<h1>", "<script>document.title = 'run'</script><h1>")
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() != "run"
    context.close()


def test_a_chart_is_told_in_words(watched: Watched) -> None:
    page = watched.open(NAMES["model"])
    told = page.locator(".plot[data-key=prompt] svg").get_attribute("aria-label")
    assert told == "Prompt price of 3 endpoints from 2026-10-07 to 2026-10-12, USD per million tokens: now 0 to 0.90"
    assert json.loads(page.locator("#data").inner_text() or page.locator("#data").text_content() or "")["gaps"]
