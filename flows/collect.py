"""The Prefect flow `collect`: the steps of flows.collection with a task around each shard.

The data never depends on Prefect: what a shard stored stays stored when Prefect's server is gone, and an artifact or an
event that can't be sent is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from flows.collection import Collected, Progress, ShardStep, Walk, collect_targets
from flows.errors import HistoryError
from flows.progress import Pace
from flows.report import headline, markdown, payload
from flows.settings import Settings
from flows.targets import ENTRY_FORM, TargetList
from flows.telling import events_of, told_until
from models.observation import Target

TargetEntry = Annotated[str, Field(pattern=ENTRY_FORM, max_length=200)]
CHANGED_EVENT = "endpoint-history.changed"
COLLECT_RESOURCE = "endpoint-history.collect"

# How a caller in the same process follows the run: a flow's parameters must be plain data.
watch_progress: ContextVar[Progress | None] = ContextVar("watch_progress", default=None)
watch_collected: ContextVar[Callable[[Collected], None] | None] = ContextVar("watch_collected", default=None)


def _run_name() -> str:
    at = flow_run.scheduled_start_time
    wanted = flow_run.parameters.get("targets")
    of = f"{len(wanted)} given" if wanted else "all"
    return f"collect {of} targets {at:%Y-%m-%d %H:%M}" if at else f"collect {of} targets"


@flow(name="collect", flow_run_name=_run_name, validate_parameters=True)
async def collect(
    targets: Annotated[list[TargetEntry] | None, Field(title="Targets")] = None,
    cadence_minutes: Annotated[int | None, Field(ge=1, le=1440, title="Cadence in minutes")] = None,
) -> State[Any]:
    """Collect the endpoints of every configured target once.

    Args:
        targets: Collect only these: author/slug pairs, or patterns such as anthropic/*. Empty: the targets file.
        cadence_minutes: How often the schedule runs this; kept with the run, so that gaps can be told.
    """
    if late := _minutes_too_late(cadence_minutes):
        return Completed(name="Skipped", message=f"skipped: due {late} minutes ago, so another is due by now")
    try:
        settings = Settings.read()
        entries = TargetList.given(targets) if targets else TargetList.read(settings.targets_file)
        since = await told_until(settings)
        collected = await collect_targets(
            settings,
            entries,
            cadence_seconds=cadence_minutes * 60 if cadence_minutes else None,
            progress=watch_progress.get() or Pace(get_run_logger().info, "targets asked"),
            step=_as_task,
        )
    except HistoryError as error:
        return Failed(message=str(error), data=error)
    if watcher := watch_collected.get():
        watcher(collected)
    await _publish(collected, settings.site_url)
    await _tell(settings, collected, since)
    message = headline(collected)
    return Completed(message=message) if collected.observed else Failed(message=message)


def _minutes_too_late(cadence_minutes: int | None) -> int:
    """After a pause Prefect runs all that was due meanwhile, one after the other: only the newest is of use."""
    due = flow_run.scheduled_start_time
    if due is None or cadence_minutes is None:
        return 0
    late = int((datetime.now(UTC) - due).total_seconds() // 60)
    return late if late >= cadence_minutes else 0


def _as_task(walk: Walk) -> ShardStep:
    @task(name="collect shard", task_run_name="{first} and {others} more", cache_policy=NO_CACHE)
    async def collect_shard(targets: list[str], first: str, others: int) -> None:  # noqa: ARG001 - for the name
        await walk.collect_shard([Target.parse(target) for target in targets])

    async def step(targets: Sequence[Target]) -> None:
        await collect_shard([str(target) for target in targets], str(targets[0]), len(targets) - 1)

    return step


async def _publish(collected: Collected, site_url: str | None) -> None:
    """Tell Prefect what came. The data is stored by now, so nothing that goes wrong here may fail the run."""
    try:
        told = markdown(collected, site_url)
        await acreate_markdown_artifact(told, key="collect-outcome", description=headline(collected))
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        get_run_logger().warning("all is stored, but the artifact could not be made: %s", error)
    if collected.outcome.changed:
        emit_event(CHANGED_EVENT, resource={"prefect.resource.id": COLLECT_RESOURCE}, payload=payload(collected))


async def _tell(settings: Settings, collected: Collected, since: datetime | None) -> None:
    """Emit the events of what changed and alerts since then."""
    try:
        for event in await events_of(settings, collected, since):
            related = [dict(resource) for resource in event.related]
            emit_event(event.name, dict(event.resource), related=related, payload=dict(event.payload), id=event.id)
    except Exception as error:  # noqa: BLE001 - the data is stored by now, and no alert may fail its run
        get_run_logger().warning("all is stored, but nobody was told of alerts: %s", error)
