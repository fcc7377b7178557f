"""What dlt tells of a case, set up in each of the ways that its docs give for slowly changing dimensions (SCD2).

Each walk is one run of the pipeline, dated by when its looks were (`boundary_timestamp`). A 404 is ignored, as its own
REST client can be told to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from benchmarks.dlt_pipeline import SCD2, dlt_pipeline
from tests.support.correctness_cases import Answer, Case, Interval, Walk

_OK, _NOT_FOUND = 200, 404


@dataclass(frozen=True, slots=True)
class Way:
    """One way to set it up: by which key absent rows are told, and what an answer that can't be used does.

    Without a `merge_key` a row that is absent from a run is retired. With one, only where another row of its key came.
    `scoped`: rows are retired of the models that answered (`destination_scope`). `stops`: an error ends the run.
    """

    name: str
    merge_key: tuple[str, ...] = ()
    scoped: bool = False
    stops: bool = False


WAYS = [
    Way("whole extract, an error ends the run", stops=True),
    Way("whole extract, what failed is skipped"),
    Way("merge_key: the model", ("model",)),
    Way("merge_key: model and tag", ("model", "tag")),
    Way("destination_scope: the models that answered", scoped=True),
]


class _FailedError(Exception):
    """An answer that can't be used."""


def told_by_dlt(case: Case, way: Way, url: str, folder: Path) -> list[Interval]:
    """Run the pipeline for each walk, in the order in which they come, into an empty database; read what it made."""
    with dlt_pipeline(url, folder) as pipeline:
        for walk in case.walks:
            try:
                pipeline.run(_prices(walk, way))
            except PipelineStepFailed:
                if not way.stops:
                    raise
        with pipeline.sql_client() as client:
            rows = client.execute_sql("SELECT model, tag, prompt, _dlt_valid_from, _dlt_valid_to FROM prices")
    return [
        Interval(f"{model} {tag}", Decimal(prompt).scaleb(6), _time(since), _time(until) if until else None)
        for model, tag, prompt, since, until in rows or []
    ]


def _prices(walk: Walk, way: Way) -> Any:
    disposition: Any = {**SCD2, "boundary_timestamp": walk.observed_at}
    if way.scoped:
        answered = sorted(path for path, answer in walk.answers.items() if answer.status in {_OK, _NOT_FOUND})
        disposition["destination_scope"] = f"model IN ({', '.join(repr(path) for path in answered)})"
    rows = _rows(walk, way)
    return dlt.resource(rows, name="prices", write_disposition=disposition, merge_key=way.merge_key)


def _rows(walk: Walk, way: Way) -> Iterator[list[dict[str, Any]]]:
    for answer in walk.answers.values():
        try:
            yield _read(answer)
        except _FailedError:
            if way.stops:
                raise


def _read(answer: Answer) -> list[dict[str, Any]]:
    """A row for each endpoint of a body. Raises _FailedError for what is no body."""
    if answer.status == _NOT_FOUND:
        return []
    if answer.status != _OK:
        raise _FailedError(f"answered {answer.status}")
    data = json.loads(answer.body)["data"]
    return [{"model": data["id"], "tag": item["tag"], **item["pricing"]} for item in data["endpoints"]]


def _time(value: datetime | str) -> datetime:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
