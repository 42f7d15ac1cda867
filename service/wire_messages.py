"""The wire, version 1: websocket messages and their making from entities. Imports no web or database library.

A stream process uses this module too, so it must stay light. Boxes on the wire are normalised to 0..1 of the picture,
times of day are RFC 3339 in UTC, media times are seconds.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from pipeline.entities import (
    ActionEvent,
    ClipTally,
    EventKind,
    FrameResult,
    Repetition,
    Track,
    TrackLabel,
    TrackState,
)
from pipeline.geometry import normalise

PROTOCOL = 1
_BOX_DIGITS = 4  # 0.4 pixels of a 4K picture
_SCORE_DIGITS = 4
_TIME_DIGITS = 3
_PLACE = re.compile(r"(?<![^\s(]) (?: /.* | \S*[^\s:]:\d+ )", re.VERBOSE | re.DOTALL)


class KnownEvent(Protocol):
    """What is stored of an action (``storage.records.EventRecord``); times of day are Unix seconds."""

    @property
    def id(self) -> str: ...
    @property
    def stream_id(self) -> str: ...
    @property
    def track_id(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def start_s(self) -> float: ...
    @property
    def started_at(self) -> float: ...
    @property
    def updated_at(self) -> float: ...
    @property
    def model(self) -> str | None: ...
    @property
    def zones(self) -> Sequence[str] | None: ...


def rfc3339(unix_s: float) -> str:
    """Unix time → ``2026-05-04T03:02:01.123Z``."""
    moment = datetime.fromtimestamp(round(unix_s, 3), timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """``2026-05-04T03:02:01.123Z`` (or any offset) → Unix time. Raises ValueError, also where the offset is missing."""
    # Python 3.10's fromisoformat does not know the Z.
    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
    if moment.tzinfo is None:
        raise ValueError("expected a time with an offset, such as 2026-05-04T03:02:01Z")
    return moment.timestamp()


def to_tracks_message(stream_id: str, result: FrameResult, buffer_size: int) -> dict[str, Any]:
    """All people in one frame. ``age_ms`` is the frame's age now, by the monotonic clock."""
    frame = result.frame
    present = [track for track in result.tracks if track.state is not TrackState.DELETED]
    return {
        "type": "tracks",
        "stream_id": stream_id,
        "frame_index": frame.index,
        "time_s": round(frame.time_s, _TIME_DIGITS),
        "captured_at": rfc3339(frame.captured_at),
        "age_ms": max(0, round(1000 * (time.monotonic() - frame.received_s))),
        "detected": result.detected,
        "tracks": [_track(track, result, buffer_size) for track in present],
    }


def _track(track: Track, result: FrameResult, buffer_size: int) -> dict[str, Any]:
    box = normalise(track.box_xyxy, result.frame.size_hw)
    return {
        "track_id": track.track_id,
        "box": [round(float(value), _BOX_DIGITS) for value in box],
        "state": track.state.value,
        "buffer": result.buffers.get(track.track_id, 0),
        "buffer_size": buffer_size,
        **_label(result.labels.get(track.track_id)),
        "zones": list(result.inside.get(track.track_id, ())),
        **_counted(result.counted.get(track.track_id)),
    }


def _counted(counted: tuple[str, int] | None) -> dict[str, Any]:
    """Only of people who did a repetition."""
    return {} if counted is None else {"repetitions": {"exercise": counted[0], "count": counted[1]}}


def _label(label: TrackLabel | None) -> dict[str, Any]:
    if label is None:
        return {"action": None, "confidence": None, "scores": {}, "provisional": False, "model": None}
    return {
        "action": label.action,
        "confidence": _score(label.confidence),
        "scores": {name: _score(value) for name, value in label.scores.items()},
        "provisional": label.provisional,
        "model": label.model or None,
    }


def _score(value: float) -> float | None:
    """JSON knows no NaN; a score that is no number is no score."""
    return round(float(value), _SCORE_DIGITS) if math.isfinite(value) else None


def to_action_message(stream_id: str, event: ActionEvent) -> dict[str, Any]:
    """One moment of an action's life. The hub adds ``seq``."""
    return {
        "type": "action",
        "event_id": event.event_id,
        "stream_id": stream_id,
        "track_id": event.track_id,
        "action": event.action,
        "kind": event.kind.value,
        "confidence": _score(event.confidence),
        "start_s": round(event.start_s, _TIME_DIGITS),
        "end_s": None if event.end_s is None else round(event.end_s, _TIME_DIGITS),
        "captured_at": rfc3339(event.captured_at),
        "model": event.model or None,
        "zones": list(event.zones),
        "clips": _clips(event.clips),
    }


