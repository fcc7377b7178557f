"""On random histories, stored in any order, `cheapest` answers as a plain reading of all observations would."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from endpoint_history.analysis.cheapest.conditions import Conditions
from endpoint_history.analysis.cheapest.cost import Usage
from endpoint_history.analysis.cheapest.ranking import Ranking, rank_offers
from endpoint_history.database.engine import opened, upgrade
from endpoint_history.errors import ConfigurationError
from models.observation import Observation
from tests.reference.cheapest import Expected, offers_of
from tests.reference.store import Key
from tests.store.test_writer_order import ALIAS, empty, store_all
from tests.support import postgres
from tests.support.examples import examples
from tests.support.factories import MODEL, a_failed_look, a_gone_look, a_look, an_endpoint, at

FLOOR = Decimal(60)
# Looks are made from 09:00 to 12:20: these windows open and close meanwhile, one of them past midnight.
EARLY = {"utc_start": 930, "utc_end": 1030, "prompt": "0.000001"}
REST = {"utc_start": 1100, "utc_end": 930, "prompt": "0.000001", "completion": "0.000003"}
LONG = {"min_prompt_tokens": 999, "prompt": "0.000004"}
LONGER = {"min_prompt_tokens": 1000, "completion": "0", "input_cache_read": "0"}
BOTH = EARLY | LONG | {"input_cache_read": "0.0000007"}
POLICIES = st.sampled_from([[], [EARLY], [EARLY], [REST], [REST], [EARLY, REST], [LONG, EARLY, REST], [BOTH, LONGER]])
TAGS = ("north/fp8", "south")
TENS = st.integers(0, 20).map(lambda tens: 10.0 * tens)
GONE, FAILED = (st.builds(look, TENS) for look in (a_gone_look, a_failed_look))
INSTANTS = st.one_of(*[st.integers(0, 26)] * 3, st.integers(1008, 1028)).map(lambda tens: at(10 * tens))
SPANS = st.sampled_from([45, 120, 1000]).map(lambda minutes: timedelta(minutes=minutes))
SHARES = st.sampled_from([Decimal(0), Decimal("0.25")])
USAGES = st.builds(Usage, st.sampled_from([999, 1000, 1001]), st.sampled_from([0, 499, 500]), SHARES)


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """Looks at two offers, whose conditional prices stay the same for a while, as they do."""
    policies = {tag: draw(st.lists(POLICIES, min_size=1, max_size=2)) for tag in TAGS}

    def pricing(tag: str) -> dict[str, Any]:
        overrides = draw(st.sampled_from(policies[tag]))
        keys = draw(st.sampled_from([{}, {"input_cache_read": "0.0000001"}, {"request": "0.01"}]))
        return keys | ({"overrides": overrides} if overrides else {})

    def offer(tag: str) -> dict[str, Any]:
        prompt = draw(st.sampled_from(["0.000001", "0.0000010", "0.000002", "0.000002", "0", "-1", "nonsense"]))
        terms = {"context_length": draw(st.sampled_from([1499, 1500, 131072, 131072]))}
        uptime = draw(st.sampled_from([None, 0, 59.9, 60, 60.1, 100]))
        return an_endpoint(tag, prompt, pricing=pricing(tag), uptime_last_30m=uptime, **terms)

    def look() -> Observation:
        listed = draw(st.lists(st.sampled_from([*TAGS, *TAGS]), min_size=1, max_size=3))
        return a_look(
            *map(offer, listed), minute=draw(TENS), target=draw(st.sampled_from([MODEL, MODEL, MODEL, ALIAS]))
        )

    others = draw(st.lists(st.one_of(GONE, FAILED), max_size=2))
    return [look() for _ in range(draw(st.integers(1, 9)))] + others


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('cheapest')}/history.db"
        upgrade(url)
        with opened(url) as opened_engine:
            yield opened_engine
        return
    with postgres.database(request.getfixturevalue("postgres_server")) as url:
        upgrade(url)
        with opened(url) as opened_engine:
            yield opened_engine


def answer(engine: sa.Engine, usage: Usage, as_of: datetime, over: timedelta) -> Ranking | None:
    """None: history begins later, or never."""
    wanted = Conditions(uptime_pct=FLOOR, over=over)
    try:
        with engine.connect() as connection:
            return rank_offers(connection, MODEL, usage, wanted, as_of=as_of, now=as_of)
    except ConfigurationError:
        return None


def told(answer: Ranking | None) -> dict[Key, tuple[Any, ...]]:
    if answer is None:
        return {}
    span = (answer.as_of - answer.uptime_since).total_seconds() / 60
    return {
        (MODEL, offer.variant, offer.route, offer.ordinal): (
            offer.cost_usd,
            round(offer.covered_share * span),
            None if offer.uptime_pct is None else round(offer.uptime_pct, 6),
            offer in answer.offers,
        )
        for offer in (*answer.offers, *answer.left_out)
    }


def expected(offers: dict[Key, Expected], usage: Usage) -> dict[Key, tuple[Any, ...]]:
    def meets(offer: Expected) -> bool:
        fits = usage.input_tokens + usage.output_tokens <= (offer.terms.context_length or 0)
        return fits and offer.cost is not None and offer.mean is not None and offer.mean >= FLOOR

    return {
        key: (
            offer.cost,
            offer.covered_minutes,
            None if offer.mean is None else round(float(offer.mean), 6),
            meets(offer),
        )
        for key, offer in offers.items()
    }


@examples(quick=30, thorough=200)
@given(looks=histories(), chance=st.randoms(use_true_random=False), usage=USAGES, span=st.tuples(INSTANTS, SPANS))
def test_the_answer_is_that_of_the_set_of_observations(
    engine: sa.Engine, looks: list[Observation], chance: random.Random, usage: Usage, span: tuple[datetime, timedelta]
) -> None:
    as_of, over = span
    empty(engine)
    store_all(engine, chance.sample(looks, len(looks)), chance)
    found = answer(engine, usage, as_of, over)
    assert told(found) == expected(offers_of(looks, MODEL, usage, as_of, over), usage)
    ranks = [(offer.cost_usd, offer.provider, offer.route, offer.ordinal) for offer in (found.offers if found else ())]
    assert ranks == sorted(ranks)
