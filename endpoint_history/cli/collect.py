"""The commands `endpoint-history collect`, `targets` and `serve`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from endpoint_history.terminal import show, show_note

if TYPE_CHECKING:
    from endpoint_history.collecting.run import Collected
    from endpoint_history.settings import Settings
    from endpoint_history.targets import TargetList

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Only these: author/slug pairs, or patterns such as 'anthropic/*'."),
]


def collect(
    targets: Targets = None,
    prefect: Annotated[
        bool, typer.Option(help="Run as a Prefect flow, or without Prefect, for example from cron.")
    ] = True,
    every: Annotated[
        int | None, typer.Option(help="Minutes between runs, if a scheduler repeats this command.", min=1, max=1440)
    ] = None,
) -> None:
    """Collect every target once: fetch, archive, store, report.

    With Prefect, the configured server shows the run. If none is configured, a temporary server is started, which takes
    some seconds. If that fails, the run goes on without Prefect, as with --no-prefect.
    """
    run = _collect_with_prefect if prefect else _collect_without_prefect
    raise typer.Exit(run(targets, every))


def _target_list(settings: Settings, targets: list[str] | None) -> TargetList:
    from endpoint_history.targets import TargetList

    return TargetList.given(targets) if targets else TargetList.configured(settings)


def _collect_without_prefect(targets: list[str] | None, every: int | None) -> int:
    from endpoint_history.collecting.run import collect_targets
    from endpoint_history.progress import shown_progress
    from endpoint_history.settings import Settings

    settings = Settings.read()
    cadence_seconds = every * 60 if every else None
    entries = _target_list(settings, targets)
    with shown_progress() as progress:
        work = collect_targets(settings, entries, cadence_seconds=cadence_seconds, progress=progress)
        collected = asyncio.run(work)
    return _show(collected)


def _collect_with_prefect(targets: list[str] | None, every: int | None) -> int:
    from endpoint_history.openrouter.reachability import check_reachable
    from endpoint_history.progress import shown_progress
    from endpoint_history.settings import Settings

    settings = Settings.read()
    _target_list(settings, targets)  # report mistakes before Prefect is started
    asyncio.run(check_reachable(settings, show_note))
    from flows.prefect_client import PrefectUnavailableError
    from flows.runner import run_collect

    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(shown_progress())

        def show(collected: Collected) -> int:
            stack.close()
            return _show(collected)

        try:
            return run_collect(targets, every, progress, show, show_note)
        except PrefectUnavailableError as error:
            show_note(f"Collecting without Prefect: {error}")
    return _collect_without_prefect(targets, every)


def _show(collected: Collected) -> int:
    from endpoint_history.reporting.collect_report import lines

    for line in lines(collected):
        show(line)
    return collected.exit_code


def list_targets(targets: Targets = None) -> None:
    """Show which author/slug pairs the target list matches today; patterns need OpenRouter's list of models."""
    from endpoint_history.collecting.run import resolve
    from endpoint_history.openrouter.client import Fetcher
    from endpoint_history.settings import Settings

    settings = Settings.read()
    entries = _target_list(settings, targets)

    async def resolved() -> list[str]:
        async with Fetcher(settings) as fetcher:
            return [str(target) for target in await resolve(fetcher, entries)]

    for target in asyncio.run(resolved()):
        show(target)


def serve(
    every: Annotated[int, typer.Option(help="Minutes between collects.", min=1, max=1440)] = 30,
) -> None:
    """Collect on a schedule in this one process, without a work pool, until stopped."""
    from endpoint_history.database.engine import opened
    from endpoint_history.settings import Settings

    settings = Settings.read()
    _target_list(settings, None)  # report mistakes before Prefect is started
    with opened(settings.database_url.get_secret_value()):
        pass
    from flows.serve import serve_collect

    serve_collect(every)
