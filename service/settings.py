"""What the operator can set. The only reader of the environment: variables ``ACTOSCOPE_<FIELD>``, read once."""

from __future__ import annotations

import difflib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.clips import ClipConfig
from service.environment.values import (
    BaseUrl,
    Folders,
    FoundNetwork,
    Header,
    LogLevel,
    Networks,
    Origins,
    Page,
    RoleMap,
    RootPath,
    Runtime,
    StorePlace,
    Texts,
    ZoneName,
    is_loopback,
    loopback_among,
    node_name,
)
from service.errors_base import ServiceError

PREFIX = "ACTOSCOPE_"
TEST_PREFIX = "ACTOSCOPE_TEST_"  # read by the test suite, in whose environment commands run too
AUTO = ("detector", "appearance", "pose_weights")  # networks that are found where none is named
_EXTRAS_FLOOR = 3  # times what recordings leave free
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
    tls_cert: Path | None = Field(
        None, description="Certificate chain (PEM) to serve https with; exchanged under way when the file changes"
    )
    tls_key: Path | None = Field(None, description="The certificate's key (PEM, without a password)")
    root_path: RootPath = Field(
        "", description="Path below which a reverse proxy publishes the service, such as `/cameras` (docs/proxy.md)"
    )
    public_url: BaseUrl = Field(
        "", description="Where people reach the service, such as `https://cameras.example`: links in messages begin so"
    )
    trusted_proxies: Networks = Field(
        ("127.0.0.1", "::1"),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-Host`, `-Proto`, `-For` are believed",
    )
    hosts: Texts = Field(
        (),
        description="Values of `Host` that requests may have, others are answered 421; default: any. This machine may "
        "always call itself by its loopback names",
    )
    origins: Origins = Field(
        (), description="Web pages besides our own that may change things, where a proxy hides the host: `https://name`"
    )
    proxy_user_header: Header = Field(
        "", description="Header in which an authenticating proxy names the user: `Remote-User` (docs/proxy.md)"
    )
    proxy_groups_header: Header = Field("Remote-Groups", description="Header in which it names the user's groups")
    proxy_separator: str = Field(",", min_length=1, max_length=4, description="What stands between groups there")
    proxy_role_map: RoleMap = Field(
        default_factory=dict,
        description='Groups of each role as JSON: `{"admin": ["sysadmins"], "viewer": ["*"]}`; `*` is everyone',
    )
    proxy_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="What the proxy has to send as `X-Proxy-Secret`; must be set for one on this machine",
    )
    logout_url: Page = Field("", description="Where somebody goes who logs out, such as the proxy's own page")
    audit_media: bool = Field(False, description="Whether the audit says who looked at pictures and recordings")
    data_dir: Path = Field(Path("data"), description="All state: database, recordings, caches, the key for source URLs")
    weights_dir: Path = Field(
        default_factory=default_weights_dir, description="Folder of the networks, one sub-folder each"
    )
    database_url: SecretStr | None = Field(
        None, description="`postgresql+psycopg://user:password@host/name`; default: SQLite in the data folder"
    )
    store: StorePlace = Field(
        "",
        description="`s3://bucket/prefix` (recordings go there too: docs/s3.md), or a folder: what commands push",
    )
    s3_endpoint: BaseUrl = Field("", description="URL of a service that is compatible with S3; default: AWS's own")
    media_roots: Folders = Field((), description="Folders whose files may be used as sources; none by default")
    hls_hosts: Texts = Field(
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
    runtime: Runtime = Field(
        "auto",
        description="How networks are run: `tensorflow`, `tensorflow-xla`, `openvino`, `onnx`, `litert`, `savedmodel`, "
        "with a precision if need be (`openvino:int8`); `auto`: what the network's card says, else the fastest here, "
        "measured at the first start",
    )
    detector: FoundNetwork = Field(
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
    appearance: FoundNetwork = Field(
        None, description="network (ONNX, OpenVINO) for appearance features; auto: weights/appearance, else MobileNetV2"
    )
    pose_weights: FoundNetwork = Field(
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
    recordings_local_hours: float = Field(
        24, ge=0, description="Hours that recordings stay on this disk once they are in the bucket (docs/s3.md)"
    )
    recordings_min_free_mb: int = Field(
        500, ge=0, description="Recording pauses while the disk has less free space; cases, corrections at 3 times that"
    )
    incidents_max_age_days: float = Field(30, gt=0, description="Older incidents go, and what is recorded of them")
    incidents_max_gb: float = Field(5, gt=0, description="Above this total of pictures and clips the oldest go")
    timezone: ZoneName | None = Field(
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
    cluster_ports: int = Field(
        0,
        ge=0,
        le=65_436,
        description="First of 100 ports at which this machine listens for its cluster; 0: any (docs/cluster.md)",
    )
    cluster_site: str = Field("", max_length=60, description="Where this node is, for streams that are bound to a site")
    cluster_capacity: int = Field(
        0, ge=0, description="Most streams that this node takes; 0: two for each of its cores"
    )
    cluster_classify: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether this node classifies clips of others; `auto`: where an NVIDIA GPU is (docs/cluster.md)",
    )
    cluster_borrow: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether other nodes classify this one's clips; `auto`: where it cannot afford the full network",
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
    sink_hosts: Texts = Field(
        (),
        description="Hosts on this machine (`localhost`, `127.0.0.1`) that webhooks and e-mail may go to",
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people or for machines")
    log_level: LogLevel = Field("info", description="Least severe log line shown")

    @model_validator(mode="after")
    def _pair(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS_CERT and TLS_KEY are given together, or neither")
        return self

    @model_validator(mode="after")
    def _proxy_is_safe(self) -> Settings:
        if not self.proxy_user_header:
            return self
        if not any(self.proxy_role_map.values()):
            raise ValueError("PROXY_USER_HEADER needs PROXY_ROLE_MAP: nobody would have a role")
        here = loopback_among(self.trusted_proxies)
        if here and self.proxy_secret is None:
            raise ValueError(
                f"PROXY_USER_HEADER needs PROXY_SECRET, or TRUSTED_PROXIES without {here[0]}: "
                "any program on this machine could name itself a user"
            )
        return self

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
        return is_loopback(self.host)

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


def _explain(item: Any) -> str:
    if not item["loc"]:  # of several settings together
        return f"{PREFIX}…: {str(item['msg']).removeprefix('Value error, ')}"
    name = PREFIX + ".".join(str(part) for part in item["loc"][:1]).upper()
    secret = name in (f"{PREFIX}DATABASE_URL", f"{PREFIX}PROXY_SECRET", f"{PREFIX}STORE", f"{PREFIX}S3_ENDPOINT")
    got = "" if secret else f", got {item['input']!r}"
    return f"{name}: {item['msg']}{got}"
