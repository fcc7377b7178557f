"""The tables. docs/schema.md is generated from their comments, which PostgreSQL also stores."""

from models.tables.columns import metadata
from models.tables.history import endpoints, listing_changes, pricing_snapshots
from models.tables.observed import models, observations, runs, target_models, targets
from models.tables.rollups import (
    catalogue_daily,
    closed_gaps,
    evidence_daily,
    incident_spans,
    uptime_daily,
    uptime_hourly,
)
from models.tables.samples import PARTITION_NAME, performance_samples, uptime_samples
from models.tables.upkeep import NO_HISTORY, alerts, drift, not_found, retention, stale_rollups

__all__ = [
    "NO_HISTORY",
    "PARTITION_NAME",
    "alerts",
    "catalogue_daily",
    "closed_gaps",
    "drift",
    "endpoints",
    "evidence_daily",
    "incident_spans",
    "listing_changes",
    "metadata",
    "models",
    "not_found",
    "observations",
    "performance_samples",
    "pricing_snapshots",
    "retention",
    "runs",
    "stale_rollups",
    "target_models",
    "targets",
    "uptime_daily",
    "uptime_hourly",
    "uptime_samples",
]