def to_repetition_message(stream_id: str, repetition: Repetition) -> dict[str, Any]:
    """One repetition of an exercise. The hub adds ``seq``."""
    start_s, end_s = round(repetition.start_s, _TIME_DIGITS), round(repetition.end_s, _TIME_DIGITS)
    return {
        "type": "repetition",
        "stream_id": stream_id,
        "track_id": repetition.track_id,
        "exercise": repetition.exercise,
        "count": repetition.count,
        "start_s": start_s,
        "turn_s": round(repetition.turn_s, _TIME_DIGITS),
        "end_s": end_s,
        "duration_s": round(end_s - start_s, _TIME_DIGITS),
        "depth_deg": round(repetition.depth_deg, 1),
        "range_deg": round(repetition.range_deg, 1),
        "checks": dict(repetition.checks),
        "captured_at": rfc3339(repetition.captured_at),
        "zones": list(repetition.zones),
    }


def _clips(clips: ClipTally) -> dict[str, Any]:
    recent = [_score(probability) for probability in clips.recent]
    return {"count": clips.count, "share": round(clips.share, _SCORE_DIGITS), "recent": recent}


def to_presence_message(stream_id: str, result: FrameResult) -> dict[str, Any]:
    """Who is in view and in each zone, empty ones too; confirmed tracks only. The hub adds ``seq``."""
    people = [track.track_id for track in result.tracks if track.state is TrackState.CONFIRMED]
    zones = {zone.name: [one for one in people if zone.name in result.inside.get(one, ())] for zone in result.zones}
    return {
        "type": "presence",
        "stream_id": stream_id,
        "captured_at": rfc3339(result.frame.captured_at),
        "time_s": round(result.frame.time_s, _TIME_DIGITS),
        "people": len(people),
        "zones": {name: {"people": len(tracks), "tracks": tracks} for name, tracks in zones.items()},
    }


def to_stream_message(stream_id: str, state: str, code: str | None, reason: str) -> dict[str, Any]:
    """A stream's state, or something about it, since now. The hub adds ``seq``."""
    about = {"type": "stream", "stream_id": stream_id, "state": state, "code": code, "reason": reason}
    return {**about, "at": rfc3339(time.time())}


def without_places(reason: str) -> str:
    """→ a reason for those who are not told where a camera is: no address, and nothing from a file's path on."""
    return _PLACE.sub("the source", reason)


def message_time(message: Mapping[str, Any]) -> float | None:
    """→ Unix time of what a message tells of; None where it does not say."""
    text = message.get("captured_at", message.get("at"))
    return None if text is None else parse_rfc3339(text)


def with_number(message: Mapping[str, Any], seq: int) -> dict[str, Any]:
    """→ a message as it is stored and sent: the number comes second."""
    rest = {key: value for key, value in message.items() if key not in ("type", "seq")}
    return {"type": message["type"], "seq": seq, **rest}


def ended_at(message: Mapping[str, Any], time_s: float, captured_at: str) -> dict[str, Any]:
    """→ the end of the action that ``message`` told of; never before the action's start."""
    if time_s < message["start_s"]:  # the stream has begun anew since
        time_s, captured_at = message["start_s"], message["captured_at"]
    return {**message, "kind": EventKind.ENDED.value, "end_s": time_s, "captured_at": captured_at}


def ended_after_crash(event: KnownEvent) -> dict[str, Any]:
    """Nothing later is known of it than its newest message: the action ended then at the earliest."""
    return {
        "type": "action",
        "event_id": event.id,
        "stream_id": event.stream_id,
        "track_id": event.track_id,
        "action": event.action,
        "kind": EventKind.ENDED.value,
        "confidence": event.confidence,
        "start_s": event.start_s,
        "end_s": round(event.start_s + max(0.0, event.updated_at - event.started_at), _TIME_DIGITS),
        "captured_at": rfc3339(event.updated_at),
        "model": event.model,
        "zones": list(event.zones or ()),
        "clips": None,
    }


def to_hello_message(seq: int, oldest_seq: int | None, streams: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first message of a websocket: what there is now. ``oldest_seq`` is the first that can be replayed."""
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "seq": seq,
        "oldest_seq": oldest_seq,
        "streams": list(streams),
    }


def to_pong_message() -> dict[str, Any]:
    return {"type": "pong"}
