"""Two cameras and everything that a service may know of each, with marks that no stranger's answer may hold."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.orm import Session

from service.access.passwords import Cost, _hash
from service.hub import Hub
from service.routes.alert_bodies import AnyZone, RuleBody
from service.settings import Settings
from service.sinks.signing import new_key, to_plain
from service.storage.access.tables import SessionRow, TokenRow, UserRow
from service.storage.alert_tables import IncidentRow, OutboxRow, RuleRow, SinkRow
from service.storage.cluster.tables import NodeRow
from service.storage.records import StreamRecord
from service.storage.review.export_tables import ExportRow, ExportStreamRow
from service.storage.review.tables import ReviewedRow, VerdictRow
from service.storage.store import Store
from service.storage.tables import Base, EventRow, RecordingRow, StreamRow, ZonesRow
from service.storage.trainings.tables import TrainingRow
from service.stream_state import StreamState
from service.supervisor_protocol import LivePicture, StreamStatus
from service.wire_messages import rfc3339, to_stream_message
from tests.service.scripted import SINCE, ScriptedSupervisor

MODEL = "surveillance"
_TERMS = {"rule_name": "Gate", "severity": "alert", "kind": "action", "group_s": 15, "max_age_s": 3600, "sinks": []}
START = time.time() - 3600  # long ago, but not so long that retention deletes it


@dataclass(frozen=True)
class Camera:
    """One stream and what belongs to it. ``letter`` is ``a`` or ``b``; ids end in sixteen of them."""

    letter: str

    def id(self, kind: str) -> str:
        return f"{kind}_{self.letter * 16}"

    def mark(self, of: str) -> str:
        """→ a text that stands in one place of what is stored, and is found in no other."""
        return f"canary-{self.letter}-{of}"

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.id(kind) for kind in ("str", "evt", "rec", "inc", "rul", "ver", "exp"))

    @property
    def past(self) -> tuple[str, ...]:
        """Marks of what happened at START."""
        kinds = ("action", "video", "sidecar", "clip", "snapshot", "correction", "case", "zip")
        return tuple(self.mark(kind) for kind in kinds)

    @property
    def marks(self) -> tuple[str, ...]:
        """All but ids. The URL's is for those alone who may change the stream."""
        kinds = (
            "name",
            "group",
            "action",
            "rule",
            "watched",
            "zone",
            "video",
            "sidecar",
            "clip",
            "snapshot",
            "case",
            "zip",
            "picture",
            "correction",
        )
        return tuple(self.mark(kind) for kind in (*kinds, "tier"))

    @property
    def record(self) -> StreamRecord:
        return StreamRecord(
            id=self.id("str"),
            name=self.mark("name"),
            url=SecretStr(f"rtsp://user:word@{self.mark('url')}.invalid:554/cam"),
            model=MODEL,
            created_at=START,
            groups=(self.mark("group"),),
        )


A, B = Camera("a"), Camera("b")


class MarkedSupervisor(ScriptedSupervisor):
    """Every picture says whose it is; each stream's state names its camera's place."""

    def status(self, stream_id: str) -> StreamStatus:
        camera = _of(stream_id)
        reason = f"nothing accepts connections at {camera.mark('url')}.invalid:554"
        return StreamStatus(StreamState.RECONNECTING, "refused", reason, SINCE, tier_reason=camera.mark("tier"))

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool = True) -> bytes:
        return _of(stream_id).mark("picture").encode()

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        yield _of(stream_id).mark("picture").encode()

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        yield LivePicture(_of(stream_id).mark("picture").encode(), self.tracks_of(stream_id, 0))

    def metrics_text(self) -> bytes:
        return "".join(f'actoscope_fps{{stream="{camera.id("str")}"}} 1\n' for camera in (A, B)).encode()


def _of(stream_id: str) -> Camera:
    return next((camera for camera in (A, B) if camera.id("str") == stream_id), Camera("x"))


