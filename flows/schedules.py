"""What Prefect says of our deployments: which are paused, and which runs are late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.errors import HistoryError
from flows.prefect_run import one_line, set_defaults
from flows.settings import prefect_api_url

_FLOWS = ["backfill", "collect", "collect-shard", "maintain", "site"]
_MOST = 200


@dataclass(frozen=True, slots=True)
class Schedules:
    """`server` was asked: `paused` deployments or schedules and `late` runs, by name. None at all is `deployed` 0."""

    server: str
    deployed: int
    paused: Sequence[str]
    late: Sequence[str]


def read_schedules() -> Schedules | None:
    """Ask the server that PREFECT_API_URL or `.env` names, if any. Raises HistoryError where it can't be asked."""
    server = prefect_api_url()
    if not server:
        return None
    set_defaults()
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - importing Prefect takes a second
    from prefect.client.schemas import filters  # noqa: PLC0415

    ours = filters.FlowFilter(name=filters.FlowFilterName(any_=_FLOWS))
    is_late = filters.FlowRunFilterState(name=filters.FlowRunFilterStateName(any_=["Late"]))
    try:
        with get_client(sync_client=True) as client:
            deployments = client.read_deployments(flow_filter=ours, limit=_MOST)
            late = client.read_flow_runs(
                flow_filter=ours, flow_run_filter=filters.FlowRunFilter(state=is_late), limit=_MOST
            )
    except Exception as error:  # noqa: BLE001 - Prefect's client raises what its many parts raise
        raise HistoryError(f"Prefect's server {server} can't be asked: {one_line(error)}") from None
    paused = [d.name for d in deployments if d.paused or (d.schedules and not any(s.active for s in d.schedules))]
    return Schedules(server, len(deployments), sorted(paused), sorted(run.name for run in late))
