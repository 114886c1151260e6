"""Environment variables of the library, read by pydantic-settings when asked for, never at import."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["read_environment"]


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="IA_VECTORS_", extra="ignore", hide_input_in_errors=True)

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
    options: str | None = None


def read_environment() -> dict[str, Any]:
    """The ``IA_VECTORS_*`` variables that are set, by field name in lower case.

    Raises:
        ValueError: ``IA_VECTORS_OPTIONS`` is not a JSON object; what it holds is not shown.
    """
    fields: dict[str, Any] = {name: value for name, value in _Environment() if value is not None}
    if "options" in fields:
        try:
            options = json.loads(fields["options"])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"IA_VECTORS_OPTIONS is not JSON: {getattr(error, 'msg', 'nested too deep')}") from None
        if not isinstance(options, dict):
            raise ValueError(f"IA_VECTORS_OPTIONS is a JSON object, not a {type(options).__name__}")
        fields["options"] = options
    return fields
