"""The rows of a model's change history."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from endpoint_history.site.data.changes import EndpointChange, Line, schedule_days
from endpoint_history.site.views.model import folded
from tests.support.factories import at

MODEL: Any = SimpleNamespace(id="acme/one", row={"first_seen_at": at(0)})
LINE = Line("Prompt", "1.00", "0.50")


def endpoint(number: int) -> Any:
    row = {"id": number, "provider_name": "North", "route": "north", "ordinal": number, "variant": "acme/one"}
    return SimpleNamespace(row=row)


def change(day: int, hour: int, kind: str = "scheduled", number: int = 0) -> EndpointChange:
    midnight = at(0).replace(hour=0, minute=0)
    return EndpointChange(midnight + timedelta(days=day, hours=hour), kind, MODEL, endpoint(number), (LINE,))


def test_the_scheduled_changes_of_an_endpoint_on_one_day_share_a_row() -> None:
    changes = [change(2, 6), change(1, 22), change(1, 14, "repriced"), change(1, 6), change(1, 6, number=1)]
    rows = list(folded(changes))
    assert [(row["kind"], row["route"], row["lines"][0]["after"]) for row in rows] == [
        ("scheduled", "north", "0.50"),
        ("scheduled", "north", "changed 2 times by schedule"),
        ("repriced", "north", "0.50"),
        ("scheduled", "north #2", "0.50"),
    ]


def test_the_days_of_a_schedule_are_utc_days() -> None:
    assert len(list(folded([change(2, 0), change(1, 23)]))) == 2


def test_the_days_that_are_folded_name_every_change_of_theirs() -> None:
    changes = [change(2, 6), change(1, 22), change(1, 14, "repriced"), change(1, 6)]
    days = {str(day): [one.at.hour for one in found] for (_, day), found in schedule_days(changes).items()}
    assert list(days.values()) == [[6], [22, 6]]
