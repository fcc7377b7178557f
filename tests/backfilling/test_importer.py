"""Older bodies come in late, twice, in any order, beside what we saw ourselves; on both databases."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import strategies as st

from endpoint_history.backfilling import importer as importing
from endpoint_history.backfilling.importer import import_bodies, try_bodies
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.database.engine import opened, upgrade, writing
from endpoint_history.errors import ConfigurationError, HistoryError
from endpoint_history.loading.rebuild import verify
from endpoint_history.parsing.body import read_observation
from endpoint_history.refusals import Refused
from endpoint_history.sources.items import KnownBody, SavedBody
from endpoint_history.store.writer import store
from endpoint_history.targets import TargetList
from models.observation import Target
from models.tables import metadata, observations, runs
from tests.reference.store import history_of, stored_history, visible
from tests.support.collecting import archive
from tests.support.examples import examples
from tests.support.factories import MODEL, NOT_FOUND, a_body, a_failed_look, a_gone_look, a_look, an_endpoint, at

NOW = at(100_000)
OTHER = "acme/heron-2"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    upgrade(database_url)
    with opened(database_url) as opened_engine:
        yield opened_engine


def a_found(minute: float = 0, prompt: str = "0.1", origin: str = "a.json", **fields: Any) -> SavedBody:
    body = a_body(an_endpoint(prompt=prompt))
    given: dict[str, Any] = {"body": body, "observed_at": at(minute), "target": Target.parse(MODEL), "origin": origin}
    return SavedBody(**given | fields)


def load(engine: sa.Engine, *items: importing.Item, wanted: Wanted | None = None) -> BackfillResult:
    numbered = [(number, len(items), item) for number, item in enumerate(items, 1)]
    return import_bodies(engine, archive(), "files", numbered, wanted or Wanted(), at=NOW)


def rows(engine: sa.Engine, *columns: sa.Column[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(observations.c.observed_at))]


def test_a_body_comes_in_with_its_run_and_where_it_lay(engine: sa.Engine) -> None:
    result = load(engine, a_found(origin="saved.zip!a.json"))
    assert (result.new, result.read, result.changed) == (1, 1, 2)
    assert rows(engine, observations.c.origin, observations.c.archive_line) == [("saved.zip!a.json", 1)]
    with engine.connect() as connection:
        found = connection.execute(sa.select(runs.c.name, runs.c.kind, runs.c.source, runs.c.ok)).one()
    assert tuple(found) == (result.run, "backfill", "files", 1)


def test_every_body_from_outside_is_in_our_archive(engine: sa.Engine) -> None:
    found = a_found()
    load(engine, found)
    (name,) = archive().bundles()
    (kept,) = archive().load(name)
    assert (kept.body, kept.origin, kept.run.source) == (found.body, "a.json", "files")
    assert verify(engine, archive())[1] == []


def test_what_is_known_is_not_taken_again(engine: sa.Engine) -> None:
    load(engine, a_found())
    again = load(engine, a_found(origin="b.json"), a_found(origin="c.json"))
    assert (again.new, again.known, again.changed) == (0, 2, 0)
    assert len(archive().bundles()) == 1
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(runs)).scalar() == 1


def test_what_is_known_is_not_even_parsed(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    load(engine, a_found())
    monkeypatch.setattr(importing, "parse_or_fail", None)
    assert load(engine, a_found(), KnownBody("c.json")).known == 2


def test_what_a_source_gave_before_it_went_away_is_kept(engine: sa.Engine) -> None:
    def going_away() -> Iterator[tuple[int, int, SavedBody]]:
        yield 1, 2, a_found()
        raise HistoryError("it went away")

    with pytest.raises(HistoryError, match="it went away"):
        import_bodies(engine, archive(), "files", going_away(), Wanted(), at=NOW)
    assert load(engine, a_found()).known == 1


def test_what_comes_slowly_is_stored_as_it_comes(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_SECONDS", 0)
    stored: list[int] = []

    def slow() -> Iterator[tuple[int, int, SavedBody]]:
        for number in range(3):
            stored.append(len(rows(engine, observations.c.id)))
            yield number + 1, 3, a_found(number)

    import_bodies(engine, archive(), "files", slow(), Wanted(), at=NOW)
    assert stored == [0, 1, 2]


def test_large_bodies_are_not_held_many_at_once(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_BYTES", 2 * len(a_found().body))
    held: list[int] = []

    def items() -> Iterator[tuple[int, int, SavedBody]]:
        for number in range(1, 6):
            held.append(len(rows(engine, observations.c.id)))
            yield number, 5, a_found(number)

    import_bodies(engine, archive(), "files", items(), Wanted(), at=NOW)
    assert held == [0, 0, 2, 2, 4]


def test_progress_is_told_for_every_body(engine: sa.Engine) -> None:
    told: list[tuple[int, int]] = []
    items = [(number, 5, a_found(number)) for number in range(1, 6)]
    import_bodies(engine, archive(), "files", items, Wanted(), at=NOW, progress=lambda *place: told.append(place))
    assert told == [(number, 5) for number in range(1, 6)]


def test_without_a_target_the_body_names_its_own(engine: sa.Engine) -> None:
    free = a_found(5, target=None, body=a_body(an_endpoint(model_id=f"{MODEL}:free")))
    load(engine, a_found(target=None), free)
    with engine.connect() as connection:
        assert visible(connection)["targets"] == [
            '{"author": "acme", "slug": "swift-1"}',
            '{"author": "acme", "slug": "swift-1:free"}',
        ]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (a_found(body=b"<html>"), "a web page, not JSON"),
        (
            a_found(body=b'{"data": [{"id": "a/b"}]}'),
            "a list of models, not the endpoints of one: ask /api/v1/models/AUTHOR/SLUG/endpoints",
        ),
        (a_found(body=b'{"error": {"code": 404, "message": "x"}}'), "an error body under HTTP 200: x"),
        (a_found(observed_at=at(100_100)), "its time 2026-07-24 21:20:00 UTC is in the future"),
        (a_found(observed_at=at(-10_000_000)), "its time 2007-05-11 22:20:00 UTC is before OpenRouter existed"),
    ],
)
def test_what_cannot_be_booked_is_refused_and_the_rest_goes_on(
    engine: sa.Engine, found: SavedBody, reason: str
) -> None:
    result = load(engine, found, a_found(30, origin="good.json"))
    assert (result.refused.examples, result.refusals, result.new) == ([Refused("a.json", reason)], 1, 1)


def test_a_saved_404_is_evidence_as_our_own_is(engine: sa.Engine) -> None:
    gone = SavedBody(NOT_FOUND, at(1), Target.parse(MODEL), "gone.json", status=404)
    page = replace(gone, body=b"<html>", observed_at=at(2), origin="page.json")
    result = load(engine, a_found(0, target=Target.parse(MODEL)), gone, page)
    assert (result.new, [refused.origin for refused in result.refused.examples]) == (2, ["page.json"])
    assert sorted(rows(engine, observations.c.outcome)) == [("gone",), ("ok",)]
    assert load(engine, gone).known == 1
    assert verify(engine, archive())[1] == []


def test_only_what_is_wanted_is_taken(engine: sa.Engine) -> None:
    wanted = Wanted(since=at(10), until=at(30), targets=TargetList.given(["acme/swift-*"]))
    other = a_found(20, target=Target.parse(OTHER))
    result = load(engine, a_found(0), a_found(10), a_found(30), other, wanted=wanted)
    assert (result.new, result.unwanted) == (1, 3)


def test_an_end_before_its_beginning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not after since"):
        Wanted(since=at(10), until=at(10))


def test_two_sources_that_disagree_are_a_conflict_and_both_are_kept(engine: sa.Engine) -> None:
    load(engine, a_found(prompt="0.1"))
    result = load(engine, a_found(prompt="0.2", origin="b.json"))
    assert (result.new, result.conflicts) == (1, 1)
    assert sorted(rows(engine, observations.c.is_evidence)) == [(False,), (True,)]


def test_a_dry_run_tells_the_changes_and_writes_nothing(engine: sa.Engine) -> None:
    load(engine, a_found())
    with engine.connect() as connection:
        before = visible(connection)
    items = [(1, 2, a_found(30, prompt="0.2")), (2, 2, a_found(0))]
    result = try_bodies(engine, "files", items, Wanted(), at=NOW)
    assert (result.new, result.known, result.changed) == (1, 1, 1)
    assert result.summary
    assert [move.key for move in result.summary.price_moves] == ["prompt"]
    with engine.connect() as connection:
        assert visible(connection) == before
    assert len(archive().bundles()) == 1


def test_a_backfill_that_was_killed_goes_on_and_ends_the_same(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(items: Sequence[SavedBody]) -> Iterator[tuple[int, int, SavedBody | Refused]]:
        yield from ((number, 9, item) for number, item in enumerate(items, 1))
        raise KilledError

    monkeypatch.setattr(importing, "_BATCH", 2)
    found = [a_found(30 * n, prompt=f"0.{n // 2 + 1}") for n in range(9)]
    with pytest.raises(KilledError):
        import_bodies(engine, archive(), "files", killed(found[:5]), Wanted(), at=NOW)
    result = load(engine, *found)
    assert (result.new, result.known) == (5, 4)
    with engine.connect() as connection:
        assert stored_history(connection) == history_of([_look(item) for item in found])
    assert verify(engine, archive())[1] == []


def _look(found: SavedBody) -> Any:
    return replace(a_look(body=found.body), observed_at=found.observed_at)


LATE = st.lists(st.builds(a_found, st.integers(0, 120), prompt=st.sampled_from(["0.1", "0.2", "x"])), max_size=8)
LIVE = st.lists(
    st.one_of(
        st.builds(
            lambda minute, prompt: a_look(an_endpoint(prompt=prompt), minute=minute),
            st.integers(0, 120),
            st.sampled_from(["0.1", "0.3"]),
        ),
        st.builds(a_gone_look, st.integers(0, 120)),
        st.builds(a_failed_look, st.integers(0, 120)),
    ),
    max_size=6,
)


@examples(quick=15, thorough=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(late=LATE, live=LIVE, chance=st.randoms(use_true_random=False))
def test_imports_between_live_looks_leave_the_history_of_the_set(
    tmp_path: Path, late: list[SavedBody], live: list[Any], chance: random.Random
) -> None:
    url = f"sqlite:///{tmp_path}/any.db"
    upgrade(url)
    with opened(url) as engine:
        with writing(engine) as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        steps: list[Any] = [*late, *live]
        chance.shuffle(steps)
        for step in steps:
            if isinstance(step, SavedBody):
                load(engine, step)
            else:
                with writing(engine) as connection:
                    store(connection, [(step, read_observation(step))])
        with engine.connect() as connection:
            assert stored_history(connection) == history_of([*map(_look, late), *live])