class World:
    """Makes all that is there anew: a request that was allowed may have changed or deleted it."""

    PASSWORD = "correct horse battery"
    # Who and what may be changed without harm to the test.
    USER, TOKEN, SINK, DELIVERY = "usr_1234567890abcdef", "12345678", "snk_1234567890abcdef", "msg_17"
    TRAINING = "trn_1234567890abcdef"

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self.tokens: dict[str, TokenRow] = {}
        self._logged_in: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # name → what the cookie holds, grants
        self._password_hash = _hash(Cost(memory_kib=64, passes=1), self.PASSWORD)

    async def restore(self) -> None:
        for camera in (A, B):
            for path, mark in self._files(camera).items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{camera.mark(mark)} and more bytes")
        await self._store._database.write(self._rows_again)

    def _files(self, camera: Camera) -> Mapping[Path, str]:
        recordings = self._settings.recordings_dir / camera.id("str")
        incident = self._settings.data_dir / "incidents" / camera.id("inc")
        return {
            recordings / "1.mp4": "video",
            recordings / "1.jsonl": "sidecar",
            incident / "clip.mp4": "clip",
            incident / "snapshot.jpg": "snapshot",
            self._settings.data_dir / "exports" / camera.id("exp") / "case.zip": "zip",
            self._settings.corrections_dir / camera.id("ver") / "clip.mp4": "correction",
        }

    def _rows_again(self, session: Session) -> None:
        for kind in {type(row) for row in self._rows()} | {SessionRow, ReviewedRow}:
            session.execute(delete(kind))
        session.add_all(self._rows())

    def _rows(self) -> list[Base]:
        rows: list[Base] = [TokenRow(**columns(token)) for token in self.tokens.values()]
        admin = [{"role": "admin", "streams": "*", "history_since": None}]
        viewer = [{"role": "viewer", "streams": "*", "history_since": None}]
        rows += [self._user("usr_0000000000000001", "root", admin), self._user(self.USER, "nina", viewer)]
        for number, (name, (secret, grants)) in enumerate(self._logged_in.items(), 2):
            user_id = f"usr_{number:016x}"
            rows += [self._user(user_id, name, grants), _session(user_id, secret)]
        rows.append(_token(self.TOKEN, "victim", hashlib.sha256(b"unknown").hexdigest(), ["read"], viewer))
        for camera in (A, B):
            rows += [self._stream(camera), _event(camera), _recording(camera), _incident(camera), _zones(camera)]
            rows += [_rule(camera), _verdict(camera), *_export(camera)]
        return [*rows, self._sink(), _delivery(self.SINK), _training(self.TRAINING), _node()]

    def _sink(self) -> SinkRow:
        """A webhook to a place that the service may not ask: nothing leaves."""
        secrets_of = {"url": "http://127.0.0.1:9/hook", "signing": to_plain([new_key()])}
        sealed = self._store._box.seal(SecretStr(json.dumps(secrets_of)))
        return SinkRow(
            **{"id": self.SINK, "kind": "webhook", "name": "Guards", "config": {}, "secrets_sealed": sealed},
            **{"enabled": True, "created_at": START},
        )

    def _user(self, user_id: str, name: str, grants: list[dict[str, Any]]) -> UserRow:
        given = {"password_hash": self._password_hash, "grants": grants, "enabled": True}
        return UserRow(id=user_id, name=name, key=name, created_at=START, changed_at=START, **given)

    def _stream(self, camera: Camera) -> StreamRow:
        return StreamRow(**self._store._stream_values(camera.record))

    def session(self, name: str, grants: list[dict[str, Any]]) -> str:
        """→ what the cookie of a user holds, whom the next ``restore`` knows."""
        secret = secrets.token_urlsafe(32)
        self._logged_in[name] = (secret, [{"history_since": None, **grant} for grant in grants])
        return secret

    def token(self, name: str, scopes: list[str], grants: list[dict[str, Any]], **changes: Any) -> str:
        """→ the text of a token that the next ``restore`` knows."""
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        given = [{"history_since": None, **grant} for grant in grants]
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        self.tokens[name] = _token(token_id, name, hashed, scopes, given, **changes)
        return f"acto_{token_id}_{secret}"

    async def publish(self, hub: Hub, cameras: Sequence[Camera] = (A, B)) -> None:
        """A message of each kind of each camera."""
        for camera in cameras:
            stream_id = camera.id("str")
            reason = f"nothing accepts connections at {camera.mark('url')}.invalid:554"
            await hub.publish_stream(to_stream_message(stream_id, "reconnecting", "refused", reason))
            await hub.publish_action(_action(camera, "started"))
            await hub.publish_action(_action(camera, "ended"))
            await hub.publish_repetition(_repetition(camera))
            await hub.publish_tracks(_tracks(camera))
        await hub.flush()


