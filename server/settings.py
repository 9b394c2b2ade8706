"""Every setting of the server: names, types, defaults, what they mean. Knows no other module.

How they are read is in `settings_sources.py`.
"""

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "HEARTH_"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Settings(BaseModel):
    """The whole configuration of one server process. Made by `load_settings`; by itself it reads nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        "127.0.0.1", description="Address to listen on; any other than loopback needs a key and TLS."
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Further names that clients may send as Host, comma-separated, without a port."
    )
    behind_tls_proxy: bool = Field(
        False, description="A proxy on this machine or network ends TLS in front of us."
    )
    data_dir: Path = Field(
        Path(".hearth"), description="Where the store and everything else that is written lives."
    )
    models_dir: Path = Field(Path("model_configs"), description="Directory of the backends' YAML files.")
    weights_dir: Path | None = Field(
        None, description="For pulled weights; by default `models` in `data_dir`."
    )
    engines_dir: Path = Field(
        Path(".hearth/engines"), description="Where `hearth engines install` puts environments."
    )
    engines_python: Path | None = Field(
        None, description="Interpreter for every engine, instead of `engines_dir`."
    )
    database_url: str | None = Field(
        None, repr=False, description="PostgreSQL URL; without it the store is a SQLite file in `data_dir`."
    )
    store_backups: int = Field(
        3,
        ge=0,
        description="Daily copies of a SQLite store that are kept in `backups` beside it; 0 makes none.",
    )
    public_url: str | None = Field(
        None, description="Address that links in answers begin with; by default what the client sent as Host."
    )
    media_ttl_s: PositiveFloat = Field(3600.0, description="Life of links to generated files.")
    media_s3_bucket: str | None = Field(
        None, description="S3 bucket for generated files, instead of a folder in `data_dir`."
    )
    media_s3_url: str | None = Field(None, description="Address of S3-compatible storage; without it AWS.")
    media_s3_region: str = Field("us-east-1", description="Region of the bucket.")
    media_s3_access_key_id: str | None = Field(None, description="Credentials for the bucket.")
    media_s3_secret_access_key: SecretStr | None = Field(None, description="Credentials for the bucket.")
    docs_public: bool | None = Field(
        None, description="Serve /docs and /openapi.json without a key; by default on loopback only."
    )
    metrics_public: bool = Field(True, description="Serve /metrics without a key.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level logged."
    )
    max_body_bytes: PositiveInt = Field(8 * 1024 * 1024, description="Largest request body; above it 413.")
    remote_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that images in chats may be fetched from by https, comma-separated; none by default.",
    )
    max_upload_bytes: PositiveInt = Field(
        25 * 1024 * 1024, description="Largest file of a request that takes one; above it 413."
    )
    files_dir: Path | None = Field(
        None, description="Where files of clients and batches lie; by default `files` in `data_dir`."
    )
    max_file_bytes: PositiveInt = Field(
        200 * 1024 * 1024, description="Largest file of `POST /v1/files`; above it 413."
    )
    files_ttl_s: PositiveFloat = Field(30 * 86400.0, description="Life of uploaded files.")
    min_free_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="With less room on the disk files and batches are refused (507) and running batches pause.",
    )
    max_batch_lines: PositiveInt = Field(50_000, description="Most lines of one batch.")
    max_active_batches: PositiveInt = Field(100, description="Batches of one key under way; above it 429.")
    batch_ttl_s: PositiveFloat = Field(
        30 * 86400.0, description="Batches and their results are kept for so long after their end."
    )
    webhook_url: str | None = Field(None, description="Address that is told about the end of every batch.")
    webhook_secret: SecretStr | None = Field(None, description="Key of the signature of what it is told.")
    failpoints: str | None = Field(None, description="Faults for tests: `NAME:NTH:kill`, comma-separated.")
    max_header_bytes: PositiveInt = Field(
        32 * 1024, description="Largest sum of header names and values; above it 400."
    )
    max_headers: PositiveInt = Field(100, description="Most header lines of one request; above it 400.")
    header_timeout_s: PositiveFloat = Field(
        10.0, description="A connection must send a whole request head in this time."
    )
    body_timeout_s: PositiveFloat = Field(
        30.0, description="Time for a body, plus one second per `min_body_rate` bytes."
    )
    min_body_rate: PositiveInt = Field(
        16 * 1024, description="Bytes per second that extend `body_timeout_s`."
    )
    write_timeout_s: PositiveFloat = Field(
        30.0, description="A client that accepts no byte for this long is cut off."
    )
    keep_alive_timeout_s: PositiveInt = Field(75, description="An idle connection is closed after this time.")
    heartbeat_timeout_s: PositiveFloat = Field(10.0, description="A worker silent for this long is killed.")
    ram_budget_bytes: PositiveInt | None = Field(
        None,
        description="Host memory for models; by default all of the machine's but a tenth, at least 2 GiB.",
    )
    sleep_budget_bytes: int | None = Field(
        None,
        ge=0,
        description="Host memory for models that are asleep; by default half of that for models, with 0 none sleeps.",
    )
    gpu_memory_share: float = Field(
        0.95, gt=0, le=1, description="Share of a GPU's memory that models may hold together."
    )
    max_restarts: PositiveInt = Field(
        5, description="Deaths of a worker in five minutes after which it stays stopped."
    )
    drain_grace_s: NonNegativeFloat = Field(
        5.0, description="After SIGTERM: not ready, but still accepting, for so long."
    )
    drain_timeout_s: PositiveFloat = Field(
        30.0, description="After SIGTERM: running requests may take this long."
    )

    @field_validator("allowed_hosts", "remote_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError:
            raise ValueError("not a database URL") from None
        if backend not in ("postgresql", "sqlite"):
            raise ValueError("must begin with postgresql:// or sqlite:///")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://inference.example.org")
        return value.rstrip("/")

    @field_validator("webhook_url")
    @classmethod
    def _is_receiver(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("must be an address without a user, such as https://example.org/hook")
        return value

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def docs_open(self) -> bool:
        return self.is_loopback if self.docs_public is None else self.docs_public

    @property
    def host_names(self) -> frozenset[str]:
        """What clients may send as Host, in lower case, without a port."""
        bound = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, bound, *self.allowed_hosts))

    @property
    def files_folder(self) -> Path:
        return self.files_dir or self.data_dir / "files"

    @property
    def store_url(self) -> str:
        """URL of the store, with its password if it has one: for `open_store` only."""
        if self.database_url:
            return self.database_url
        return URL.create("sqlite", database=str(self.data_dir / "hearth.db")).render_as_string()

    @property
    def redacted_url(self) -> str:
        """`store_url` fit to be printed."""
        return make_url(self.store_url).set(query={}).render_as_string(hide_password=True)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_binding(settings: Settings, has_keys: bool) -> list[str]:
    """What forbids listening on `settings.host`; empty if nothing does."""
    if settings.is_loopback:
        return []
    problems = []
    if not has_keys:
        problems.append(
            f"host {settings.host} is not loopback and no API key exists: run `hearth keys create` first"
        )
    if not settings.behind_tls_proxy:
        problems.append(
            f"host {settings.host} is not loopback: put a TLS proxy in front and set"
            f" {PREFIX}BEHIND_TLS_PROXY=true"
        )
    return problems
