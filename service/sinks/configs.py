"""What a sink of each kind is told. Fields of type SecretStr are sealed in the database and never shown again."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from string import Template
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from service.storage.sinks import SinkRecord

SHOWN = "***"  # stands for a secret in answers; in a request it means: as it is

_HOST = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$|^[0-9A-Fa-f:.]{2,45}$"
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.6.2
_OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent", "te", "upgrade"}
    | {"webhook-id", "webhook-timestamp", "webhook-signature", "expect", "trailer", "keep-alive", "proxy-connection"}
)
_URL_EXPECTED = "expected a URL such as https://host.example/path"
MAIL_NAMES = ("rule", "action", "stream", "zone", "severity", "time", "event", "link")

Host = Annotated[str, StringConstraints(pattern=_HOST)]
Line = Annotated[str, StringConstraints(max_length=300, pattern=_PRINTABLE)]
Address = Annotated[str, StringConstraints(max_length=254, pattern=r"^[!-~]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,188})$")]


def _certificates(pem: str) -> str:
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise ValueError("expected certificates in PEM") from None
    return pem


Certificates = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_certificates)]
_CA = Field(None, description="PEM of the authority that is trusted instead of the system's")


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    stream_events: bool = Field(False, description="also told when a stream fails and when it is back")


class WebhookConfig(Config):
    """POSTs signed by Standard Webhooks 1.0.0. The URL is sealed too: its path is often a key."""

    url: SecretStr = Field(max_length=2048, description="http or https URL, without user and password")
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=20, description="further headers")
    ca: Certificates | None = _CA

    @field_validator("url")
    @classmethod
    def _web(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value

    @field_validator("headers")
    @classmethod
    def _safe(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if not _TOKEN.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise ValueError("expected names of headers that the service does not set itself")
            text = content.get_secret_value()
            if len(text) > 2000 or not text.isascii() or not text.isprintable():
                raise ValueError("expected values of at most 2000 printable ASCII characters")
        return value


class MqttConfig(Config):
    """A broker, Home Assistant's among them."""

    host: Host
    port: int = Field(1883, ge=1, le=65535, description="usually 8883 with TLS")
    tls: bool = False
    ca: Certificates | None = _CA
    username: SecretStr | None = Field(None, max_length=200)
    password: SecretStr | None = Field(None, max_length=1000)
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,3}$")] = "actoscope"
    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,60}$")] | None = Field(
        None, description="this service among others at the broker; default: the operator's ACTOSCOPE_NODE"
    )
    discovery: Literal["device", "component", "off"] | None = Field(
        None, description="how Home Assistant finds streams; default: the operator's ACTOSCOPE_MQTT_DISCOVERY"
    )
    allow_commands: bool = Field(False, description="whether the broker may switch and suspend alerts")


class EmailConfig(Config):
    """Letters by SMTP, with the incident's picture."""

    host: Host
    port: int = Field(587, ge=1, le=65535, description="usually 587 with STARTTLS, 465 with TLS")
    tls: Literal["starttls", "tls"] = "starttls"
    ca: Certificates | None = _CA
    username: SecretStr | None = Field(None, max_length=200)
    password: SecretStr | None = Field(None, max_length=1000)
    sender: Address
    recipients: list[Address] = Field(min_length=1, max_length=20)
    subject: Line | None = Field(None, description=f"template; names: {', '.join('$' + n for n in MAIL_NAMES)}")
    text: Annotated[str, StringConstraints(max_length=4000)] | None = Field(None, description="template, likewise")

    @field_validator("subject", "text")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        if value is not None:
            check_template(value)
        return value


CONFIGS: Mapping[str, type[Config]] = {"webhook": WebhookConfig, "mqtt": MqttConfig, "email": EmailConfig}


def check_template(text: str) -> None:
    """Raises ValueError for a name that no letter has."""
    for match in Template.pattern.finditer(text):
        name = match.group("named") or match.group("braced")
        if match.group("invalid") is not None or (name is not None and name not in MAIL_NAMES):
            raise ValueError(f"expected names out of {', '.join('$' + each for each in MAIL_NAMES)}; $$ is a dollar")


def check_url(url: str) -> None:
    """Raises ValueError, which does not repeat the URL."""
    if not url.isprintable() or " " in url:
        raise ValueError(_URL_EXPECTED)
    try:
        parsed = httpx.URL(url)
        port_ok = parsed.port is None or 0 < parsed.port < 65536
    except (httpx.InvalidURL, ValueError):
        raise ValueError(_URL_EXPECTED) from None
    if parsed.scheme not in ("http", "https") or not parsed.host or not port_ok:
        raise ValueError(_URL_EXPECTED)
    if parsed.userinfo or parsed.fragment:
        raise ValueError("expected a URL without user, password and fragment; an Authorization header can be added")


# -- what is stored: the plain half beside the sealed one


def split(config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """→ what may be read in the database, and what is sealed."""
    plain, secrets = {}, {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if is_secret(type(config), name):
            secrets[name] = _revealed(value)
        else:
            plain[name] = value
    return plain, secrets


def load(record: SinkRecord) -> Config:
    """Raises ValueError where the record lacks its secrets or is of a kind that nobody knows."""
    kind = CONFIGS.get(record.kind)
    if kind is None or not record.readable:
        raise ValueError("its secrets cannot be decrypted: give them again (PATCH)" if kind else "unknown kind")
    names = [name for name in kind.model_fields if is_secret(kind, name) and name in record.secrets]
    return kind.model_validate({**record.config, **{name: record.secrets[name] for name in names}})


def shown(record: SinkRecord) -> dict[str, Any]:
    """→ the configuration for answers: ``***`` for every secret that there is."""
    result = dict(record.config)
    for name, value in record.secrets.items():
        if name in CONFIGS[record.kind].model_fields:
            masked = SHOWN if value else None
            result[name] = dict.fromkeys(value, SHOWN) if isinstance(value, dict) else masked
    return result


def merged(record: SinkRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """→ the configuration with what was given; ``***`` leaves a secret as it is."""
    before: dict[str, Any] = {**record.config, **record.secrets}
    before = {name: value for name, value in before.items() if name in CONFIGS[record.kind].model_fields}
    kept = {name: _kept(before.get(name), value) for name, value in changes.items()}
    return {**before, **kept}


def _kept(old: Any, new: Any) -> Any:
    if new == SHOWN:
        return old
    if isinstance(new, dict):
        known = old if isinstance(old, dict) else {}
        return {key: known.get(key) if value == SHOWN else value for key, value in new.items()}
    return new


def is_secret(kind: type[Config], name: str) -> bool:
    return "SecretStr" in str(kind.model_fields[name].annotation)


def _revealed(value: SecretStr | dict[str, SecretStr] | None) -> Any:
    if isinstance(value, dict):
        return {name: each.get_secret_value() for name, each in value.items()}
    return None if value is None else value.get_secret_value()
