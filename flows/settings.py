"""Settings from the environment and from `.env` in the working directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.errors import ConfigurationError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _checked_base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an http or https address such as https://openrouter.ai/api/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address without user, password, query or fragment is expected; the key has its own setting"
        )
    return url.rstrip("/")


class Settings(BaseSettings):
    """Every setting with its default. Names of environment variables are the field names in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr = SecretStr("sqlite:///data/history.db")
    archive_url: SecretStr = SecretStr("data/archive")
    openrouter_base_url: Annotated[str, AfterValidator(_checked_base_url)] = "https://openrouter.ai/api/v1"
    openrouter_api_key: SecretStr | None = None
    targets_file: Path = Path("targets.toml")
    requests_per_second: float = Field(default=5, ge=0, le=1000)
    max_connections: int = Field(default=8, ge=1, le=1000)
    request_timeout_seconds: float = Field(default=20, gt=0, le=600)

    @classmethod
    def read(cls) -> Self:
        """Read the environment and `.env`. Raises ConfigurationError naming each bad variable, never its value."""
        try:
            settings = cls()
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
