"""How many random examples a property gets where one of them is expensive."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(*, quick: int, thorough: int, **other: Any) -> settings:
    """Decorate a property whose examples are expensive: how many it gets in each profile of conftest.py."""
    return settings(max_examples=thorough if settings.get_current_profile_name() == "thorough" else quick, **other)
