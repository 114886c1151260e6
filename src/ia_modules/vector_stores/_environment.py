"""Environment variables of the library, read by pydantic-settings when asked for, never at import."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["read_environment"]


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IA_VECTORS_", extra="ignore")

    store: str | None = None
    provider: str | None = None
    api_key: SecretStr | None = None
    host: str | None = None
    port: str | None = None
    index_name: str | None = None
    namespace: str | None = None
    dimension: str | None = None
    metric: str | None = None
    pool_size: str | None = None
    pool_timeout: str | None = None
    max_retries: str | None = None
    retry_delay: str | None = None
    path: str | None = None
    timeout: str | None = None
    tls: str | None = None
    embedding_model: str | None = None
    options: dict[str, Any] | None = None


def read_environment() -> dict[str, Any]:
    """The ``IA_VECTORS_*`` variables that are set, by field name in lower case."""
    return {name: value for name, value in _Environment() if value is not None}
