"""The rules of alerts.toml: what may stand there, and how what may not is told."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from endpoint_history.alerts.rules import Rule, read_rules
from endpoint_history.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
FILE = Path("alerts.toml")


def read(text: str) -> tuple[Rule, ...]:
    FILE.write_text(text)
    return read_rules(FILE)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read(text)
    return str(refused.value)


def a_rule(**fields: object) -> str:
    given = {"name": "'x'", "on": "'price'"} | fields
    return "[[rule]]\n" + "\n".join(f"{key} = {value}" for key, value in given.items())


def test_no_file_means_no_rules() -> None:
    assert read_rules(FILE) == ()


def test_the_shipped_file_means_no_rules() -> None:
    assert read_rules(ROOT / "alerts.example.toml") == ()


def test_every_rule_that_the_shipped_file_shows_can_be_read() -> None:
    lines = (ROOT / "alerts.example.toml").read_text().splitlines()
    text = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# [[") or " = " in line)
    assert {rule.on for rule in read(text)} == {"price", "listing", "incident", "stale"}


def test_the_documented_rule_can_be_read() -> None:
    [shown] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "alerts.md").read_text(), re.DOTALL)
    [rule] = read(shown)
    assert (rule.name, rule.threshold_pct) == ("anthropic prices", Decimal(20))


def test_a_rule_says_little_where_the_defaults_will_do() -> None:
    [rule] = read(a_rule())
    assert (rule.models, rule.providers, rule.prices) == (("*",), ("*",), ("prompt", "completion"))
    assert (rule.threshold_pct, rule.direction) == (Decimal(10), "both")
    assert (rule.hold, rule.rearm) == (timedelta(hours=1), timedelta(days=1))


@pytest.mark.parametrize(
    ("on", "direction", "hold"), [("listing", "gone", 60), ("incident", "both", 30), ("stale", "both", 90)]
)
def test_each_kind_of_rule_has_its_own_defaults(on: str, direction: str, hold: int) -> None:
    [rule] = read(a_rule(on=f"'{on}'"))
    assert (rule.direction, rule.hold_minutes) == (direction, hold)


def test_a_threshold_is_exact() -> None:
    [rule] = read(a_rule(threshold_pct="0.1"))
    assert rule.threshold_pct == Decimal("0.1")


@pytest.mark.parametrize(
    ("models", "providers", "taken"),
    [
        ("['acme/*']", "['*']", True),
        ("['acme/swift-1:free']", "['*']", True),
        ("['other/*', 'acme/swift-1']", "['north*']", True),
        ("['*']", "['North Star']", True),
        ("['*']", "['north-star']", True),
        ("['*']", "['star']", False),
        ("['acme/swift']", "['*']", False),
    ],
)
def test_a_rule_is_about_endpoints_by_model_and_provider(models: str, providers: str, taken: bool) -> None:
    [rule] = read(a_rule(models=models, providers=providers))
    assert rule.takes(("acme/swift-1", "acme/swift-1:free"), ("North Star", "north-star")) is taken


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\nname = 'x'", "rule 'x': on: expected one of price, listing, incident, stale"),
        (a_rule(on="'prices'"), "rule 'x': on: expected one of price, listing, incident, stale"),
        ("[[rule]]\non = 'price'", "rule 1: name: Field required"),
        (a_rule(treshold_pct=5), "rule 'x': 'treshold_pct' is not known in a rule on 'price'; 'threshold_pct' is"),
        (a_rule(hold_minute=5), "rule 'x': 'hold_minute' is not known in a rule on 'price'; 'hold_minutes' is"),
        (a_rule(on="'stale'", models="['*']"), "rule 'x': 'models' is not known in a rule on 'stale'; expected "),
        (a_rule(threshold_pct=0), "rule 'x': threshold_pct: Input should be greater than 0"),
        (a_rule(threshold_pct="'ten'"), "rule 'x': threshold_pct: Input should be a valid decimal"),
        (a_rule(hold_minutes="-1"), "rule 'x': hold_minutes: Input should be greater than or equal to 0"),
        (a_rule(hold_minutes="'60'"), "rule 'x': hold_minutes: Input should be a valid integer"),
        (a_rule(models="['acme']"), "rule 'x': models: target: 'acme' is no target; expected 'author/slug'"),
        (a_rule(models="[]"), "rule 'x': models: the given targets: no targets"),
        (a_rule(models="'acme/*'"), "rule 'x': models: Input should be a valid tuple"),
        (a_rule(providers="['a[b]']"), "rule 'x': providers.0: 'a[b]' is no provider"),
        (a_rule(prices="['promt']"), "rule 'x': prices.0: 'promt' is no price; 'prompt' is"),
        (a_rule(direction="'gone'"), "rule 'x': direction: expected one of both, up, down"),
        (a_rule(on="'listing'", direction="'up'"), "rule 'x': direction: expected one of gone, listed, both"),
        (a_rule() + "\n" + a_rule(), "two rules are called 'x'"),
        ("[rules]", "'rules' is not known; 'rule' is"),
        ("[rule]\nname = 'x'", "a rule begins with [[rule]]"),
        ("[[rule", "is not TOML: "),
    ],
)
def test_what_is_wrong_is_told_by_rule_and_key_in_one_line(text: str, message: str) -> None:
    told = refusal(text)
    assert told.startswith("alerts.toml")
    assert message in told
    assert "\n" not in told


def test_a_file_that_can_not_be_read_is_told() -> None:
    FILE.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"the alerts file alerts\.toml can't be read"):
        read_rules(FILE)
