"""The Prefect flow `backfill`: older bodies from our archive, files, a git repository, or the Wayback Machine.

It tells nobody of the changes that it finds: they are of the past. Its own end is the one event.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
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
    """Load older observations; twice is as good as once.

    Args:
        source: Where the bodies are: archive (our own), files, git, or wayback.
        mode: load; dry-run, which tells what would be read and change, and writes nothing; with archive also
            rebuild, which builds all history anew from it and puts it in place at once, and verify, which builds it
            aside and fails where the database differs.
        paths: Files, folders and globs; with git, paths within the repository; with wayback, author/slug pairs; with
            archive, nothing.
        repository: The folder of the git repository; only with git.
        time: Where the time is, as for the command line: field, name:%Y%m%dT%H%M%SZ, path:dt=%Y-%m-%d/hour=%H,
            mtime (only files); commit, author, committer (only git).
        zone: The zone of times that name none, such as UTC or Europe/Berlin; not with archive or wayback.
        target: Whose bodies they are, as for the command line: body, author/slug, name:{author}__{slug}__,
            path:{author}/{slug}.json.
        since: Only what was seen from then on, such as 2026-05-16 or 2026-05-16T09:00Z.
        until: Only what was seen before then.
        only: Only these author/slug pairs, or patterns such as anthropic/*.
        base_url: Another archive of the kind of https://web.archive.org; only with wayback.
        everything: Read bundles again that were loaded whole; only with archive.
    """
    try:
        origin = Origin(
            source,
            tuple(paths or ()),
            repository=repository,
            time=time,
            zone=zone,
            target=target,
            base_url=base_url,
            everything=everything,
        )
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
    """Tell Prefect what came. The data is stored by now, so nothing that goes wrong here may fail the run."""
    headline = markdown_text(backfill_headline(ended))
    try:
        await acreate_markdown_artifact(backfill_markdown(ended), key="backfill-outcome", description=headline)
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        get_run_logger().warning("all is stored, but the artifact could not be made: %s", printable(str(error)))
    if job.mode in {"load", "rebuild"}:
        payload = {"source": job.origin.source, "mode": job.mode, **backfill_payload(ended)}
        emit_event(BACKFILLED_EVENT, resource={"prefect.resource.id": BACKFILL_RESOURCE}, payload=payload)
