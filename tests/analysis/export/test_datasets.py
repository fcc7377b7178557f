"""The list of what is exported, and the names that stand for surrogate ids."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from endpoint_history.analysis.export.datasets import DATASETS, Dataset, lay_out
from endpoint_history.analysis.export.months import Months, month_of, next_month
from endpoint_history.errors import ConfigurationError
from models.tables import metadata
from models.views import views

# What another has with names beside, or the other way round; then what is no history.
LEFT_OUT = {
    *("uptime_daily", "hourly_uptime", "incident_spans", "evidence", "evidence_daily", "closed_gaps"),
    *("stale_rollups", "alerts", "not_found"),
}


def names(dataset: Dataset) -> list[str]:
    layout = lay_out(dataset, "sqlite")
    return [column.name for column in (*layout.owner, *layout.columns)]


def test_every_table_and_view_is_exported_or_left_out_by_name() -> None:
    exported = [dataset.name for dataset in DATASETS]
    assert sorted([*exported, *LEFT_OUT]) == sorted([*metadata.tables, *views.tables])


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_column_has_a_name_of_its_own_and_a_comment(dataset: Dataset, dialect: str) -> None:
    layout = lay_out(dataset, dialect)
    columns = [*layout.owner, *layout.columns]
    assert len({column.name for column in columns}) == len(columns)
    assert [column.name for column in columns if not column.comment] == []


def test_what_an_id_points_to_is_named_alike_everywhere() -> None:
    by_name = {dataset.name: names(dataset) for dataset in DATASETS}
    assert by_name["uptime_samples"][:5] == ["model", "variant", "route", "ordinal", "observed_at"]
    assert by_name["endpoints"][:4] == ["model", "variant", "route", "ordinal"]
    assert by_name["models"][0] == "model"
    assert by_name["target_models"] == ["author", "slug", "model"]
    assert by_name["observations"][:4] == ["author", "slug", "run", "observed_at"]
    assert by_name["pricing_snapshots"][:8] == [
        *("model", "variant", "route", "ordinal", "observed_at", "author", "slug", "listed")
    ]


def test_a_view_loses_its_ids_and_what_tells_of_now() -> None:
    view = sa.Table(
        "v", sa.MetaData(), *(sa.Column(name, sa.Integer) for name in ("ordinal", "old_model_id", "id", "age"))
    )
    assert names(Dataset(view, without=("age",))) == ["ordinal"]


def test_months_follow_each_other_over_the_end_of_a_year() -> None:
    assert next_month("2026-12") == "2027-01"
    assert list(Months().within("2025-11", "2026-02")) == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert list(Months("2025-12", "2026-01").within("2025-11", "2026-02")) == ["2025-12"]


def test_the_first_second_of_a_month_is_in_it() -> None:
    first = 1_780_272_000  # 2026-06-01T00:00:00Z
    assert [month_of(moment) for moment in (first - 1, first, "2026-06-01")] == ["2026-05", "2026-06", "2026-06"]


@pytest.mark.parametrize("text", ["2026-13", "2026-5", "May", "2026-05-01", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a month such as 2026-05$"):
        Months(since=text)
