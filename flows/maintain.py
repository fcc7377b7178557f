"""The Prefect flow `maintain`: endpoint_history.rollups.maintenance on a schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from endpoint_history.errors import HistoryError
from endpoint_history.rollups.maintenance import maintain as maintain_history
from endpoint_history.settings import Settings


@flow(name="maintain", validate_parameters=True)
async def maintain() -> State[Any]:
    """Roll up what was left, make the months ahead, thin raw samples where RETENTION_DAYS asks for it."""
    try:
        settings = Settings.read()
        return Completed(message=await asyncio.to_thread(maintain_history, settings, datetime.now(UTC)))
    except HistoryError as error:
        return Failed(message=str(error), data=error)
