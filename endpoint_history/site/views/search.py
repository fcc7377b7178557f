"""The names that the search finds, as a script: a page that lies on a disk may read no other file. Pure."""

from __future__ import annotations

import json

from endpoint_history.site.data.summary import Overview
from endpoint_history.site.output.slugs import file_name


def search_script(overview: Overview) -> str:
    """Sets a global list of [kind, what is shown, what else is searched, file]."""
    models = [
        ["model", model.id, model.row["name"], f"models/{file_name(model.id)}.html"]
        for model in overview.history.models
    ]
    providers = [["provider", name, "", f"providers/{file_name(name)}.html"] for name in sorted(overview.of_provider)]
    # ASCII alone, so that no line separator of Unicode ends a line of script.
    return f"globalThis.HISTORY_INDEX = {json.dumps([*models, *providers], separators=(',', ':'))};\n"
