"""What a backfill says at its end: what could not be read, by reason, and how bodies were dated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from endpoint_history.backfilling.importer import import_bodies, try_bodies
from endpoint_history.backfilling.replay import replay
from endpoint_history.backfilling.result import BackfillResult, Wanted
from endpoint_history.database.engine import downgrade, opened, upgrade
from endpoint_history.refusals import Refused
from endpoint_history.reporting.backfill_report import (
    backfill_headline,
    backfill_lines,
    backfill_markdown,
    backfill_payload,
)
from endpoint_history.sources.items import SavedBody
from models.observation import Target
from tests.support.collecting import archive
from tests.support.factories import MODEL, a_body, an_endpoint, at

NOW = at(100_000)
URL = "sqlite:///history.db"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.chdir(tmp_path)
    upgrade(URL)
    with opened(URL) as opened_engine:
        yield opened_engine


def a_found(minute: float, *prompts: str, target: str | None = MODEL, dated_by: str = "name") -> SavedBody:
    endpoints = [an_endpoint(f"tag-{number}", prompt=prompt) for number, prompt in enumerate(prompts)]
    given = None if target is None else Target.parse(target)
    return SavedBody(a_body(*endpoints), at(minute), given, f"saved/{minute:g}.json", dated_by=dated_by)


def load(engine: sa.Engine, *items: SavedBody | Refused, dry: bool = False) -> BackfillResult:
    numbered = [(number, len(items), item) for number, item in enumerate(items, 1)]
    if dry:
        return try_bodies(engine, "files", numbered, Wanted(), at=NOW)
    return import_bodies(engine, archive(), "files", numbered, Wanted(), at=NOW)


@pytest.mark.parametrize("dry", [True, False])
def test_endpoints_that_cannot_be_read_are_reported_by_reason_and_exit_with_three(engine: sa.Engine, dry: bool) -> None:
    bodies = [a_found(minute, "1", "free", "n/a") for minute in (1, 2)]
    result = load(engine, *bodies, a_found(3, "1"), dry=dry)
    said = "\n".join(backfill_lines(result))
    assert "Unread     4 endpoints could not be read, of 2 bodies; the others in them were\n" in said
    assert "  4 × prompt is not a number: …; first in:\n    saved/1.json endpoint 2: prompt is not a number: " in said
    assert "; 4 endpoints could not be read (4 × prompt is not a number: …)" in backfill_headline(result)
    assert backfill_payload(result)["unread"] == 4
    assert result.exit_code == 3


def test_a_body_that_is_read_whole_leaves_no_word_of_it(engine: sa.Engine) -> None:
    result = load(engine, a_found(1, "1"))
    assert "Unread" not in "\n".join(backfill_lines(result))
    assert (result.exit_code, backfill_headline(result)) == (0, "1 read, 1 new, 0 known, 0 refused")


def test_what_is_not_known_yet_is_shown_and_is_no_failure(engine: sa.Engine) -> None:
    body = a_body(an_endpoint(moon_phase="full"))
    result = load(engine, replace(a_found(1, "1"), body=body))
    assert "Unknown    1 value or field, kept but not understood" in "\n".join(backfill_lines(result))
    assert "  saved/1.json: endpoint.moon_phase" in list(backfill_lines(result))
    assert result.exit_code == 0


def test_the_archive_reports_what_it_could_not_read_of_its_bodies(engine: sa.Engine) -> None:
    load(engine, a_found(1, "1", "free"))
    downgrade(URL, "base")
    upgrade(URL)
    result = replay(engine, archive(), Wanted(), everything=False)
    assert "1 endpoint could not be read, of 1 body" in "\n".join(backfill_lines(result))
    assert result.exit_code == 3


def test_a_thousand_refusals_of_one_kind_take_a_few_lines(engine: sa.Engine) -> None:
    refused = [Refused(f"a/{number}.json", f"not JSON: not UTF-8 at byte {number}") for number in range(1000)]
    result = load(engine, *refused, Refused("b.json", "a web page"))
    lines = list(backfill_lines(result))
    assert lines[1:7] == [
        "Refused    1001",
        "  1000 × not JSON: not UTF-8 at byte …; first in:",
        "    a/0.json: not JSON: not UTF-8 at byte 0",
        "    a/1.json: not JSON: not UTF-8 at byte 1",
        "    a/2.json: not JSON: not UTF-8 at byte 2",
        "  b.json: a web page",
    ]
    assert backfill_headline(result).endswith("1001 refused (1000 × not JSON: not UTF-8 at byte …, 1 × a web page)")


def test_reasons_of_strangers_are_no_markup_in_the_artifact(engine: sa.Engine) -> None:
    reason = "an API error body: <img src=x> [click](http://evil.example) `"
    told = backfill_markdown(load(engine, Refused("a.json", reason), Refused("b.json", f"{reason}\n# b")))
    headline, empty, *details = told.split("\n")
    assert "1 × an API error body: \\<img src=x\\> \\[click\\](http\uff1a//evil\u2024example) \\`" in headline
    assert (empty, [line for line in details if not line.startswith("    ")]) == ("", [])
    assert f"      a.json: {reason}" in details


def test_a_dry_run_says_how_each_body_was_dated_and_from_when_to_when(engine: sa.Engine) -> None:
    items = [a_found(minute, "1", dated_by="field observed_at") for minute in (1, 2)]
    result = load(engine, *items, a_found(9, "1", dated_by="modified"), dry=True)
    lines = list(backfill_lines(result))
    assert 'Dated by   the field "observed_at", in 2 bodies' in lines
    assert any(
        line.startswith("Dated by   the file's modification time: a guess") and line.endswith("in 1 body")
        for line in lines
    )
    assert "Times      from 2026-05-16 09:01:00 to 2026-05-16 09:09:00 UTC" in lines


def test_targets_by_the_body_s_own_id_are_counted(engine: sa.Engine) -> None:
    named, own = a_found(1, "1"), a_found(2, "1", target=None)
    assert not any(line.startswith("Targets") for line in backfill_lines(load(engine, named, dry=True)))
    (said,) = [line for line in backfill_lines(load(engine, named, own, dry=True)) if line.startswith("Targets")]
    assert said == "Targets    1; 1 body by the model's own id, a guess: --target says what was asked for"


def test_a_dry_run_counts_conflicts_and_says_no_target_is_itself(engine: sa.Engine) -> None:
    result = load(engine, a_found(1, "1"), a_found(1, "2"), dry=True)
    said = "\n".join(backfill_lines(result))
    assert result.conflicts == 2
    assert "Conflicts  2 looks that another of the same second contradicts: is the time by --time too coarse" in said
    assert "counted once" not in said
    own = load(engine, a_found(1, "1", target=None), a_found(1, "2", target=None), dry=True)
    assert "contradicts: without --target, all paths of a model count as one" in "\n".join(backfill_lines(own))
