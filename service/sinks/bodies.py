"""Bodies of /v1/sinks and /v1/deliveries. No answer holds a secret but the one that makes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.bodies import Name, PageQuery, Request, Text
from service.sinks.configs import EmailConfig, MqttConfig, WebhookConfig, shown
from service.sinks.sender import Delivered
from service.storage.outbox import DeliveryRecord
from service.storage.sinks import SinkRecord
from service.wire_messages import rfc3339

DeliveryState = Literal["pending", "leased", "delivered", "dead", "expired"]
SinkKind = Literal["webhook", "mqtt", "email"]

_WEBHOOK: dict[str, Any] = {
    "kind": "webhook",
    "name": "Control room",
    "config": {"url": "https://alarms.example/actoscope", "headers": {"Authorization": "Bearer …"}},
}
_MQTT: dict[str, Any] = {
    "kind": "mqtt",
    "name": "Home Assistant",
    "config": {"host": "192.0.2.10", "username": "a", "password": "…"},
}
_EMAIL: dict[str, Any] = {
    "kind": "email",
    "name": "Guards",
    "config": {
        **{"host": "mail.example", "username": "actoscope", "password": "…"},
        **{"sender": "actoscope@site.example", "recipients": ["guards@site.example"]},
    },
}


class _Create(Request):
    name: Name = Field(description="for people")
    enabled: bool = True


class WebhookCreate(_Create):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WEBHOOK]})

    kind: Literal["webhook"]
    config: WebhookConfig


class MqttCreate(_Create):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_MQTT]})

    kind: Literal["mqtt"]
    config: MqttConfig


class EmailCreate(_Create):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EMAIL]})

    kind: Literal["email"]
    config: EmailConfig


SinkCreate = Annotated[WebhookCreate | MqttCreate | EmailCreate, Field(discriminator="kind")]


class SinkPatch(Request):
    """What is given changes, the rest stays, within ``config`` too; ``***`` leaves a secret as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"enabled": True}, {"config": {"headers": {}}}]}
    )

    name: Name | None = None
    enabled: bool | None = Field(None, description="true also ends what disabled it")
    config: dict[str, JsonValue] | None = Field(None, max_length=30)


class Rotate(Request):
    overlap_s: float = Field(
        24 * 3600.0, ge=0, le=7 * 24 * 3600.0, description="how long the old secret signs too, in seconds"
    )


class Sink(BaseModel):
    """Where messages go. Secrets in ``config`` are shown as ``***``."""

    id: str = Field(examples=["snk_0123456789abcdef"])
    kind: SinkKind
    name: str = Field(examples=["Control room"])
    enabled: bool
    state: Literal["ok", "failing", "disabled", "unreadable"] = Field(
        description="unreadable: its secrets were sealed with another key and have to be given again"
    )
    disabled_reason: str = Field(examples=["the receiver answered 410: it wants no more messages"])
    failing_since: str | None = Field(description="of the first failure after the last success")
    config: dict[str, Any] = Field(examples=[{"url": "***", "headers": {"Authorization": "***"}, "ca": None}])
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])


class SinkWithSecret(Sink):
    secret: str | None = Field(
        description="of webhooks: what the receiver checks signatures with; shown this once",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )


class TestResult(BaseModel):
    """What became of a message that was sent now."""

    delivered: bool
    delivery_id: str = Field(examples=["msg_17"])
    status: int | None = Field(description="of HTTP or SMTP", examples=[204])
    error: str | None = Field(examples=["no connection: Connection refused"])
    ms: int = Field(description="how long it took")


class DeliveryQuery(PageQuery):
    state: list[DeliveryState] = Field(default_factory=list, max_length=5, description="may be repeated")
    sink: list[Text] = Field(default_factory=list, max_length=100, description="sink id; may be repeated")
    incident: list[Text] = Field(default_factory=list, max_length=100, description="incident id; may be repeated")


class Delivery(BaseModel):
    """One message to one sink, and how it goes."""

    id: str = Field(description="``webhook-id`` of the message", examples=["msg_17"])
    sink_id: str = Field(examples=["snk_0123456789abcdef"])
    incident_id: str | None = Field(examples=["inc_0123456789abcdef"])
    stream_id: str | None = Field(examples=["str_0123456789abcdef"])
    n: int = Field(description="counts within the incident")
    type: str = Field(examples=["incident.started"])
    state: DeliveryState
    attempts: int
    next_at: str | None = Field(description="of the next attempt; null where there is none")
    last_status: int | None = Field(examples=[503])
    last_error: str = Field(examples=["the receiver answered 503"])
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    delivered_at: str | None
    expires_at: str | None = Field(description="then it is told in a summary instead")


def to_sink(record: SinkRecord) -> Sink:
    return Sink(**_facts(record))


def to_sink_with_secret(record: SinkRecord, secret: str | None) -> SinkWithSecret:
    return SinkWithSecret(**_facts(record), secret=secret)


def _facts(record: SinkRecord) -> dict[str, Any]:
    same = ("id", "kind", "name", "enabled", "disabled_reason")
    return {
        **{name: getattr(record, name) for name in same},
        "state": _state(record),
        "failing_since": _time(record.failing_since),
        "config": shown(record),
        "created_at": rfc3339(record.created_at),
    }


def _state(record: SinkRecord) -> str:
    if not record.readable:
        return "unreadable"
    if not record.enabled:
        return "disabled"
    return "ok" if record.failing_since is None else "failing"


def to_delivery(record: DeliveryRecord) -> Delivery:
    same = ("sink_id", "incident_id", "stream_id", "n", "type", "state", "attempts", "last_status", "last_error")
    return Delivery(
        **{name: getattr(record, name) for name in same},
        id=f"msg_{record.id}",
        next_at=rfc3339(record.next_at) if record.state == "pending" else None,
        created_at=rfc3339(record.created_at),
        delivered_at=_time(record.delivered_at),
        expires_at=_time(record.expires_at),
    )


def to_test_result(delivery_id: int, outcome: Any, ms: int) -> TestResult:
    arrived = isinstance(outcome, Delivered)
    error = outcome.note if arrived else outcome.error
    return TestResult(
        delivered=arrived, delivery_id=f"msg_{delivery_id}", status=outcome.status, error=error or None, ms=ms
    )


def _time(unix_s: float | None) -> str | None:
    return None if unix_s is None else rfc3339(unix_s)
