"""The Prefect flows `collect` and `collect-shard`: the steps of `collecting.run`, with a task for each batch.

Of a large target list, `collect` hands shards to other workers, which each run `collect-shard`. The data never depends
on Prefect: what a batch stored stays stored when Prefect's server is gone, and an artifact or an event that can't be
sent is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from endpoint_history.alerts.collect_events import CHANGED, COLLECT_RESOURCE, CollectEvent
from endpoint_history.alerts.outbox import deliver_waiting, record_alerts
from endpoint_history.collecting.batch import BatchStep, LiveRun, Progress
from endpoint_history.collecting.run import Collected, collect_targets
from endpoint_history.collecting.run import collect_shard as collect_targets_of_shard
from endpoint_history.collecting.shards import collect_sharded
from endpoint_history.database.engine import opened, translated_errors, writing
from endpoint_history.errors import HistoryError
from endpoint_history.openrouter.client import now
from endpoint_history.openrouter.rate_limit import Politeness
from endpoint_history.progress import Pace
from endpoint_history.reporting.collect_report import failure, headline, markdown, payload
from endpoint_history.settings import Settings
from endpoint_history.targets import ENTRY_FORM, TargetList
from endpoint_history.text import printable
from flows.alert_receiver import read_receiver, send_message
from flows.notify import events_of, last_collect_end
from flows.prefect_client import one_line
from flows.workers import SharedRate, Workers, limit_requests
from models.observation import Run, Target

TargetEntry = Annotated[str, Field(pattern=ENTRY_FORM, max_length=200)]
Cadence = Annotated[int | None, Field(ge=1, le=1440, title="Cadence in minutes")]
MOST_SHARDS = 64
_SHARD_NAME = "^[0-9]{8}T[0-9]{6}Z-collect-[0-9a-z]+-[0-9]+-[0-9a-z]+$"
_PATIENCE_MINUTES = 60  # for the shards of a collect that no schedule repeats

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
    cadence_minutes: Cadence = None,
    shards: Annotated[int | None, Field(ge=1, le=MOST_SHARDS, title="Shards")] = None,
) -> State[Any]:
    """Collect the endpoints of every configured target once.

    Args:
        targets: Collect only these: author/slug pairs, or patterns such as anthropic/*. Empty: the targets file.
        cadence_minutes: How often the schedule runs this; kept with the run, so that gaps can be found.
        shards: Hand so many parts of the targets to the workers of the pool. Empty: this run asks for all itself.
    """
    if late := _minutes_too_late(cadence_minutes):
        return Completed(name="Skipped", message=f"skipped: due {late} minutes ago, so another is due by now")
    try:
        settings = Settings.read()
        entries = TargetList.given(targets) if targets else TargetList.configured(settings)
        since = await last_collect_end(settings)
        if shards:
            collected = await _by_workers(settings, entries, cadence_minutes, shards)
        else:
            cadence_seconds = cadence_minutes * 60 if cadence_minutes else None
            collected = await collect_targets(
                settings, entries, cadence_seconds=cadence_seconds, progress=_progress(), step=_as_task
            )
    except HistoryError as error:
        return Failed(message=str(error), data=error)
    if watcher := watch_collected.get():
        watcher(collected)
    for missing in collected.not_found:
        get_run_logger().warning("not found (never seen): %s", printable(str(missing)))
    await _publish(collected, settings.site_url)
    await _tell(settings, collected, since)
    return _ended(collected)


@flow(name="collect-shard", flow_run_name="{run}", validate_parameters=True)
async def collect_shard(
    targets: Annotated[list[TargetEntry], Field(title="Targets")],
    run: Annotated[str, Field(pattern=_SHARD_NAME, title="Run")],
    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS, title="Shards")],
    cadence_minutes: Cadence = None,
) -> State[Any]:
    """Collect one shard, for the run of `collect` that handed it out.

    Args:
        targets: Collect these author/slug pairs.
        run: The name of this run in the history: that of the collect, the number of the shard, and a token.
        shards: How many there are: each gets its part of the requests per second.
        cadence_minutes: How often the schedule runs the collect; kept with the run, so that gaps can be found.
    """
    if late := _minutes_too_late(cadence_minutes):
        return Completed(name="Skipped", message=f"skipped: due {late} minutes ago, so another is due by now")
    try:
        settings = Settings.read()
        per_second, most = settings.requests_per_second, settings.max_connections
        rate = SharedRate(per_second, shards) if per_second else None
        collected = await collect_targets_of_shard(
            settings,
            [Target.parse(target) for target in targets],
            Run(run, "collect", "live", cadence_minutes * 60 if cadence_minutes else None),
            politeness=Politeness(0, most, rate=rate),
            progress=_progress(),
            step=_as_task,
        )
    except HistoryError as error:
        return Failed(message=str(error), data=error)
    return _ended(collected)


async def _by_workers(settings: Settings, entries: TargetList, cadence_minutes: int | None, shards: int) -> Collected:
    """Have the workers of the pool collect until the next collect is due."""
    until = datetime.now(UTC) + timedelta(minutes=cadence_minutes or _PATIENCE_MINUTES)
    if settings.requests_per_second:
        await limit_requests(settings.requests_per_second, shards)
    return await collect_sharded(settings, entries, shards, Workers(cadence_minutes, until).hand_out)


def _progress() -> Progress:
    return watch_progress.get() or Pace(get_run_logger().info, "targets asked")


def _ended(collected: Collected) -> State[Any]:
    if collected.exit_code == 1:
        return Failed(message=failure(collected))
    return Completed(message=headline(collected))


def _minutes_too_late(cadence_minutes: int | None) -> int:
    """After a pause Prefect runs all that was due meanwhile, one after the other: only the newest is of use."""
    due = flow_run.scheduled_start_time
    if due is None or cadence_minutes is None:
        return 0
    late = int((datetime.now(UTC) - due).total_seconds() // 60)
    return late if late >= cadence_minutes else 0


def _as_task(live: LiveRun) -> BatchStep:
    @task(name="collect batch", task_run_name="{first} and {others} more", cache_policy=NO_CACHE)
    async def collect_batch(targets: list[str], first: str, others: int) -> None:  # noqa: ARG001 - for the name
        await live.collect_batch([Target.parse(target) for target in targets])

    async def step(targets: Sequence[Target]) -> None:
        await collect_batch([str(target) for target in targets], str(targets[0]), len(targets) - 1)

    return step


async def _publish(collected: Collected, site_url: str | None) -> None:
    """Make the artifact and the event. The data is stored by now, so no error here may fail the run."""
    try:
        told = markdown(collected, site_url)
        await acreate_markdown_artifact(told, key="collect-outcome", description=headline(collected))
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        get_run_logger().warning("all is stored, but the artifact could not be made: %s", printable(str(error)))
    if collected.summary.changed:
        emit_event(CHANGED, resource={"prefect.resource.id": COLLECT_RESOURCE}, payload=payload(collected))


async def _tell(settings: Settings, collected: Collected, since: datetime | None) -> None:
    """Send the alerts since then and earlier ones that wait, and emit the events of all changes."""
    try:
        events = await events_of(settings, collected, since)
        await _alert(settings, events)
        for event in events:
            related = [dict(resource) for resource in event.related]
            emit_event(event.name, dict(event.resource), related=related, payload=dict(event.payload), id=event.id)
    except Exception as error:  # noqa: BLE001 - the data is stored by now, and no alert may fail its run
        get_run_logger().warning("all is stored, but the alerts could not be sent: %s", printable(str(error)))


async def _alert(settings: Settings, events: Sequence[CollectEvent]) -> None:
    """Record the alerts, then send them. Without a receiver, neither happens."""
    try:
        receiver = await read_receiver()
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises: the alerts wait
        get_run_logger().warning("the receiver of alerts can't be asked for, they wait: %s", one_line(error))
        receiver = ""
    if receiver is None:
        return
    with opened(settings.database_url.get_secret_value()) as engine, translated_errors(engine):
        with writing(engine) as connection:
            record_alerts(connection, events, now())
        if receiver and (waiting := await deliver_waiting(engine, partial(send_message, receiver), now)):
            for problem in waiting.problems:
                get_run_logger().warning("%s", problem)
