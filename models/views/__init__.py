"""The views for analysts, as tables to select from. docs/schema.md is generated from their comments."""

from typing import Final

import sqlalchemy as sa

from models.views import conditions, coverage, listings, low_uptime, lowest_price, prices, repricing, uptime
from models.views.definition import View
from models.views.dialects import POSTGRESQL, SQLITE

_DEFINITIONS: Final = (  # in the order of creation: a view may read an earlier one
    prices.current_prices,
    prices.price_intervals,
    conditions.conditional_prices,
    repricing.price_changes,
    lowest_price.model_price_changes,
    listings.endpoint_intervals,
    listings.endpoint_changes,
    coverage.evidence,
    uptime.daily_uptime,
    uptime.hourly_uptime,
    low_uptime.incidents,
    coverage.observation_gaps,
    coverage.daily_coverage,
)


def definitions(dialect: str) -> list[View]:
    """Return all views for a database, named as SQLAlchemy names it, in the order of creation."""
    words = SQLITE if dialect == "sqlite" else POSTGRESQL
    return [define(words) for define in _DEFINITIONS]


views = sa.MetaData()
for _view in definitions("sqlite"):
    _view.table(views)

current_prices = views.tables["current_prices"]
price_intervals = views.tables["price_intervals"]
conditional_prices = views.tables["conditional_prices"]
price_changes = views.tables["price_changes"]
model_price_changes = views.tables["model_price_changes"]
endpoint_intervals = views.tables["endpoint_intervals"]
endpoint_changes = views.tables["endpoint_changes"]
evidence = views.tables["evidence"]
daily_uptime = views.tables["daily_uptime"]
hourly_uptime = views.tables["hourly_uptime"]
incidents = views.tables["incidents"]
observation_gaps = views.tables["observation_gaps"]
daily_coverage = views.tables["daily_coverage"]

__all__ = [
    "conditional_prices",
    "current_prices",
    "daily_coverage",
    "daily_uptime",
    "definitions",
    "endpoint_changes",
    "endpoint_intervals",
    "evidence",
    "hourly_uptime",
    "incidents",
    "model_price_changes",
    "observation_gaps",
    "price_changes",
    "price_intervals",
    "views",
]
