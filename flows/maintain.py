"""The Prefect flow `maintain`: flows.maintenance on a schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.errors import HistoryError
from flows.maintenance import maintain as maintain_history
from flows.settings import Settings


@flow(name="maintain", validate_parameters=True)
async def maintain() -> State[Any]:
    """Roll up what was left, make the months ahead, thin raw samples where RETENTION_DAYS asks for it."""
    try:
        settings = Settings.read()
        return Completed(message=await asyncio.to_thread(maintain_history, settings, datetime.now(UTC)))
    except HistoryError as error:
        return Failed(message=str(error), data=error)
