"""What the operator can set. The only reader of the environment: variables ``ACTOSCOPE_<FIELD>``, read once."""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from models.errors import StoreError
from models.runtimes.runner import parse_runtime
from models.store.address import parse_place
from pipeline.clips import ClipConfig
from service.errors_base import ServiceError
from service.local_time.zones import zone_named
from service.rights import Role

PREFIX = "ACTOSCOPE_"
TEST_PREFIX = "ACTOSCOPE_TEST_"  # read by the test suite, in whose environment commands run too
# Not where our own paths begin: a proxy may take the root path off or leave it.
_ROOT_PATH = re.compile(r"(?!/(?:v1|web)(?:/|$))(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-_\[\]:]+")
_BASE = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
AUTO = ("detector", "appearance", "pose_weights")  # networks that are found where none is named
_EXTRAS_FLOOR = 3  # times what recordings leave free
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_REPOSITORY = Path(__file__).resolve().parent.parent


def node_name(host: str) -> str:
    """→ a host's name as it can stand in a topic: ``cam.lan`` → ``cam-lan``."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", host).strip("-")[:60] or "actoscope"


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
    tls_cert: Path | None = Field(
        None, description="Certificate chain (PEM) to serve https with; exchanged under way when the file changes"
    )
    tls_key: Path | None = Field(None, description="The certificate's key (PEM, without a password)")
    root_path: str = Field(
        "", description="Path below which a reverse proxy publishes the service, such as `/cameras` (docs/proxy.md)"
    )
    public_url: str = Field(
        "", description="Where people reach the service, such as `https://cameras.example`: links in messages begin so"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-Host`, `-Proto`, `-For` are believed",
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Values of `Host` that requests may have, others are answered 421; default: any. This machine may "
        "always call itself by its loopback names",
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Web pages besides our own that may change things, where a proxy hides the host: `https://name`"
    )
    proxy_user_header: str = Field(
        "", description="Header in which an authenticating proxy names the user: `Remote-User` (docs/proxy.md)"
    )
    proxy_groups_header: str = Field("Remote-Groups", description="Header in which it names the user's groups")
    proxy_separator: str = Field(",", min_length=1, max_length=4, description="What stands between groups there")
    proxy_role_map: Annotated[dict[Role, tuple[str, ...]], NoDecode] = Field(
        default_factory=dict,
        description='Groups of each role as JSON: `{"admin": ["sysadmins"], "viewer": ["*"]}`; `*` is everyone',
    )
    proxy_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="What the proxy has to send as `X-Proxy-Secret`; must be set for one on this machine",
    )
    logout_url: str = Field("", description="Where somebody goes who logs out, such as the proxy's own page")
    audit_media: bool = Field(False, description="Whether the audit says who looked at pictures and recordings")
    data_dir: Path = Field(Path("data"), description="All state: database, recordings, caches, the key for source URLs")
    weights_dir: Path = Field(
        default_factory=default_weights_dir, description="Folder of the networks, one sub-folder each"
    )
    database_url: SecretStr | None = Field(
        None, description="`postgresql+psycopg://user:password@host/name`; default: SQLite in the data folder"
    )
    store: str = Field(
        "", description="`s3://bucket/prefix`, or a folder, where commands keep data sets and models (docs/batch.md)"
    )
    s3_endpoint: str = Field("", description="URL of a service that is compatible with S3; default: AWS's own")
    media_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders whose files may be used as sources; none by default"
    )
    hls_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts trusted to serve HLS playlists; none by default, since a playlist can name any host"
    )
    camera_ca: Path | None = Field(
        None,
        description="Certificates (PEM) that cameras of `rtsps` and `https` are trusted by, instead of the system's",
    )
    max_pixels: int = Field(
        4096 * 2304, ge=64 * 64, description="Largest picture (width × height) that a source may have"
    )
    model: str = Field("surveillance", min_length=1, description="Action network of streams that name none")
    base_data: Path | None = Field(
        None,
        description="Data set that the network was made of: a retrained version learns from it too, and is held to it",
    )
    training_label_age_s: float = Field(
        1.0,
        gt=0,
        description="A training pauses while one label in twenty is older, and older than before (docs/retraining.md)",
    )
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
    pose_weights: Path | None = Field(
        None,
        description="YOLO pose network for exercises: `.pt`, `.onnx` or OpenVINO folder; auto: weights/pose, if any",
    )
    exercise_rules: Path | None = Field(
        None, description="JSON file with thresholds of exercises that differ from the usual ones (docs/exercises.md)"
    )
    clip_hop: int = Field(
        ClipConfig.hop, ge=1, le=64, description="Crops between two classified clips of a person, 25 a second"
    )
    first_clip: int = Field(
        ClipConfig.provisional_from, ge=1, le=64, description="Crops that make a new person's first, provisional clip"
    )
    motion: bool = Field(True, description="Whether the motion of boxes speaks beside networks; off: cameras that move")
    record: bool | Literal["incidents"] = Field(
        False,
        description="Whether streams are recorded by default; `incidents`: what incidents show, and ten minutes",
    )
    record_overlay: bool = Field(False, description="Whether boxes and labels are drawn into recordings by default")
    segment_s: float = Field(60, ge=2, le=3600, description="Length of one recorded file in seconds")
    recordings_max_age_days: float = Field(14, gt=0, description="Older recordings are deleted")
    recordings_max_gb: float = Field(20, gt=0, description="The oldest recordings are deleted above this total")
    recordings_min_free_mb: int = Field(
        500, ge=0, description="Recording pauses while the disk has less free space; cases, corrections at 3 times that"
    )
    incidents_max_age_days: float = Field(30, gt=0, description="Older incidents go, and what is recorded of them")
    incidents_max_gb: float = Field(5, gt=0, description="Above this total of pictures and clips the oldest go")
    timezone: str | None = Field(
        None, description="Zone of times of day, as `Europe/Berlin` (IANA); none: each browser's own, UTC in the API"
    )
    audit_share: float = Field(
        0.01, ge=0, le=1, description="Share of people whose events measure networks and never train them; 0: none"
    )
    messages_keep: int = Field(100_000, ge=100, description="Messages kept for replay with `since_seq`")
    tracks_hz: float = Field(10, gt=0, le=60, description="`tracks` messages a second and stream, at most")
    subscriber_queue: int = Field(256, ge=8, description="Messages that may wait for one websocket subscriber")
    max_streams: int = Field(16, ge=1, description="How many streams may exist")
    max_subscribers: int = Field(256, ge=1, description="How many websockets may be open")
    node: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9_-]{1,60}$",
        description="Name of this service among others at one MQTT broker (docs/mqtt.md); default: the host's name",
    )
    cluster: bool = Field(False, description="Whether this API stands for a cluster's lead (docs/cluster.md)")
    cluster_token: Path | None = Field(
        None,
        description="File with the cluster's token, its owner's alone; without one the cluster mode does not start",
    )
    cluster_host: str = Field("", description="Address by which a cluster's machines reach this one; default: found")
    cluster_port: int = Field(6379, ge=1, le=65535, description="Port at which nodes join the API that leads")
    cluster_site: str = Field("", max_length=60, description="Where this node is, for streams that are bound to a site")
    cluster_capacity: int = Field(
        0, ge=0, description="Most streams that this node takes; 0: two for each of its cores"
    )
    mqtt_discovery: Literal["device", "component", "off"] = Field(
        "device", description="How Home Assistant finds streams, for MQTT sinks that do not say otherwise"
    )
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
    sink_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts on this machine (`localhost`, `127.0.0.1`) that webhooks and e-mail may go to",
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

    @model_validator(mode="after")
    def _pair(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS_CERT and TLS_KEY are given together, or neither")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError:
                raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, got {each}") from None
        return value

    @field_validator("origins")
    @classmethod
    def _pages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not _ORIGIN.fullmatch(each):
                raise ValueError(f"expected origins such as https://cameras.example, got {each}")
        return value

    @field_validator("proxy_role_map", mode="before")
    @classmethod
    def _json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("proxy_user_header", "proxy_groups_header")
    @classmethod
    def _header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            raise ValueError("expected the name of a header, such as Remote-User")
        return value

    @field_validator("store")
    @classmethod
    def _store(cls, value: str) -> str:
        try:
            parse_place(value)
        except StoreError as error:  # its message shows no credential
            raise ValueError(str(error)) from error
        return value

    @field_validator("public_url", "s3_endpoint")
    @classmethod
    def _base(cls, value: str) -> str:
        if value and not _BASE.fullmatch(value):
            raise ValueError("expected an http or https URL without a query, such as https://cameras.example")
        return value.rstrip("/")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else zone_named(value).key

    @field_validator("logout_url")
    @classmethod
    def _web_page(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://", "/")):
            raise ValueError("expected an http or https URL, or a path")
        return value

    @model_validator(mode="after")
    def _proxy_is_safe(self) -> Settings:
        if not self.proxy_user_header:
            return self
        if not any(self.proxy_role_map.values()):
            raise ValueError("PROXY_USER_HEADER needs PROXY_ROLE_MAP: nobody would have a role")
        here = [each for each in map(_network, self.trusted_proxies) if _holds_loopback(each)]
        if here and self.proxy_secret is None:
            raise ValueError(
                f"PROXY_USER_HEADER needs PROXY_SECRET, or TRUSTED_PROXIES without {here[0]}: "
                "any program on this machine could name itself a user"
            )
        return self

    @field_validator("media_roots", "hls_hosts", "trusted_proxies", "hosts", "origins", "sink_hosts", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)  # a JSONDecodeError is a ValueError, which pydantic reports
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator(*AUTO, mode="before")
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

    @property
    def node_name(self) -> str:
        """The name of this service at an MQTT broker."""
        return self.node or node_name(socket.gethostname())

    def sqlalchemy_url(self) -> str:
        """The database's URL with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / 'actoscope.db').resolve()}"

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def extras_min_free_bytes(self) -> int:
        """What cases and clips of corrections leave free: so much that they alone never make recording pause."""
        return _EXTRAS_FLOOR * self.recordings_min_free_mb * 1_000_000

    @property
    def recordings_dir(self) -> Path:
        return self.data_dir / "recordings"

    @property
    def incidents_dir(self) -> Path:
        """Pictures and clips of incidents."""
        return self.data_dir / "incidents"

    @property
    def corrections_dir(self) -> Path:
        """Verdicts of people with their clips."""
        return self.data_dir / "corrections"

    @property
    def trainings_dir(self) -> Path:
        """What trainings that are under way have made so far."""
        return self.data_dir / "trainings"

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


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _holds_loopback(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    loopback = "127.0.0.0/8" if network.version == 4 else "::1/128"
    return network.overlaps(_network(loopback))


def _explain(item: Any) -> str:
    if not item["loc"]:  # of several settings together
        return f"{PREFIX}…: {str(item['msg']).removeprefix('Value error, ')}"
    name = PREFIX + ".".join(str(part) for part in item["loc"][:1]).upper()
    secret = name in (f"{PREFIX}DATABASE_URL", f"{PREFIX}PROXY_SECRET", f"{PREFIX}STORE", f"{PREFIX}S3_ENDPOINT")
    got = "" if secret else f", got {item['input']!r}"
    return f"{name}: {item['msg']}{got}"
