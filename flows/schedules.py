"""What Prefect says of our deployments: which are paused, which runs are late, and what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from endpoint_history.errors import HistoryError
from endpoint_history.io.url import Address
from endpoint_history.monitoring.schedules import Schedules
from endpoint_history.settings import prefect_api_url

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

_FLOWS = ["backfill", "collect", "collect-shard", "maintain", "site"]
_MOST = 200


def read_schedules() -> Schedules | None:
    """Ask the server that PREFECT_API_URL or `.env` names, if any. Raises HistoryError where it can't be asked."""
    url = prefect_api_url()
    if not url:
        return None
    from flows.prefect_client import import_prefect, one_line  # noqa: PLC0415 - only if there is a server

    server = Address(url).location
    import_prefect()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.client.schemas import filters  # noqa: PLC0415

    ours = filters.FlowFilter(name=filters.FlowFilterName(any_=_FLOWS))
    is_late = filters.FlowRunFilterState(name=filters.FlowRunFilterStateName(any_=["Late"]))
    try:
        with get_client(sync_client=True) as client:
            flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=ours)}
            deployments = client.read_deployments(flow_filter=ours, limit=_MOST)
            late = client.read_flow_runs(
                flow_filter=ours, flow_run_filter=filters.FlowRunFilter(state=is_late), limit=_MOST
            )
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        raise HistoryError(f"Prefect's server {server} can't be asked: {one_line(error)}") from None
    named = {f"{flows[deployment.flow_id]}/{deployment.name}": deployment for deployment in deployments}
    paused = {name: found for name, found in sorted(named.items()) if _is_paused(found)}
    problems = [*(_paused_line(name, found) for name, found in paused.items()), *_late_lines(named, late)]
    return Schedules(server, len(deployments), list(paused), len(late), problems)


def _is_paused(deployment: DeploymentResponse) -> bool:
    schedules = deployment.schedules
    return bool(schedules) and (deployment.paused or not any(schedule.active for schedule in schedules))


def _paused_line(name: str, deployment: DeploymentResponse) -> str:
    if deployment.paused:
        return f"the deployment {name} is paused; resume it in Prefect's UI"
    schedule = deployment.schedules[0].id
    return f"the schedule of {name} is paused; to resume it: prefect deployment schedule resume {name} {schedule}"


def _late_lines(named: dict[str, DeploymentResponse], late: Sequence[FlowRun]) -> Iterator[str]:
    """One line for each deployment with late runs."""
    names = {deployment.id: name for name, deployment in named.items()}

    def name_of(run: FlowRun) -> str:
        return names.get(run.deployment_id, "") if run.deployment_id else ""

    for name, group in groupby(sorted(late, key=name_of), key=name_of):
        runs = list(group)
        due = min((run.expected_start_time for run in runs if run.expected_start_time), default=None)
        since = f", the first since {due:%Y-%m-%d %H:%M} UTC" if due else ""
        count = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
        yield f"{name or 'Prefect'}: {count} late{since}; {_remedy(name, named, runs)}"


def _remedy(name: str, named: dict[str, DeploymentResponse], runs: Sequence[FlowRun]) -> str:
    if not name:
        return f"no deployment has them; to remove the first: prefect flow-run delete {runs[0].id}"
    pool = named[name].work_pool_name
    start = f"prefect worker start --pool {pool}" if pool else "endpoint-history serve"
    return (
        f"start what runs them: {start}, or delete the deployment with its schedule: prefect deployment delete {name}"
    )


def keep_pause(deployment: str) -> None:
    """Pause each schedule of a paused deployment: a step of prefect.yaml, as deploying resumes the deployment."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        found = client.read_deployment_by_name(deployment)
        for schedule in found.schedules if found.paused else ():
            client.update_deployment_schedule(found.id, schedule.id, active=False)
