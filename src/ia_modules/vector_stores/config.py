"""Where a store is and how to open it: keyword arguments, a URL, or environment variables."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ia_modules.vector_stores.metrics import DistanceMetric

__all__ = ["VectorStoreConfig"]

logger = logging.getLogger("ia_modules.vector_stores")

_URL_FIELDS = (
    "namespace",
    "dimension",
    "metric",
    "pool_size",
    "pool_timeout",
    "max_retries",
    "retry_delay",
    "timeout",
    "tls",
    "embedding_model",
    "options",
)


class VectorStoreConfig(BaseModel):
    """How to reach one index of one database.

    Attributes:
        provider: ``memory``, ``chroma``, ``qdrant``, ``weaviate``, ``pinecone``, or the name of a registered provider.
        api_key: credential; shown in no repr, log, error or URL.
        host: name or address of the server; a URL such as ``https://host:443`` sets ``port`` and ``tls`` as well.
        port: TCP port; None for the provider's usual one.
        index_name: the index (collection) to work on.
        namespace: default namespace of every call; None means ``""``.
        dimension: numbers per vector; None takes what the existing index has.
        metric: distance metric that the index has, or is created with.
        pool_size: stores in a pool made from this config.
        pool_timeout: seconds to wait for a pooled store.
        max_retries: further attempts after the first one fails with an error that a retry can cure.
        retry_delay: seconds; the first retry waits a random time up to this, each further one up to twice as long.
        path: folder of an embedded database, ``:memory:`` where the provider has it; for the ``memory`` provider
            a name under which several stores of one process share their documents.
        timeout: seconds that one call may take in all, retries included; None for no limit. Each batch of an upsert and
            each page of a scan has as long.
        tls: whether to connect with TLS; None for the provider's default (on with an API key). A key that goes to
            another machine without TLS is logged as a warning.
        embedding_model: name of the model that makes the vectors; an index made with another one is refused.
        options: further settings that only one provider knows. Values of ``headers``, and a ``proxy_url`` that names a
            user, are secrets like ``api_key``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    provider: str = Field(min_length=1)
    api_key: SecretStr | None = None
    host: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    index_name: str = Field(min_length=1)
    namespace: str | None = None
    dimension: int | None = Field(default=None, gt=0)
    metric: DistanceMetric = DistanceMetric.COSINE
    pool_size: int = Field(default=10, gt=0)
    pool_timeout: float = Field(default=30.0, gt=0)
    max_retries: int = Field(default=3, ge=0)
    retry_delay: float = Field(default=1.0, ge=0)
    path: str | None = None
    timeout: float | None = Field(default=60.0, gt=0)
    tls: bool | None = None
    embedding_model: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _without_input(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Leave out of an error what was handed in: ``ValidationError.errors()`` and ``json()`` would show a key."""
        try:
            return handler(data)
        except ValidationError as error:
            found = [
                InitErrorDetails(
                    type=PydanticCustomError(one["type"], one["msg"]),
                    loc=one["loc"],
                    input="***",
                )
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        raise ValidationError.from_exception_data(cls.__name__, found, hide_input=True)

    @model_validator(mode="before")
    @classmethod
    def _split_host(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "://" not in str(data.get("host") or ""):
            return data
        try:
            parts = urlsplit(data["host"])
            host, port = parts.hostname, parts.port
        except ValueError:  # its message may have a password in it, taken for a port
            raise ValueError("host is not a usable URL; one looks like https://example.org:443") from None
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
            raise ValueError("host must be a name, or a URL such as https://example.org:443 without credentials")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("host must be a name, or a URL such as https://example.org:443 without path and query")
        return {"port": port, "tls": parts.scheme == "https", **{k: v for k, v in data.items() if v is not None}} | {
            "host": host
        }

    @field_validator("api_key")
    @classmethod
    def _key_as_header(cls, value: SecretStr | None) -> SecretStr | None:
        # A client would quote a key that can't be sent in its error message, escaped so that it can't be blanked out.
        key = "key" if value is None else value.get_secret_value()
        if not key or key != key.strip() or not key.isascii() or not key.isprintable():
            raise ValueError("api_key must be printable ASCII without space around it (a file's line end, perhaps?)")
        return value

    @field_validator("host")
    @classmethod
    def _host_as_name(cls, value: str | None) -> str | None:
        if not value:
            return None  # as in an environment variable that is set to nothing
        try:
            if not re.fullmatch(r"[\w.-]+", value):
                ip_address(value if re.fullmatch(r"[\w.:%-]+", value) else "")
        except ValueError:
            raise ValueError("host must be a name or an address; its port goes into port=") from None
        return value

    @field_validator("path", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        text = value.__fspath__() if hasattr(value, "__fspath__") else value
        return None if text == "" else text  # as in an environment variable that is set to nothing

    @field_validator("options")
    @classmethod
    def _hide_secrets(cls, options: dict[str, Any]) -> dict[str, Any]:
        proxy = options.get("proxy_url")
        if isinstance(proxy, str) and "@" in proxy:
            options = {**options, "proxy_url": SecretStr(proxy)}
        headers = options.get("headers")
        if headers is None:
            return options
        if not isinstance(headers, Mapping):
            raise ValueError("options['headers'] must map names to values")
        hidden = {name: v if isinstance(v, SecretStr) else SecretStr(str(v)) for name, v in headers.items()}
        return {**options, "headers": hidden}

    @model_validator(mode="after")
    def _warn_of_clear_text(self) -> Self:
        if self.api_key is not None and self.tls is False and self.host and not _is_loopback(self.host):
            logger.warning("the API key for %s goes over a connection without TLS, where it can be read", self.host)
        return self

    @property
    def secret(self) -> str | None:
        """The API key in clear text, for the client that needs it."""
        return None if self.api_key is None else self.api_key.get_secret_value()

    @property
    def headers(self) -> dict[str, str]:
        """``options["headers"]`` in clear text, for the client that needs them."""
        return {name: value.get_secret_value() for name, value in self.options.get("headers", {}).items()}

    @property
    def proxy(self) -> str | None:
        """``options["proxy_url"]`` in clear text, for the client that needs it."""
        given = self.options.get("proxy_url")
        return given.get_secret_value() if isinstance(given, SecretStr) else given

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that no message may show; longest first, as one may be part of another."""
        found = {*self.headers.values(), *([] if self.secret is None else [self.secret])}
        if isinstance(self.options.get("proxy_url"), SecretStr):
            credentials = (self.proxy or "").rpartition("@")[0].rpartition("/")[2]
            found |= {credentials, unquote(credentials.partition(":")[2]), credentials.partition(":")[2]}
        return tuple(sorted((text for text in found if len(text) > 3), key=len, reverse=True))

    @classmethod
    def from_url(cls, url: str, **overrides: Any) -> VectorStoreConfig:
        """Read a store URL.

        ``provider://host:port/index`` names a server, ``provider:///path/to/folder/index`` an embedded database,
        ``memory:///index`` a store in this process, and ``provider:relative/folder/index`` a folder below the
        current one. Settings follow as a query: ``?dimension=384&metric=euclidean&namespace=news&tls=true``.
        Keys don't belong into a URL: pass ``api_key=`` or set ``IA_VECTORS_API_KEY``.

        Args:
            url: the URL.
            **overrides: settings that win over those in the URL.

        Raises:
            ValueError: if the URL can't be understood; the message says why.
        """
        try:
            url.encode()
        except UnicodeEncodeError:
            raise ValueError("a store URL must be text that UTF-8 can encode") from None
        scheme, colon, rest = url.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+._-]*", scheme):
            raise ValueError("a store URL looks like provider://host:port/index or provider:///path/to/folder/index")
        try:
            parts = urlsplit(f"x:{rest}")  # as a scheme of its own could not have an underscore
        except ValueError:
            raise ValueError("the store URL's host is not usable") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("a store URL must not hold credentials; pass api_key= or set IA_VECTORS_API_KEY")
        if parts.fragment:
            raise ValueError("a store URL has no '#'; write %23 for one in a name")
        fields: dict[str, Any] = {"provider": scheme.lower()} | _location(scheme.lower(), parts) | _query(parts.query)
        return cls(**(fields | {k: v for k, v in overrides.items() if v is not None}))

    def to_url(self) -> str:
        """The config as a URL that :meth:`from_url` reads back; without the API key, headers and other secrets.

        Raises:
            ValueError: an option is not a JSON value.
        """
        index = quote(self.index_name, safe="")
        if self.host is not None:
            host = f"[{quote(self.host, safe=':')}]" if ":" in self.host else quote(self.host, safe="")
            place = f"//{host}{'' if self.port is None else f':{self.port}'}/{index}"
        elif self.path is None:
            place = f"///{index}"
        elif self.path.startswith(":memory:"):
            place = f"///:memory:{quote(self.path.removeprefix(':memory:'), safe='')}/{index}"
        elif self.provider == "memory":
            place = f"//{quote(self.path, safe='')}/{index}"
        elif self.path.startswith("/"):
            place = f"//{quote(self.path.rstrip('/') or '/')}/{index}"
        else:
            place = f"{quote(self.path)}/{index}"
        query = {}
        for name in _URL_FIELDS:
            value = getattr(self, name)
            if name == "options":
                value = {
                    option: given
                    for option, given in value.items()
                    if option != "headers" and not isinstance(given, SecretStr)
                }
            stated = name == "metric" and name in self.model_fields_set  # an index with another one is refused
            if not stated and value == type(self).model_fields[name].get_default(call_default_factory=True):
                continue
            if isinstance(value, bool | dict):
                try:
                    value = json.dumps(value, separators=(",", ":"))
                except (TypeError, ValueError, RecursionError) as error:
                    raise ValueError(f"{name} can't be written into a URL: {error}") from None
            query[name] = value.value if isinstance(value, DistanceMetric) else str(value)
        if self.timeout is None:
            query["timeout"] = "none"
        return f"{self.provider}:{place}{'?' + urlencode(query) if query else ''}"

    @classmethod
    def from_env(cls, **overrides: Any) -> VectorStoreConfig:
        """Read ``IA_VECTORS_STORE`` (a URL) and ``IA_VECTORS_<FIELD>`` variables such as ``IA_VECTORS_API_KEY``.

        Args:
            **overrides: settings that win over the environment.

        Raises:
            ValueError: if what is set does not make a config.
        """
        from ia_modules.vector_stores._environment import read_environment

        fields = read_environment() | {k: v for k, v in overrides.items() if v is not None}
        url = fields.pop("store", None)
        return cls(**fields) if url is None else cls.from_url(url, **fields)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _location(provider: str, parts: SplitResult) -> dict[str, Any]:
    """Host and index, or path and index."""
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # its message may have a password in it, taken for a port
        raise ValueError("the store URL's host is not usable; it looks like //host:6333/") from None
    folder, _, index = parts.path.rpartition("/")
    index, folder = unquote(index), unquote(folder)
    if not index:
        raise ValueError("the store URL names no index: its path must end with the index's name")
    if provider == "memory":
        if port is not None or folder.strip("/"):
            raise ValueError("a memory URL is memory:///index, or memory://name/index to share by name")
        # netloc, not hostname: hostname is lower-cased
        return {"index_name": index} | ({"path": unquote(parts.netloc)} if parts.netloc else {})
    if host:
        if folder.strip("/"):
            raise ValueError("a server URL has one path part, the index: provider://host:port/index")
        name, percent, zone = unquote(host).partition("%")  # names are lower case already where nothing was escaped
        return {"host": f"{name.lower()}{percent}{zone}", "port": port, "index_name": index}
    if not folder and parts.path.startswith("/"):
        return {"index_name": index}
    if not folder:
        raise ValueError("the store URL names no folder: write provider:./index for the current one")
    folder = folder.rstrip("/") or "/"
    return {"path": folder.removeprefix("/") if folder.startswith("/:memory:") else folder, "index_name": index}


def _query(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _URL_FIELDS:
            shown = repr(name if len(name) <= 40 else name[:40] + "…")
            raise ValueError(f"unknown setting {shown} in the store URL; known: {', '.join(_URL_FIELDS)}")
        if name in fields:
            raise ValueError(f"setting {name!r} stands twice in the store URL")
        if name == "options":
            try:
                fields[name] = json.loads(value)
            except RecursionError:
                raise ValueError("options in the store URL is nested too deep") from None
            except ValueError as error:
                raise ValueError(f"options in the store URL is not JSON: {error}") from None
        else:
            fields[name] = None if name == "timeout" and value == "none" else value
    return fields
