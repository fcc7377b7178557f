"""The reader on bodies that OpenRouter really sent, where a folder of them is named by REAL_BODIES."""

from __future__ import annotations

import dataclasses
import json
import os
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from endpoint_history.parsing.body import read_observation
from models.listing import EndpointListing, ModelListing
from models.observation import Target
from tests.support.factories import a_look

FILES = sorted((Path(os.environ.get("REAL_BODIES", "")) / "real").glob("*.json")) if "REAL_BODIES" in os.environ else []
FIELDS_BESIDE_PRICES = {"varies", "discount", "overrides", "other"}

pytestmark = pytest.mark.skipif(not FILES, reason="REAL_BODIES names no recorded bodies")


def requested(file: Path) -> str:
    return str(Target(*file.stem.rsplit("__", 1)[0].split("__")))


def listing_of(file: Path, body: bytes | None = None) -> ModelListing:
    reading = read_observation(a_look(target=requested(file), body=body or file.read_bytes()))
    assert reading.listing, f"{file.name}: {reading.reason}"
    return reading.listing


def exact(file: Path) -> dict[str, Any]:
    """The `data` of a body, its fractions as they are written."""
    body: dict[str, dict[str, Any]] = json.loads(file.read_bytes(), parse_float=Decimal)
    return body["data"]


def published_prices(endpoint: dict[str, Any]) -> dict[str, Decimal | None]:
    """What is charged, key by key: nothing for an optional price of zero, None for a price that varies."""
    prices = {key: Decimal(price) for key, price in endpoint["pricing"].items() if key not in {"discount", "overrides"}}
    charged = {key: price for key, price in prices.items() if price or key in {"prompt", "completion"}}
    return {key: None if price == -1 else price for key, price in charged.items()}


def read_prices_of(endpoint: EndpointListing) -> dict[str, Decimal | None]:
    prices = {
        field.name: getattr(endpoint.prices, field.name)
        for field in dataclasses.fields(endpoint.prices)
        if field.name not in FIELDS_BESIDE_PRICES
    }
    always = {"prompt", "completion"}
    return {key: price for key, price in prices.items() if price is not None or key in always}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_body_is_read_whole(file: Path) -> None:
    reading = read_observation(a_look(target=requested(file), body=file.read_bytes()))
    assert (reading.outcome, reading.unread, reading.complete) == ("ok", (), True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_price_read_equals_the_text_published(file: Path) -> None:
    published = Counter(
        (item["name"], frozenset(item["supported_parameters"]), frozenset(published_prices(item).items()))
        for item in exact(file)["endpoints"]
    )
    read = Counter(
        (endpoint.name, frozenset(endpoint.terms.supported_parameters), frozenset(read_prices_of(endpoint).items()))
        for endpoint in listing_of(file).endpoints
    )
    assert read == published


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_discounts_and_overrides_are_read_for_each_endpoint(file: Path) -> None:
    pricings = [endpoint["pricing"] for endpoint in exact(file)["endpoints"]]
    published = sorted((str(p.get("discount") or None), len(p.get("overrides") or [])) for p in pricings)
    read = [endpoint.prices for endpoint in listing_of(file).endpoints]
    assert sorted((str(prices.discount), len(prices.overrides or [])) for prices in read) == published


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_uptime_and_status_are_read_as_published(file: Path) -> None:
    windows = ("uptime_last_5m", "uptime_last_30m", "uptime_last_1d")
    endpoints = json.loads(file.read_bytes())["data"]["endpoints"]
    published = [(e["name"], e.get("status"), *(e.get(window) for window in windows)) for e in endpoints]
    read = [(e.name, *dataclasses.astuple(e.uptime)) for e in listing_of(file).endpoints]
    assert sorted(read, key=str) == sorted(
        (
            (name, status, *(None if share is None else float(share) for share in shares))
            for name, status, *shares in published
        ),
        key=str,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_endpoint_of_a_body_has_its_own_key(file: Path) -> None:
    listing = listing_of(file)
    assert len({endpoint.key for endpoint in listing.endpoints}) == len(exact(file)["endpoints"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_order_of_a_recorded_array_means_nothing(file: Path) -> None:
    body = json.loads(file.read_bytes())
    random.Random(7).shuffle(body["data"]["endpoints"])
    assert listing_of(file, json.dumps(body).encode()) == listing_of(file)


def test_the_recordings_hold_every_shape_these_tests_need() -> None:
    listings = [listing_of(file) for file in FILES]
    endpoints = [endpoint for listing in listings for endpoint in listing.endpoints]
    assert any(not listing.endpoints for listing in listings)
    assert any(endpoint.key.ordinal for endpoint in endpoints)
    assert any(endpoint.prices.overrides for endpoint in endpoints)
    assert any(endpoint.prices.discount for endpoint in endpoints)
    assert any(endpoint.tag is None for endpoint in endpoints)
