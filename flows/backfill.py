"""The Prefect flow `backfill`: older bodies from our archive, files, a git repository, or the Wayback Machine.

It sends no alerts about the changes that it finds, as they are in the past. It emits one event, at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed
from pydantic import Field

from endpoint_history.backfilling.job import Job, Mode, Origin, Rebuilt, SourceName, run_job
from endpoint_history.backfilling.result import BackfillResult
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.progress import Pace
from endpoint_history.reporting.backfill_report import backfill_headline, backfill_markdown, backfill_payload
from endpoint_history.reporting.collect_report import markdown_text
from endpoint_history.settings import Settings
from endpoint_history.targets import ENTRY_FORM
from endpoint_history.text import printable

BACKFILLED_EVENT = "endpoint-history.backfilled"
BACKFILL_RESOURCE = "endpoint-history.backfill"
Entry = Annotated[str, Field(pattern=ENTRY_FORM, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


@flow(name="backfill", flow_run_name="backfill {source}, {mode}", validate_parameters=True)
async def backfill(  # noqa: PLR0917 - a flow's parameters are its form
    source: Annotated[SourceName, Field(title="Source")],
    mode: Annotated[Mode, Field(title="Mode")] = "load",
    paths: Annotated[list[Text] | None, Field(title="Paths")] = None,
    repository: Annotated[Text | None, Field(title="Repository")] = None,
    time: Annotated[Text | None, Field(title="Time rule")] = None,
    zone: Annotated[Text | None, Field(title="Time zone")] = None,
    target: Annotated[Text | None, Field(title="Target rule")] = None,
    since: Annotated[Text | None, Field(title="Since")] = None,
    until: Annotated[Text | None, Field(title="Until")] = None,
    only: Annotated[list[Entry] | None, Field(title="Only these targets")] = None,
    base_url: Annotated[Text | None, Field(title="Address of the web archive")] = None,
    everything: Annotated[bool, Field(title="All bundles")] = False,
) -> State[Any]:
    """Load older observations; running it twice adds nothing.

    Args:
        source: Where the bodies are: archive (our own), files, git, or wayback.
        mode: load; dry-run, which reports what would change and writes nothing; only with archive, rebuild, which
            builds all history again and replaces it at once, and verify, which fails where the database differs.
        paths: Files, folders and globs; git: paths in the repository; wayback: author/slug pairs; archive: nothing.
        repository: The folder of the git repository; only with git.
        time: Where the time is, as on the command line: field, name:%Y%m%dT%H%M%SZ, mtime; commit (only git), ….
        zone: The zone of times without one, such as UTC or Europe/Berlin; not with archive or wayback.
        target: Where the target is, as on the command line: body, author/slug, path:{author}/{slug}.json, ….
        since: Only observations from then on, such as 2026-05-16 or 2026-05-16T09:00Z.
        until: Only observations before then.
        only: Only these author/slug pairs, or patterns such as anthropic/*.
        base_url: Another web archive like https://web.archive.org; only with wayback.
        everything: Also read bundles that are already loaded completely; only with archive.
    """
    given = tuple(paths or ())
    origin = partial(Origin, source, given, repository, time, zone, target, base_url, everything)
    return await _run(origin, mode, since, until, only)


async def _run(
    read_origin: Callable[[], Origin], mode: Mode, since: str | None, until: str | None, only: list[str] | None
) -> State[Any]:
    try:
        origin = read_origin()
        if "-" in origin.paths:
            raise ConfigurationError("- reads stdin, which a flow run does not have; name a file")
        job = Job.checked(origin, since=since, until=until, only=only, mode=mode)
        progress = Pace(get_run_logger().info, *job.counted)
        ended = await asyncio.to_thread(run_job, Settings.read(), job, at=datetime.now(UTC), progress=progress)
    except HistoryError as error:
        return Failed(message=str(error), data=error)
    await _publish(ended, job)
    failed = ended.exit_code == 1 or (isinstance(ended, Rebuilt) and ended.exit_code)
    message = backfill_headline(ended)
    return Failed(message=message) if failed else Completed(message=message)


async def _publish(ended: BackfillResult | Rebuilt, job: Job) -> None:
    """Make the artifact and the event. The data is stored by now, so no error here may fail the run."""
    headline = markdown_text(backfill_headline(ended))
    try:
        await acreate_markdown_artifact(backfill_markdown(ended), key="backfill-outcome", description=headline)
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        get_run_logger().warning("all is stored, but the artifact could not be made: %s", printable(str(error)))
    if job.mode in {"load", "rebuild"}:
        payload = {"source": job.origin.source, "mode": job.mode, **backfill_payload(ended)}
        emit_event(BACKFILLED_EVENT, resource={"prefect.resource.id": BACKFILL_RESOURCE}, payload=payload)
