"""The Prefect flow `site`: endpoint_history.site.publish on a schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from endpoint_history.errors import HistoryError
from endpoint_history.settings import Settings
from endpoint_history.site import FOLDER
from endpoint_history.site.publish import lines, publish


@flow(name="site", validate_parameters=True)
async def site(folder: str = FOLDER) -> State[Any]:
    """Make the web pages of all history anew where they differ.

    Args:
        folder: Where the pages lie, or will: a folder, relative to where the deployment runs, or any fsspec URL.
    """
    try:
        built = await asyncio.to_thread(publish, Settings.read(), folder, datetime.now(UTC), lambda *_: None)
        return Completed(message="; ".join(" ".join(line.split()) for line in lines(built)))
    except HistoryError as error:
        return Failed(message=str(error), data=error)
