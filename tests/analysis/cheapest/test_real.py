"""Questions answered by hand from JSON that OpenRouter really sent, where a folder of it is named by REAL_BODIES."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import Ranking, rank_offers
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.parsing.body import read_observation
from endpoint_history.store.writer import store
from tests.support.factories import a_look

FOLDER = Path(os.environ.get("REAL_BODIES", "")) / "real"
ASKED = ("gpt-5.6-luna", "deepseek-v3.2-20251201", "gemini-2.5-pro", "qwen3-235b-a22b-07-25", "qwen-2.5-72b-instruct")
EVENING = datetime(2026, 5, 18, 20, 53, 39, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="REAL_BODIES names no recorded bodies")


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    """A history of the bodies asked about."""
    upgrade(database_url)
    looks = []
    for file in sorted(FOLDER.glob("*.json")):
        author, slug, time = file.stem.split("__")
        if slug.startswith(ASKED):
            at = datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            looks.append(a_look(target=f"{author}/{slug}", body=file.read_bytes(), observed_at=at))
    with opened(database_url) as engine:
        with writing(engine) as connection:
            store(connection, [(look, read_observation(look)) for look in looks])
        with engine.connect() as connection:
            yield connection


def ask(connection: sa.Connection, model: str, usage: Usage, as_of: datetime | None = None, **wanted: Any) -> Ranking:
    return rank_offers(connection, model, usage, Conditions(**wanted), as_of=as_of)


def exact(*offers: tuple[str, str]) -> list[tuple[str, Decimal]]:
    return [(route, Decimal(cost)) for route, cost in offers]


def costs(answer: Ranking) -> list[tuple[str, Decimal | None]]:
    return [(offer.route, offer.cost_usd) for offer in answer.offers]


def test_a_long_prompt_is_paid_at_the_price_beyond_the_threshold(connection: sa.Connection) -> None:
    """300,000 tokens are more than 272,000: flex takes 0.1 and 0.45 dollars a million, priority has no threshold."""
    assert costs(ask(connection, "openai/gpt-5.6-luna", Usage(300_000, 10_000))) == exact(
        ("openai/flex", "0.0345"),  # 0.3 x 0.1 + 0.01 x 0.45
        ("openai", "0.069"),  # 0.3 x 0.2 + 0.01 x 0.9
        ("openai/priority", "0.072"),  # 0.3 x 0.2 + 0.01 x 1.2
        ("azure", "0.138"),  # 0.3 x 0.4 + 0.01 x 1.8
        ("amazon-bedrock/us-east-1", "0.1518"),  # 0.3 x 0.44 + 0.01 x 1.98
        ("azure/eu", "0.1518"),
        ("azure/us", "0.1518"),
    )


def test_a_prompt_of_exactly_the_threshold_is_paid_at_the_plain_price(connection: sa.Connection) -> None:
    answer = ask(connection, "openai/gpt-5.6-luna", Usage(272_000, 10_000))
    assert costs(answer)[0] == ("openai/flex", Decimal("0.0166"))  # 0.272 x 0.05 + 0.01 x 0.3


def test_cached_and_written_tokens_are_paid_at_their_own_prices(connection: sa.Connection) -> None:
    """10,000 fresh at 0.05, 80,000 read at 0.005, 10,000 written at 0.0625 dollars a million."""
    answer = ask(connection, "openai/gpt-5.6-luna", Usage(100_000, 0, Decimal("0.8"), 10_000))
    assert costs(answer)[0] == ("openai/flex", Decimal("0.001525"))


def test_a_floor_leaves_out_what_was_below_it_and_what_nobody_knows(connection: sa.Connection) -> None:
    """The one look tells 99.91 for openai, 99.97 for azure, 100 for two others and nothing for azure/eu."""
    usage, floor = Usage(300_000, 10_000), Decimal("99.95")
    answer = ask(connection, "openai/gpt-5.6-luna", usage, uptime_pct=floor, over=timedelta(minutes=30))
    assert [route for route, _ in costs(answer)] == ["azure", "amazon-bedrock/us-east-1", "azure/us"]
    assert {offer.route for offer in answer.left_out} == {"openai", "openai/flex", "openai/priority", "azure/eu"}


def test_uptime_over_days_is_the_mean_of_the_looks_that_tell_one(connection: sa.Connection) -> None:
    """Three looks days apart weigh the same; of DeepInfra two tell a number. Alibaba takes 98,304 tokens at most."""
    usage, floor = Usage(100_000, 10_000), Decimal("99.7")
    answer = ask(connection, "deepseek/deepseek-v3.2", usage, EVENING, uptime_pct=floor)
    assert costs(answer) == exact(
        ("atlas-cloud/fp8", "0.0298"),
        ("deepinfra/fp4", "0.0298"),
        ("siliconflow/fp8", "0.0301"),
        ("novita/fp8", "0.0309"),
        ("friendli", "0.065"),
    )
    uptime = {offer.route: offer.uptime_pct for offer in answer.offers}
    assert uptime["atlas-cloud/fp8"] == pytest.approx((99.85570786392142 + 99.53196409889323 + 99.81375456991101) / 3)
    assert uptime["deepinfra/fp4"] == pytest.approx((99.99231862349734 + 99.98007835845674) / 2)
    [reasons] = [offer.reasons for offer in answer.left_out if offer.route == "alibaba"]
    assert "the prompt is too long: 100000 tokens, at most 98304" in reasons
    covered = {offer.route: round(offer.covered_share * 7 * 24 * 60) for offer in answer.offers}
    assert (covered["atlas-cloud/fp8"], covered["deepinfra/fp4"]) == (90, 60)


def test_a_requested_path_and_a_quantization_narrow_the_same_answer(connection: sa.Connection) -> None:
    path = "deepseek/deepseek-v3.2-20251201"
    answer = ask(connection, path, Usage(100_000, 10_000), EVENING, quantizations=["fp4"])
    assert costs(answer) == exact(("deepinfra/fp4", "0.0298"))


def test_what_gemini_takes_for_writing_is_the_same_in_both_ways_it_was_published(connection: sa.Connection) -> None:
    """In 2025 1.625 dollars a million, in 2026 0.375 of storage beside the 1.25 of the prompt."""
    usage = Usage(1_000_000, 0, cache_write=1_000_000)
    for model in ("google/gemini-2.5-pro-preview", "google/gemini-2.5-pro"):
        assert {offer.cost_usd for offer in ask(connection, model, usage).offers} == {Decimal("1.625")}


def test_images_were_paid_by_the_piece_once(connection: sa.Connection) -> None:
    answer = ask(connection, "google/gemini-2.5-pro-preview", Usage(0, 0, images=3))
    assert {offer.cost_usd for offer in answer.offers} == {Decimal("0.01548")}


def test_twins_are_two_offers_at_two_prices(connection: sa.Connection) -> None:
    answer = ask(connection, "qwen/qwen3-235b-a22b-2507", Usage(100_000, 0), EVENING, providers=["google"])
    assert costs(answer) == exact(("google-vertex/us-south1", "0.022"), ("google-vertex/us-south1", "0.025"))


def test_a_request_must_fit_into_the_context(connection: sa.Connection) -> None:
    """DeepInfra's takes 32,768 tokens, Novita's 32,000."""
    model = "qwen/qwen-2.5-72b-instruct"
    assert [route for route, _ in costs(ask(connection, model, Usage(31_000, 1_000)))] == [
        "deepinfra/fp8",
        "novita/bf16",
    ]
    assert costs(ask(connection, model, Usage(31_001, 1_000))) == exact(("deepinfra/fp8", "0.01156036"))
