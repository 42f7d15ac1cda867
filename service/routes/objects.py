"""The object that a path names: found where whoever asks may see it, handed on where it may be used as the route does.

A foreign object and one that does not exist are the same 404; one that may be seen but not used so is a 403.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from service.errors_base import Forbidden, not_found
from service.rights import PERMISSIONS, Principal, Role, needed
from service.routes.context import Here, Who
from service.storage.incidents import IncidentRecord
from service.storage.records import RecordingRecord, StreamRecord
from service.storage.rules import RuleRecord

_STREAM = re.compile(r"str_[0-9a-f]{16}")
_RECORDING = re.compile(r"rec_[0-9a-f]{16}")
_RULE = re.compile(r"rul_[0-9a-f]{16}")
_INCIDENT = re.compile(r"inc_[0-9a-f]{16}")


def stream_id(stream_id: Annotated[str, Path(description="id of a stream", examples=["str_0123456789abcdef"])]) -> str:
    """A text that cannot be an id is not worth a look into the database. Raises NotFound."""
    if not _STREAM.fullmatch(stream_id):
        raise not_found("stream", stream_id)
    return stream_id


StreamId = Annotated[str, Depends(stream_id)]


async def find_stream(stream_id: StreamId, here: Here, who: Who, connection: HTTPConnection) -> StreamRecord:
    """Raises NotFound and Forbidden."""
    record = await here.registry.get(stream_id, who.visible)
    check_may(connection, who, record.id)
    return record


async def find_recording(
    recording_id: Annotated[str, Path(description="id of a recording", examples=["rec_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> RecordingRecord:
    """Raises NotFound and Forbidden."""
    known = _RECORDING.fullmatch(recording_id)
    record = await here.store.get_recording(recording_id, who.visible) if known else None
    if record is None:
        raise not_found("recording", recording_id)
    check_may(connection, who, record.stream_id)
    return record


async def find_rule(
    rule_id: Annotated[str, Path(description="id of a rule", examples=["rul_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> RuleRecord:
    """One that looks at several streams may be used by who may so with each. Raises NotFound and Forbidden."""
    record = await here.alerts.rules.get(rule_id, who.visible) if _RULE.fullmatch(rule_id) else None
    if record is None:
        raise not_found("rule", rule_id)
    permission = needed(connection.scope["endpoint"]) or ""
    if PERMISSIONS[permission].role is not Role.VIEWER and not _may_everywhere(who, permission, record):
        raise Forbidden(f"expected the permission {permission} for every stream of the rule, which you do not have")
    return record


async def find_incident(
    incident_id: Annotated[str, Path(description="id of an incident", examples=["inc_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> IncidentRecord:
    """Raises NotFound and Forbidden."""
    known = _INCIDENT.fullmatch(incident_id)
    record = await here.alerts.incidents.get(incident_id, who.visible) if known else None
    if record is None:
        raise not_found("incident", incident_id)
    check_may(connection, who, record.stream_id)
    return record


def _may_everywhere(who: Principal, permission: str, rule: RuleRecord) -> bool:
    """A rule for all streams asks for the permission on all, which the role on ``*`` alone gives."""
    streams = rule.body["streams"] or [""]
    return all(who.may(permission, stream_id) for stream_id in streams)


def check_may(connection: HTTPConnection, who: Principal, stream_id: str) -> None:
    """Raises Forbidden where the principal may do what the route does, but not with this stream."""
    permission = needed(connection.scope["endpoint"])
    if permission is None:
        raise TypeError(f"expected {connection.scope['endpoint']} to declare what it needs")
    check_permission(who, permission, stream_id)


def check_permission(who: Principal, permission: str, stream_id: str | None = None) -> None:
    """Raises Forbidden; ``stream_id`` None: where the principal may so with no stream."""
    if not who.may(permission, stream_id):
        place = "" if stream_id is None else f" for stream {stream_id}"
        raise Forbidden(f"expected the permission {permission}{place}, which you do not have")


FoundStream = Annotated[StreamRecord, Depends(find_stream)]
FoundRecording = Annotated[RecordingRecord, Depends(find_recording)]
FoundRule = Annotated[RuleRecord, Depends(find_rule)]
FoundIncident = Annotated[IncidentRecord, Depends(find_incident)]
