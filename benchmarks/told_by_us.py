"""What this project tells of a case: its walks collected over HTTP, the late ones loaded from saved files."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from endpoint_history.backfilling.job import Job, Origin, run_job
from endpoint_history.collecting.run import collect_targets
from endpoint_history.database.engine import opened
from endpoint_history.settings import Settings
from endpoint_history.targets import TargetList
from models.views import price_intervals
from simulator import faults
from simulator.server import Simulator, serving
from tests.support.correctness_cases import Answer, Case, Interval, Walk

_TIME = "name:%Y%m%dT%H%M%SZ"
_TARGET = "name:{author}__{slug}__"


def keep(case: Case, database_url: str, folder: Path) -> None:
    """Let all walks of the case come, in its order, into this database, which has the schema and nothing in it."""
    simulator = Simulator()
    with serving(simulator) as base_url:
        settings = Settings(
            database_url=SecretStr(database_url),
            archive_url=SecretStr(str(folder / "archive")),
            openrouter_base_url=base_url,
            requests_per_second=0,
        )
        for walk in case.walks:
            if walk.late:
                _load(settings, walk, folder / f"saved-{walk.minute}")
            else:
                simulator.answers = {path: _handler(answer) for path, answer in walk.answers.items()}
                _collect(settings, walk)


def told_by_us(database_url: str) -> list[Interval]:
    """The prices of all endpoints that the database tells."""
    p = price_intervals.c
    query = sa.select(p.model, p.route, p.prompt_usd, p.valid_from, p.valid_to)
    with opened(database_url) as engine, engine.connect() as connection:
        return [
            Interval(f"{model} {route}", usd.scaleb(6), since, until)
            for model, route, usd, since, until in connection.execute(query)
        ]


def _handler(answer: Answer) -> faults.Handler:
    return faults.reset if answer.status is None else faults.answer(answer.status, answer.body)


def _collect(settings: Settings, walk: Walk) -> None:
    targets = TargetList.given(list(walk.answers))
    asyncio.run(collect_targets(settings, targets, clock=lambda: walk.observed_at))


def _load(settings: Settings, walk: Walk, folder: Path) -> None:
    folder.mkdir()
    for path, answer in walk.answers.items():
        name = f"{path.replace('/', '__')}__{walk.observed_at:%Y%m%dT%H%M%SZ}.json"
        (folder / name).write_bytes(answer.body)
    job = Job.checked(Origin("files", (str(folder),), time=_TIME, target=_TARGET))
    run_job(settings, job, at=walk.observed_at + timedelta(days=1))