def columns(row: Base) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}


def _action(camera: Camera, kind: str) -> dict[str, Any]:
    return {
        **{"type": "action", "event_id": camera.id("evt") + "m", "stream_id": camera.id("str"), "track_id": 7},
        **{"action": camera.mark("action"), "kind": kind, "confidence": 0.9, "start_s": 1.0, "model": MODEL},
        **{"end_s": 2.0 if kind == "ended" else None, "captured_at": rfc3339(time.time())},
    }


def _repetition(camera: Camera) -> dict[str, Any]:
    return {
        **{"type": "repetition", "stream_id": camera.id("str"), "track_id": 7, "exercise": "squat", "count": 1},
        **{"start_s": 1.0, "turn_s": 2.0, "end_s": 3.0, "duration_s": 2.0, "depth_deg": 80.0, "range_deg": 90.0},
        **{"checks": {}, "captured_at": rfc3339(time.time()), "zones": [camera.mark("zone")]},
    }


def _tracks(camera: Camera) -> dict[str, Any]:
    track = {"track_id": 7, "box": [0, 0, 1, 1], "state": "confirmed", "action": camera.mark("action")}
    return {
        **{"type": "tracks", "stream_id": camera.id("str"), "frame_index": 1, "time_s": 1.0, "age_ms": 1},
        **{"captured_at": rfc3339(time.time()), "tracks": [{**track, "confidence": 0.9}]},
    }


def _event(camera: Camera) -> EventRow:
    return EventRow(
        **{"id": camera.id("evt"), "stream_id": camera.id("str"), "track_id": 7, "action": camera.mark("action")},
        **{"kind": "ended", "confidence": 0.9, "peak_confidence": 0.9, "start_s": 1.0, "end_s": 2.0, "last_seq": 0},
        **{"started_at": START, "updated_at": START, "ended_at": START + 1, "model": MODEL},
    )


def _verdict(camera: Camera) -> VerdictRow:
    own = {"id": camera.id("ver"), "event_id": camera.id("evt"), "version": 1, "superseded_by": None}
    return VerdictRow(
        **{**own, "stream_id": camera.id("str"), "stream_name": camera.mark("name"), "track_id": 7, "model": MODEL},
        **{"verdict": "right", "label": camera.mark("action"), "said": camera.mark("action"), "start_s": 1.0},
        **{"end_s": 2.0, "started_at": START, "ended_at": START + 1, "by_id": "local:local", "by": "local"},
        **{"at": START + 60, "split": "train", "near_threshold": False, "group": camera.id("str")},
        **{"clip": "stored", "sha256": "0" * 64},
    )


def _recording(camera: Camera) -> RecordingRow:
    folder = camera.id("str")
    return RecordingRow(
        **{"id": camera.id("rec"), "stream_id": folder, "path": f"{folder}/1.mp4", "events_path": f"{folder}/1.jsonl"},
        **{"started_at": START, "ended_at": START + 60, "start_s": 0.0, "duration_s": 60.0, "bytes": 30},
        **{"frames": 1500, "width": 64, "height": 48},
    )


