"""A walk over all endpoints as people would write it with dlt: prices as SCD2 by model, uptime samples appended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import aiohttp
import dlt
import pyarrow as pa
from dlt.common import json
from dlt.sources.helpers import requests
from dlt.sources.helpers.transform import add_row_hash_to_table

from benchmarks.dlt_pipeline import SCD2
from benchmarks.tick import WIDTH

Json = dict[str, Any]


def fastest(addresses: Sequence[str], at: datetime) -> list[Any]:
    """The resources of a walk by aiohttp, as Arrow tables, which pass by dlt's normalizing row by row."""
    bodies = asyncio.run(_ask_all(addresses))
    prices = pa.Table.from_pylist([row for body in bodies for row in _prices(body)])
    uptimes = pa.Table.from_pylist([row for body in bodies for row in _uptimes(body, at)])
    by_hash: Any = {**SCD2, "row_version_column_name": "row_hash"}
    of_prices = dlt.resource(iter([prices]), name="prices", write_disposition=by_hash, merge_key="model")
    of_uptimes = dlt.resource(iter([uptimes]), name="uptimes", write_disposition="append")
    return [of_prices.add_map(add_row_hash_to_table("row_hash")), of_uptimes]


async def _ask_all(addresses: Sequence[str]) -> Sequence[Json]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WIDTH)) as session:

        async def ask(address: str) -> Json:
            async with session.get(address) as response:
                response.raise_for_status()
                body: Json = json.loadb(await response.read())
                return body

        return await asyncio.gather(*map(ask, addresses))


def by_its_docs(addresses: Sequence[str], at: datetime) -> list[Any]:
    """The resources of a walk by dlt's own HTTP client, in its own threads (`extract.workers` says how many)."""

    @dlt.resource(selected=False)
    def all_addresses() -> Iterator[str]:
        yield from addresses

    @dlt.transformer(data_from=all_addresses, selected=False, parallelized=True)
    def bodies(address: str) -> Any:
        return requests.get(address).json()

    @dlt.transformer(data_from=bodies, merge_key="model", write_disposition=SCD2)
    def prices(body: Json) -> Iterator[list[Json]]:
        yield _prices(body)

    @dlt.transformer(data_from=bodies, write_disposition="append")
    def uptimes(body: Json) -> Iterator[list[Json]]:
        yield _uptimes(body, at)

    return [prices, uptimes]


def stored(pipeline: dlt.Pipeline) -> tuple[int, int]:
    """How many prices hold in the database now, and how many uptime samples are in it."""
    with pipeline.sql_client() as client:
        [[prices]] = client.execute_sql("SELECT count(*) FROM prices WHERE _dlt_valid_to IS NULL") or []
        [[samples]] = client.execute_sql("SELECT count(*) FROM uptimes") or []
    return prices, samples


def _prices(body: Json) -> list[Json]:
    model = body["data"]["id"]
    return [{"model": model, "tag": item["tag"], **_flat(item["pricing"])} for item in body["data"]["endpoints"]]


def _flat(pricing: Json) -> Json:
    return {**pricing, "overrides": json.dumps(pricing.get("overrides"))}


def _uptimes(body: Json, at: datetime) -> list[Json]:
    data = body["data"]
    kept = ("tag", "status", "uptime_last_5m", "uptime_last_30m", "uptime_last_1d")
    return [{"model": data["id"], "observed_at": at, **{n: item[n] for n in kept}} for item in data["endpoints"]]
