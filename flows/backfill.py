"""The Prefect flow `backfill`: older bodies from files or a git repository, or from the Wayback Machine.

It tells nobody of the changes that it finds: they are of the past. Its own end is the one event.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed
from pydantic import Field

from flows.backfilling import Job, Origin, SourceName, run_job
from flows.errors import HistoryError
from flows.importing import Imported
from flows.report import imported_lines
from flows.settings import Settings
from flows.targets import ENTRY_FORM

BACKFILLED_EVENT = "endpoint-history.backfilled"
BACKFILL_RESOURCE = "endpoint-history.backfill"
Entry = Annotated[str, Field(pattern=ENTRY_FORM, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


@flow(name="backfill", flow_run_name="backfill {source}", validate_parameters=True)
async def backfill(  # noqa: PLR0917 - a flow's parameters are its form
    source: Annotated[SourceName, Field(title="Source")],
    paths: Annotated[list[Text], Field(min_length=1, title="Paths")],
    repository: Annotated[Text | None, Field(title="Repository")] = None,
    time: Annotated[Text | None, Field(title="Time rule")] = None,
    target: Annotated[Text | None, Field(title="Target rule")] = None,
    since: Annotated[Text | None, Field(title="Since")] = None,
    until: Annotated[Text | None, Field(title="Until")] = None,
    only: Annotated[list[Entry] | None, Field(title="Only these targets")] = None,
    dry_run: Annotated[bool, Field(title="Dry run")] = False,
) -> State[Any]:
    """Load older observations; twice is as good as once.

    Args:
        source: Where the bodies are: files, git, or wayback.
        paths: Files, folders and globs; with git, paths within the repository; with wayback, author/slug pairs.
        repository: The folder of the git repository; only with git.
        time: Where the time stands, as for the command line: field, name:%Y%m%dT%H%M%SZ, mtime, author, committer.
        target: Whose bodies they are, as for the command line: body, author/slug, name:{author}__{slug}__.
        since: Only what was seen from then on, such as 2026-05-16 or 2026-05-16T09:00Z.
        until: Only what was seen before then.
        only: Only these author/slug pairs, or patterns such as anthropic/*.
        dry_run: Tell what would be read and change, and write nothing.
    """
    try:
        origin = Origin(source, tuple(paths), repository=repository, time=time, target=target)
        job = Job.checked(origin, since=since, until=until, only=only)
        settings = Settings.read()
        imported = await asyncio.to_thread(run_job, settings, job, dry_run=dry_run, at=datetime.now(UTC))
    except HistoryError as error:
        return Failed(message=str(error), data=error)
    await _publish(imported, dry_run=dry_run)
    summary = f"{imported.read} read, {imported.new} new, {imported.known} known, {imported.refusals} refused"
    return Completed(message=f"dry run: {summary}" if dry_run else summary)


async def _publish(imported: Imported, *, dry_run: bool) -> None:
    told = "\n".join(f"    {line}" for line in imported_lines(imported, dry_run=dry_run))
    await acreate_markdown_artifact(f"# Backfill\n\n{told}", key="backfill-outcome")
    if not dry_run:
        counts = {"read": imported.read, "new": imported.new, "known": imported.known, "refused": imported.refusals}
        payload = {"run": imported.run, **counts, "changed": imported.changed}
        emit_event(BACKFILLED_EVENT, resource={"prefect.resource.id": BACKFILL_RESOURCE}, payload=payload)