def _incident(camera: Camera) -> IncidentRow:
    own = camera.id("inc")
    return IncidentRow(
        **{"id": own, "rule_id": camera.id("rul"), "rule_name": camera.mark("rule"), "stream_id": camera.id("str")},
        **{"zone": camera.mark("zone"), "action": camera.mark("action"), "severity": "alert", "state": "ended"},
        **{"tracks": [7], "events": [camera.id("evt")], "confidence": 0.9, "model": MODEL, "start_s": 1.0},
        **{"started_at": START, "updated_at": START, "ended_at": START + 1, "end_s": 2.0, "kept": False},
        terms=_TERMS,
        **{"snapshot_path": f"{own}/snapshot.jpg", "clip_path": f"{own}/clip.mp4", "clip_state": "ready"},
    )


def _rule(camera: Camera) -> RuleRow:
    rule = RuleBody(
        name=camera.mark("rule"),
        streams=[camera.id("str")],
        actions={camera.mark("watched"): 0.5},
        zones=AnyZone(any=[camera.mark("zone")]),
    )
    stored = {"name": rule.name, "enabled": True, "body": rule.stored()}
    return RuleRow(id=camera.id("rul"), snoozed_until=None, created_at=START, **stored)


def _export(camera: Camera) -> list[Base]:
    own, stream = camera.id("exp"), camera.id("str")
    return [
        ExportRow(
            **{
                "id": own,
                "name": camera.mark("case"),
                "state": "done",
                "since": START,
                "until": START + 60,
                "wish": {},
            },
            **{"made_by": "root", "created_at": START, "ended_at": START, "bytes": 30, "sha256": "0" * 64},
        ),
        ExportStreamRow(export_id=own, place=0, stream_id=stream, stream_name="gate", since=START, keep=[]),
    ]


def _node() -> NodeRow:
    """A machine that is gone for good, of a cluster."""
    about = {"incarnation": "inc_1", "version": "0", "site": "yard", "address": "192.0.2.11"}
    loads = {"cores": 4, "gpus": 0, "capacity": 8, "load": 0.0, "ready": False, "draining": False}
    return NodeRow(name="yard-1", started_at=START, seen_at=START, **about, **loads)


def _delivery(sink_id: str) -> OutboxRow:
    return OutboxRow(
        **{"id": 17, "sink_id": sink_id, "incident_id": A.id("inc"), "stream_id": A.id("str"), "n": 1},
        **{"type": "incident.started", "body": {}, "state": "dead", "next_at": START, "created_at": START},
    )


def gate() -> dict[str, Any]:
    """What a gate said: it names every camera."""
    missing = [f"{count} more from {camera.mark('name')}" for count, camera in enumerate((A, B), 3)]
    check = {"name": "audit", "passed": False, "words": f"too few labels: {', '.join(missing)}"}
    return {"passed": False, "checks": [check], "missing": missing}


def _training(training_id: str) -> TrainingRow:
    """One that is over."""
    return TrainingRow(
        **{"id": training_id, "base": MODEL, "config": "quick", "force_count": False, "state": "done", "step": ""},
        **{"progress": 1.0, "reason": "", "by": "root", "created_at": START, "started_at": START, "ended_at": START},
        **{"attempts": 1, "version": f"{MODEL}@2", "gate": gate()},
    )


def _session(user_id: str, secret: str) -> SessionRow:
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    return SessionRow(id=hashed, user_id=user_id, created_at=START, used_at=time.time(), address="", agent="")


def _token(token_id: str, name: str, secret_hash: str, scopes: list[str], grants: Any, **changes: Any) -> TokenRow:
    values = {"expires_at": time.time() + 3600, "used_at": None, "revoked_at": None, **changes}
    given = {"secret_hash": secret_hash, "scopes": scopes, "grants": grants}
    return TokenRow(id=token_id, name=name, made_by="local", created_at=START, **given, **values)


def _zones(camera: Camera) -> ZonesRow:
    polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    zones = [{"name": camera.mark("zone"), "polygon": polygon}]
    return ZonesRow(stream_id=camera.id("str"), zones=zones, changed_at=START)
