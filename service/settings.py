"""What the operator can set. The only reader of the environment: variables ``ACTOSCOPE_<FIELD>``, read once."""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from models.runtimes.runner import parse_runtime
from pipeline.clips import ClipConfig
from service.errors_base import ServiceError

PREFIX = "ACTOSCOPE_"
TEST_PREFIX = "ACTOSCOPE_TEST_"  # read by the test suite, in whose environment commands run too
# Not where our own paths begin: a proxy may take the root path off or leave it.
_ROOT_PATH = re.compile(r"(?!/(?:v1|web)(?:/|$))(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_REPOSITORY = Path(__file__).resolve().parent.parent


class SettingsError(ServiceError, ValueError):
    """A setting is unknown or has a value that it cannot have. The message names the variable."""


def default_weights_dir() -> Path:
    """``weights`` beside the source in a checkout, else in the current folder."""
    beside = _REPOSITORY / "weights"
    return beside if beside.is_dir() else Path("weights")


class Settings(BaseSettings):
    """Every setting with its default. Lists are JSON (``["a", "b"]``) or separated by commas."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every interface")
    port: int = Field(8000, ge=1, le=65535, description="TCP port to listen on")
    root_path: str = Field(
        "", description="Path below which a reverse proxy publishes the service, such as `/cameras` (docs/proxy.md)"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-Host` and `-Proto` are believed",
    )
    data_dir: Path = Field(Path("data"), description="All state: database, recordings, caches, the key for source URLs")
    weights_dir: Path = Field(
        default_factory=default_weights_dir, description="Folder of the networks, one sub-folder each"
    )
    database_url: SecretStr | None = Field(
        None, description="`postgresql+psycopg://user:password@host/name`; default: SQLite in the data folder"
    )
    media_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders whose files may be used as sources; none by default"
    )
    hls_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts trusted to serve HLS playlists; none by default, since a playlist can name any host"
    )
    max_pixels: int = Field(
        4096 * 2304, ge=64 * 64, description="Largest picture (width × height) that a source may have"
    )
    model: str = Field("surveillance", min_length=1, description="Action network of streams that name none")
    runtime: str = Field(
        "auto",
        description="How networks are run: `tensorflow`, `tensorflow-xla`, `openvino`, `onnx`, `litert`, `savedmodel`, "
        "with a precision if need be (`openvino:int8`); `auto`: what the network's card says, else the fastest here, "
        "measured at the first start",
    )
    detector: Path | None = Field(
        None, description="Person detector: `.pt`, `.onnx`, `.engine` or an OpenVINO folder; default: what is shipped"
    )
    detector_image_size: int = Field(640, ge=160, le=1920, multiple_of=32, description="Detector input side in pixels")
    detector_confidence: float = Field(
        0.1, gt=0, lt=1, description="Detections below it are ignored; the tracker makes use of weak ones"
    )
    track_confidence: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Detections from it on start a track; lower finds more half hidden people, and more that are none",
    )
    appearance: Path | None = Field(
        None, description="network (ONNX, OpenVINO) for appearance features; auto: weights/appearance, else MobileNetV2"
    )
    clip_hop: int = Field(
        ClipConfig.hop, ge=1, le=64, description="Crops between two classified clips of a person, 25 a second"
    )
    first_clip: int = Field(
        ClipConfig.provisional_from, ge=1, le=64, description="Crops that make a new person's first, provisional clip"
    )
    record: bool = Field(False, description="Whether streams that do not say otherwise are recorded")
    segment_s: float = Field(60, ge=2, le=3600, description="Length of one recorded file in seconds")
    recordings_max_age_days: float = Field(14, gt=0, description="Older recordings are deleted")
    recordings_max_gb: float = Field(20, gt=0, description="The oldest recordings are deleted above this total")
    recordings_min_free_mb: int = Field(500, ge=0, description="Recording pauses while the disk has less free space")
    messages_keep: int = Field(100_000, ge=100, description="Messages kept for replay with `since_seq`")
    tracks_hz: float = Field(10, gt=0, le=60, description="`tracks` messages a second and stream, at most")
    subscriber_queue: int = Field(256, ge=8, description="Messages that may wait for one websocket subscriber")
    max_streams: int = Field(16, ge=1, description="How many streams may exist")
    max_subscribers: int = Field(256, ge=1, description="How many websockets may be open")
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads that one network uses; 0: one where the service has fewer than four cores, "
        "else as many as there are cores",
    )
    batch: int = Field(8, ge=1, le=64, description="Most clips in one batch; fewer where the runtime is faster so")
    stem_memory_mb: int = Field(
        512,
        ge=0,
        description="Memory in which each network keeps what a person's next clip shares with the last; 0: none",
    )
    stream_memory_mb: int = Field(
        4096, ge=0, description="Memory limit of one stream's process against hostile media; 0: none"
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for machines")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line shown")

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not _ROOT_PATH.fullmatch(path):
            raise ValueError(
                "expected a path such as /cameras: letters, digits and -._~ between slashes, not /v1 or /web"
            )
        return path

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError:
                raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, got {each}") from None
        return value

    @field_validator("media_roots", "hls_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)  # a JSONDecodeError is a ValueError, which pydantic reports
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("detector", "appearance", mode="before")
    @classmethod
    def _default_words(cls, value: Any) -> Any:
        return None if value in ("auto", "mobilenet", "") else value

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, value: str) -> str:
        try:
            parse_runtime(value)
        except RuntimeError as error:  # its message says what there is
            raise ValueError(str(error)) from error
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment; no files."""
        return init_settings, env_settings

    def sqlalchemy_url(self) -> str:
        """The database's URL with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / 'actoscope.db').resolve()}"

    @property
    def recordings_dir(self) -> Path:
        return self.data_dir / "recordings"

    @property
    def cache_dir(self) -> Path:
        """Converted networks and what was measured of them."""
        return self.data_dir / "cache"


def load_settings(**overrides: Any) -> Settings:
    """The environment, with ``overrides`` on top. Raises SettingsError."""
    check_names(os.environ)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = [_explain(item) for item in error.errors(include_url=False, include_input=True)]
    raise SettingsError("; ".join(problems))


def check_names(environment: Mapping[str, str]) -> None:
    """Raises SettingsError for a variable with our prefix that is no setting: a typing error must not pass unseen."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in environment:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not upper.startswith(TEST_PREFIX):
            close = difflib.get_close_matches(upper, known, n=3, cutoff=0.6)
            hint = f"; did you mean {' or '.join(close)}?" if close else "; `actoscope settings` lists them"
            raise SettingsError(f"unknown setting {name}{hint}")


def _explain(item: Any) -> str:
    name = PREFIX + ".".join(str(part) for part in item["loc"][:1]).upper()
    got = "" if name == f"{PREFIX}DATABASE_URL" else f", got {item['input']!r}"
    return f"{name}: {item['msg']}{got}"


def settings_table() -> str:
    """→ a Markdown table of every setting: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{_shown_default(name, field.default)}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def _shown_default(name: str, default: Any) -> str:
    if name == "weights_dir":
        return "weights"
    words = {"detector": "auto", "appearance": "auto", "database_url": "sqlite"}
    if default is None or default == "":
        return words.get(name, "none")
    if isinstance(default, tuple):
        return ",".join(default) or "[]"
    return str(default).lower() if isinstance(default, bool) else str(default)
