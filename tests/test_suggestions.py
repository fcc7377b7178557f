from __future__ import annotations

import pytest

from endpoint_history.suggestions import closest

KNOWN = ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4", "deepseek/deepseek-r1:free"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("opnai/gpt-4o", "openai/gpt-4o"),
        ("OpenAI/GPT-4o", "openai/gpt-4o"),
        ("gpt-4o", "openai/gpt-4o"),
        ("claude/claude-sonnet-4", "anthropic/claude-sonnet-4"),
        ("deepseek/deepseek-r1", "deepseek/deepseek-r1:free"),
    ],
)
def test_the_closest_name_comes_first(name: str, first: str) -> None:
    assert closest(name, KNOWN)[0] == first


def test_a_name_like_no_other_gets_none() -> None:
    assert closest("zzzz/qqqq", KNOWN) == []
