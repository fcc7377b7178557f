"""Settings from the environment and from `.env` in the working directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from endpoint_history.errors import ConfigurationError
from endpoint_history.io.local_path import local_path, path_of_url
from endpoint_history.suggestions import closest

_BASE_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def checked_base_url(url: str) -> str:
    """An http or https address without its last slash. Raises ValueError for what is none, or holds a secret."""
    if not _BASE_URL.fullmatch(url) or not _has_host_and_port(url):
        raise ValueError("expected an http or https address such as https://example.org/path")
    if any(sign in url for sign in "@?#"):
        raise ValueError(
            "an address without user, password, query or fragment is expected; the key has its own setting"
        )
    return url.rstrip("/")


def _has_host_and_port(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        return False


def _checked_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]*", key.get_secret_value().strip()):
        raise ValueError("a key is one word of ASCII characters")
    return key


def _expanded(path: Path) -> Path:
    return local_path(str(path))


def _checked_archive_url(url: SecretStr) -> SecretStr:
    path_of_url(url.get_secret_value())
    return url


def _refuse_unset_variables(text: str) -> None:
    """`.env` puts in the values of ${NAME}: with nothing in its place, a path would lead elsewhere."""
    settings = re.findall(r"^\s*(?:export\s+)?(\w+)\s*=\s*([^'\s].*)$", text, re.MULTILINE)
    known = {name.lower() for name in os.environ} | {name.lower() for name, _ in settings}
    for setting, value in settings:
        for name in re.findall(r"\$\{(\w+)\}", value) if setting.lower() in Settings.model_fields else ():
            if name.lower() not in known:
                raise ConfigurationError(f"bad settings: .env: {setting.upper()} names ${{{name}}}, which is not set")


def _refuse_misspelt(names: Iterable[str]) -> None:
    """What else stands in `.env` may be for others, but not what is nearly a setting."""
    known = Settings.model_fields
    for name in names:
        near = closest(name, known, cutoff=0.8)
        if near and name.lower() not in known:
            raise ConfigurationError(f"bad settings: .env: {name.upper()} is no setting; {near[0].upper()} is")


def prefect_api_url() -> str | None:
    """The address of Prefect's server where the environment or `.env` has one, as Prefect itself reads them."""
    name = "PREFECT_API_URL"
    return os.environ.get(name) or env_file_values().get(name.lower())


def env_file_values() -> Mapping[str, str | None]:
    """What `.env` says, also of variables that are not ours; names in lower case. Raises UnicodeDecodeError."""
    return DotEnvSettingsSource(Settings).env_vars


class Settings(BaseSettings):
    """Every setting with its default. Names of environment variables are the field names in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # some editors put a mark before the first name
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr = SecretStr("sqlite:///data/history.db")
    archive_url: Annotated[SecretStr, AfterValidator(_checked_archive_url)] = SecretStr("data/archive")
    openrouter_base_url: Annotated[str, AfterValidator(checked_base_url)] = "https://openrouter.ai/api/v1"
    openrouter_api_key: Annotated[SecretStr, AfterValidator(_checked_key)] | None = None
    targets_file: Annotated[Path, AfterValidator(_expanded)] = Path("targets.toml")
    alerts_file: Annotated[Path, AfterValidator(_expanded)] = Path("alerts.toml")
    site_url: Annotated[str, AfterValidator(checked_base_url)] | None = None
    site_notice: str | None = None
    requests_per_second: float = Field(default=5, ge=0, le=1000)
    max_connections: int = Field(default=8, ge=1, le=1000)
    request_timeout_seconds: float = Field(default=20, gt=0, le=600)
    retention_days: int | None = Field(default=None, ge=30, le=36_500)

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: Any, info: ValidationInfo) -> Any:
        """Take a value without what `docker run --env-file` leaves around it: quotation marks, blanks, comments."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text[:1] in {'"', "'"} or text[-1:] in {'"', "'"}:
            if len(text) < len("''") or text[0] != text[-1]:
                raise ValueError("a quotation mark without its other half")
            text = text[1:-1].strip()
        elif re.search(r"\s#", text):
            raise ValueError("a comment stands behind the value; put it on a line of its own")
        return text or cls.model_fields[str(info.field_name)].get_default()

    @classmethod
    def read(cls) -> Self:
        """Read the environment and `.env`. Raises ConfigurationError naming each bad variable, never its value."""
        try:
            if Path(".env").is_file():
                _refuse_unset_variables(Path(".env").read_text(encoding="utf-8-sig"))
            settings = cls()
            _refuse_misspelt(env_file_values())
        except OSError as error:
            raise ConfigurationError(f"bad settings: .env can't be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError("bad settings: .env is not UTF-8 text") from None
        except ValidationError as error:
            problems = "; ".join(
                f"{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
            raise ConfigurationError(f"bad settings: {problems}") from None
        settings._refuse_key_in_the_clear()
        return settings

    @property
    def api_key(self) -> str | None:
        """The API key, None where it is unset or empty."""
        return (self.openrouter_api_key and self.openrouter_api_key.get_secret_value().strip()) or None

    def _refuse_key_in_the_clear(self) -> None:
        parts = urlsplit(self.openrouter_base_url)
        if self.api_key and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ConfigurationError("bad settings: OPENROUTER_BASE_URL: an API key is only sent over https")
