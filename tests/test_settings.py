"""Settings come from the environment and `.env`, and a bad one is named without its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from endpoint_history.errors import ConfigurationError
from endpoint_history.settings import Settings

DEFAULTS = {
    "database_url": "sqlite:///data/history.db",
    "archive_url": "data/archive",
    "openrouter_base_url": "https://openrouter.ai/api/v1",
    "openrouter_api_key": None,
    "targets_file": Path("targets.toml"),
    "alerts_file": Path("alerts.toml"),
    "site_url": None,
    "site_notice": None,
    "requests_per_second": 5,
    "max_connections": 8,
    "request_timeout_seconds": 20,
    "retention_days": None,
}
GIVEN = [
    ("DATABASE_URL", "postgresql://user:secret@host/name", "postgresql://user:secret@host/name"),
    ("ARCHIVE_URL", "s3://bucket/archive", "s3://bucket/archive"),
    ("OPENROUTER_BASE_URL", "http://127.0.0.1:8000/api/v1/", "http://127.0.0.1:8000/api/v1"),
    ("OPENROUTER_API_KEY", "sk-or-v1-1", "sk-or-v1-1"),
    ("TARGETS_FILE", "/etc/targets.toml", Path("/etc/targets.toml")),
    ("ALERTS_FILE", "/etc/alerts.toml", Path("/etc/alerts.toml")),
    ("SITE_URL", "https://prices.example.com/history/", "https://prices.example.com/history"),
    ("SITE_NOTICE", "Made up", "Made up"),
    ("REQUESTS_PER_SECOND", "0", 0),
    ("REQUESTS_PER_SECOND", "0.5", 0.5),
    ("MAX_CONNECTIONS", "1", 1),
    ("REQUEST_TIMEOUT_SECONDS", "0.25", 0.25),
    ("RETENTION_DAYS", "30", 30),
]
BAD = [
    ("REQUESTS_PER_SECOND", "hunter2"),
    ("REQUESTS_PER_SECOND", "-7.125"),
    ("REQUESTS_PER_SECOND", "1000.125"),
    ("REQUESTS_PER_SECOND", "nan"),
    ("MAX_CONNECTIONS", "-77"),
    ("MAX_CONNECTIONS", "1001"),
    ("MAX_CONNECTIONS", "1.75"),
    ("REQUEST_TIMEOUT_SECONDS", "-7.125"),
    ("REQUEST_TIMEOUT_SECONDS", "600.125"),
    ("REQUEST_TIMEOUT_SECONDS", "inf"),
    ("RETENTION_DAYS", "29"),
    ("RETENTION_DAYS", "-77"),
    ("RETENTION_DAYS", "36.5"),
    ("SITE_URL", "javascript:hunter2"),
    ("SITE_URL", "https://user:hunter2@prices.example.com"),
    ("OPENROUTER_BASE_URL", "ftp://hunter2"),
    ("OPENROUTER_BASE_URL", "hunter2"),
    ("OPENROUTER_BASE_URL", "https:///hunter2"),
    ("OPENROUTER_BASE_URL", "https://[hunter2/"),
    ("OPENROUTER_BASE_URL", "https://hunter2@openrouter.ai/api/v1"),
    ("OPENROUTER_BASE_URL", "https://:hunter2@openrouter.ai/api/v1"),
    ("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1?key=hunter2"),
    ("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1#hunter2"),
]
KEY_IN_THE_CLEAR = "bad settings: OPENROUTER_BASE_URL: an API key is only sent over https"


def _plain(settings: Settings) -> dict[str, Any]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings.model_dump().items()
    }


def _refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        Settings.read()
    return str(refused.value)


def test_nothing_given_means_every_default() -> None:
    assert _plain(Settings.read()) == DEFAULTS


def test_every_setting_is_given_in_one_of_these_tests() -> None:
    assert {variable.lower() for variable, _, _ in GIVEN} == Settings.model_fields.keys()


@pytest.mark.parametrize(("variable", "text", "value"), GIVEN)
def test_a_variable_changes_its_setting_and_no_other(
    variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert _plain(Settings.read()) == DEFAULTS | {variable.lower(): value}


@pytest.mark.parametrize(("variable", "text", "value"), GIVEN)
def test_the_env_file_of_the_working_folder_is_read(variable: str, text: str, value: object, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# mine\nSOMEBODY_ELSES=1\n{variable}={text}\n")
    assert _plain(Settings.read()) == DEFAULTS | {variable.lower(): value}


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MAX_CONNECTIONS=2\nARCHIVE_URL=kept\n")
    monkeypatch.setenv("MAX_CONNECTIONS", "3")
    assert _plain(Settings.read()) == DEFAULTS | {"max_connections": 3, "archive_url": "kept"}


@pytest.mark.parametrize(("variable", "text"), BAD)
def test_a_bad_value_is_named_by_its_variable_alone(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    message = _refusal()
    assert message.startswith(f"bad settings: {variable}: ")
    assert "\n" not in message
    assert text not in message
    assert "hunter2" not in message


def test_bad_values_of_two_variables_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_CONNECTIONS", "many")
    monkeypatch.setenv("REQUEST_TIMEOUT_SECONDS", "soon")
    problems = _refusal().removeprefix("bad settings: ").split("; ")
    assert [problem.split(": ")[0] for problem in problems] == ["MAX_CONNECTIONS", "REQUEST_TIMEOUT_SECONDS"]


def test_a_bad_value_in_the_env_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_CONNECTIONS=many\n")
    assert _refusal().startswith("bad settings: MAX_CONNECTIONS: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://openrouter.ai/api/v1",
        "HTTP://openrouter.ai",
        "http://192.0.2.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_a_key_is_not_sent_in_the_clear(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-1")
    assert _refusal() == KEY_IN_THE_CLEAR


@pytest.mark.parametrize("url", ["https://openrouter.ai", "http://localhost:80", "http://127.0.0.1", "http://[::1]:80"])
def test_a_key_goes_over_https_and_within_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-1")
    assert Settings.read().api_key == "sk-or-v1-1"


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_key_is_no_key(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://openrouter.ai")
    monkeypatch.setenv("OPENROUTER_API_KEY", blank)
    assert Settings.read().api_key is None


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "sk 1", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", key)
    assert _refusal() == "bad settings: OPENROUTER_API_KEY: a key is one word of ASCII characters"


@pytest.mark.parametrize("url", ["https://h:abc/", "https://h/a b", "https://h/?", "https://h/#", "https://"])
def test_an_address_that_paths_cannot_follow_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", url)
    assert _refusal().startswith("bad settings: OPENROUTER_BASE_URL: ")


def test_an_env_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"MAX_CONNECTIONS=3\n\xff\xfe\n")
    assert _refusal() == "bad settings: .env is not UTF-8 text"


@pytest.mark.parametrize("variable", [name.upper() for name in Settings.model_fields])
def test_an_empty_variable_means_the_default(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "")
    assert _plain(Settings.read()) == DEFAULTS


def test_a_key_is_taken_without_blanks_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", " sk-or-v1-1\n")
    assert Settings.read().api_key == "sk-or-v1-1"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "ARCHIVE_URL", "OPENROUTER_API_KEY"])
def test_a_secret_is_not_in_the_printed_settings(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "scheme://user:hunter2@host/name")
    settings = Settings.read()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("name", ["RETENTION_DAY", "database_ulr", "OPENROUTER_BASEURL"])
def test_a_misspelt_name_in_the_env_file_is_refused(name: str) -> None:
    Path(".env").write_text(f"{name}=x\n")
    with pytest.raises(ConfigurationError, match=rf"\.env: {name.upper()} is no setting; [A-Z_]+ is"):
        Settings.read()


def test_names_of_others_in_the_env_file_are_let_be() -> None:
    Path(".env").write_text("PREFECT_API_URL=http://127.0.0.1:4200/api\nAWS_PROFILE=me\nHTTPS_PROXY=x\n")
    assert Settings.read() == Settings()


@pytest.mark.parametrize("value", ['"{}"', "'{}'", " {} ", "{}\r", '"{}" '])
@pytest.mark.parametrize(("variable", "text", "expected"), GIVEN)
def test_quotation_marks_and_blanks_around_a_value_are_left_out(
    variable: str, text: str, expected: object, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value.format(text))
    assert _plain(Settings.read()) == DEFAULTS | {variable.lower(): expected}


@pytest.mark.parametrize("variable", [name.upper() for name in Settings.model_fields])
@pytest.mark.parametrize("empty", ['""', "''", "  "])
def test_a_variable_with_nothing_in_quotation_marks_means_the_default(
    empty: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, empty)
    assert _plain(Settings.read()) == DEFAULTS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"data/archive', "a quotation mark without its other half"),
        ("data/archive'", "a quotation mark without its other half"),
        ("\"data/archive'", "a quotation mark without its other half"),
        ("data/archive # the original", "a comment stands behind the value; put it on a line of its own"),
    ],
)
def test_what_is_left_of_quotation_marks_and_comments_is_refused(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_URL", text)
    assert _refusal() == f"bad settings: ARCHIVE_URL: {reason}"


@pytest.mark.parametrize("variable", ["TARGETS_FILE", "ALERTS_FILE"])
def test_a_home_folder_is_expanded(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv(variable, "~/lists/all.toml")
    assert _plain(Settings.read())[variable.lower()] == Path("/home/ada/lists/all.toml")


@pytest.mark.parametrize("variable", ["ARCHIVE_URL", "TARGETS_FILE", "ALERTS_FILE"])
@pytest.mark.parametrize("path", ["$HOME/x", "${DATA}/x", "C:\\data\\x", "C:/data/x", "data\\x", "s3:/bucket/x"])
def test_a_path_that_nobody_means_is_refused(variable: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, path)
    refusal = _refusal()
    assert refusal.startswith(f"bad settings: {variable}: ")
    assert "\n" not in refusal


@pytest.mark.parametrize("url", ["s3//bucket/x", "file://$HOME/x", "file:///C:/x", "/srv/~/x"])
def test_an_archive_that_nobody_means_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_URL", url)
    assert _refusal().startswith("bad settings: ARCHIVE_URL: ")


def test_an_env_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_CONNECTIONS=3\n", encoding="utf-8-sig")
    assert Settings.read().max_connections == 3


def test_a_variable_in_the_env_file_that_is_not_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///${NO_SUCH_FOLDER}/history.db\n")
    assert _refusal() == "bad settings: .env: DATABASE_URL names ${NO_SUCH_FOLDER}, which is not set"


@pytest.mark.parametrize(
    ("env_file", "archive"),
    [
        ("FOLDER=/srv\nARCHIVE_URL=${FOLDER}/archive\n", "/srv/archive"),
        ("ARCHIVE_URL=${NO_SUCH_FOLDER:-/srv}/archive\n", "/srv/archive"),
        ("OTHER=${NO_SUCH_FOLDER}\nARCHIVE_URL=/srv/archive\n", "/srv/archive"),
    ],
)
def test_variables_that_are_set_are_put_into_the_env_file(env_file: str, archive: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(env_file)
    assert Settings.read().archive_url.get_secret_value() == archive
