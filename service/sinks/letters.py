"""Letters in plain words, from messages of the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from string import Template
from typing import Any

from service.sinks.configs import EmailConfig
from service.sinks.sender import OutboxMessage
from service.wire_messages import rfc3339

MAX_SUBJECT = 200
MAX_VALUE = 300  # of a name in a template
EVENTS = {
    "incident.started": "It has begun",
    "incident.updated": "It goes on",
    "incident.ended": "It is over",
    "incident.clip_ready": "Its video is ready",
    "incident.summary": "Several incidents, told together",
    "stream.failed": "A camera has failed",
    "stream.recovered": "A camera is back",
    "sink.disabled": "Messages no longer reach a receiver",
    "test.ping": "A test message",
}
_INCIDENT_SUBJECT = Template("$rule: $action, $stream")
_INCIDENT_TEXT = Template(
    "$event.\n\nRule: $rule\nAction: $action\nCamera: $stream\nZone: $zone\nSeverity: $severity\nTime: $time\n\n$link\n"
)


def letter(config: EmailConfig, message: OutboxMessage, jpeg: bytes | None) -> EmailMessage:
    """→ a letter whose Message-ID is the same at every attempt; letters of one incident are one conversation."""
    domain = config.sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = config.sender, ", ".join(config.recipients)
    mail["Subject"] = subject(config, message)
    mail["Date"] = formatdate(message.created_at)
    mail["Message-ID"] = f"<{message.name}.{message.sink_id}@{domain}>"
    if message.incident_id is not None:
        mail["References"] = f"<{message.incident_id}.{message.sink_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(config, message))
    if jpeg is not None:
        mail.add_attachment(jpeg, maintype="image", subtype="jpeg", filename=f"{message.incident_id}.jpg")
    return mail


def subject(config: EmailConfig, message: OutboxMessage) -> str:
    values = words(message)
    if config.subject is not None:
        filled = Template(config.subject).safe_substitute(values)
    elif _of_one_incident(message):
        filled = _INCIDENT_SUBJECT.substitute(values)
    else:
        filled = f"Actoscope: {values['event']}"
    return _line(filled)[:MAX_SUBJECT]


def text(config: EmailConfig, message: OutboxMessage) -> str:
    values = words(message)
    if config.text is not None:
        return Template(config.text).safe_substitute(values)
    if _of_one_incident(message):
        lines = _INCIDENT_TEXT.substitute(values).splitlines()
        return "\n".join(line for line in lines if not line.endswith(": -")).rstrip() + "\n"
    told = "\n".join(f"{name}: {value}" for name, value in _flat(message.data))
    return f"{values['event']}.\n\nTime: {values['time']}\n{told}\n"


def words(message: OutboxMessage) -> dict[str, str]:
    """→ what stands for each name of a template; ``-`` for what the message does not tell."""
    incident = _part(message.data, "incident")
    summary = _part(message.data, "summary")
    stream = _part(message.data, "stream") or _part(incident, "stream")
    links = _part(message.data, "links")
    link = next((links[name] for name in ("incident", "clip", "snapshot", "page") if links.get(name)), "")
    told = {
        "event": EVENTS.get(message.type, message.type),
        "rule": _first(incident, "rule_name", "rule_id") or _first(summary, "rule_name"),
        "action": _first(incident, "action"),
        "stream": stream.get("name") or _first(incident, "stream_name", "stream_id") or message.stream_id,
        "zone": _first(incident, "zone"),
        "severity": _first(incident, "severity"),
        "time": _first(incident, "started_at") or rfc3339(message.created_at),
    }
    return {name: _line(str(value or "-"))[:MAX_VALUE] for name, value in told.items()} | {"link": _line(str(link))}


def _of_one_incident(message: OutboxMessage) -> bool:
    return bool(_part(message.data, "incident"))


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def _first(part: Mapping[str, Any], *names: str) -> Any:
    return next((part[name] for name in names if isinstance(part.get(name), str) and part[name]), None)


def _flat(data: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name} ")
        else:
            found.append((f"{before}{name}", _line(str(value))[:MAX_VALUE]))
    return found


def _line(value: str) -> str:
    """One line that no header can be smuggled in by."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
