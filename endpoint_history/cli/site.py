"""The command `endpoint-history site`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from endpoint_history.site import FOLDER
from endpoint_history.terminal import show


def site(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder, or any fsspec URL such as s3://bucket/folder.")
    ] = FOLDER,
) -> None:
    """Make a folder of web pages of all history: open its index.html, or put it on any web space.

    Only pages whose content differs are written again, and none is ever removed: links last.
    """
    from endpoint_history.progress import shown_progress
    from endpoint_history.settings import Settings
    from endpoint_history.site.publish import lines, publish

    with shown_progress("pages made") as progress:
        built = publish(Settings.read(), folder, datetime.now(UTC), progress)
    for line in lines(built):
        show(line)
