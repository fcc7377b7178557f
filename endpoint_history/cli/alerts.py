"""The commands `endpoint-history alerts …`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from endpoint_history.errors import ConfigurationError
from endpoint_history.terminal import show

alerts = typer.Typer(
    no_args_is_help=True, help="Alert rules: try them, set up who receives them, and see to what was not delivered."
)


@alerts.command(name="test")
def try_rules(
    days: Annotated[int, typer.Option(help="Over so many past days.", min=1, max=3650)] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as one JSON object.")] = False,
) -> None:
    """Show which alerts the rules would have sent over past days. Reads only the database, and sends nothing."""
    from endpoint_history.alerts.history import AlertHistory
    from endpoint_history.alerts.rule_events import alert_line, alert_payload
    from endpoint_history.alerts.rules import read_rules
    from endpoint_history.database.engine import opened, translated_errors
    from endpoint_history.settings import Settings
    from endpoint_history.text import count_text
    from endpoint_history.times import iso_text, utc_text

    settings = Settings.read()
    rules = read_rules(settings.alerts_file)
    until = datetime.now(UTC).replace(microsecond=0)
    since = until - timedelta(days=days)
    with (
        opened(settings.database_url.get_secret_value()) as engine,
        translated_errors(engine),
        engine.connect() as connection,
    ):
        found = AlertHistory(connection, since, until).alerts(rules) if rules else []
    if as_json:
        names = [rule.name for rule in rules]
        payloads = [alert_payload(item) for item in found]
        show(json.dumps({"since": iso_text(since), "until": iso_text(until), "rules": names, "alerts": payloads}))
        return
    for item in found:
        show(alert_line(item))
    counts = Counter((item.rule.name, item.alert.kind) for item in found)
    for rule in rules:
        alerts_text = count_text(counts[rule.name, "fired"], "alert")
        show(f"{rule.name}: {alerts_text}, {count_text(counts[rule.name, 'returned'], 'return')}")
    if not rules:
        show(f"No rule is in force: write one into {settings.alerts_file}")
    show(f"{count_text(len(rules), 'rule')} in {settings.alerts_file}, from {utc_text(since)} to {utc_text(until)}")


@alerts.command()
def install(
    block: Annotated[
        str | None, typer.Option(metavar="TYPE/NAME", help="A block of the server, such as slack-webhook/team.")
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            envvar="ALERTS_WEBHOOK_URL",
            show_envvar=True,
            help="Keep this address in a block of the server; safer in the environment than on the command line.",
        ),
    ] = None,
    every: Annotated[int, typer.Option(help="Minutes between collects.", min=1, max=1440)] = 30,
) -> None:
    """Set up who receives alerts, and have the Prefect server send a message when no collect comes any more.

    Both are kept on the server that PREFECT_API_URL names; doing it twice doubles nothing.
    """
    if (block is None) == (webhook_url is None):
        raise ConfigurationError("alerts install: --block or --webhook-url is needed, one of the two")
    from endpoint_history.alerts.rules import read_rules
    from endpoint_history.settings import Settings

    read_rules(Settings.read().alerts_file)
    from flows.automations import install_automations

    for line in install_automations(block, webhook_url, every):
        show(line)


@alerts.command(name="send-test")
def send_test_message() -> None:
    """Send one message to the receiver exactly as an alert is sent, and say whether it was delivered."""
    from flows.automations import send_test

    show(send_test())


@alerts.command()
def discard() -> None:
    """Give up the alerts that are not delivered; `status` names them until then."""
    from endpoint_history.alerts.outbox import discard_waiting
    from endpoint_history.database.engine import opened, translated_errors, writing
    from endpoint_history.settings import Settings

    url = Settings.read().database_url.get_secret_value()
    with opened(url) as engine, translated_errors(engine), writing(engine) as connection:
        count = discard_waiting(connection)
    show("1 alert was given up" if count == 1 else f"{count} alerts were given up")
