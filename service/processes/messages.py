"""What the processes of one machine say to each other: one frozen dataclass a message, one way onto the wire and back.

``pack`` turns a message into what ``ipc`` sends (its kind, plain values, raw arrays), ``unpack`` checks what came and
makes the dataclass again. Types, paths, enums and nested configurations are converted and checked by msgspec; nothing
is pickled. A kind that is not listed here is an error that names it, on every receiver.

    supervisor → stream process       StreamSetup first, then Watch, WatchLive, WantStill, SetZones, Stop
    stream process → supervisor       StateReport StatsReport TracksReport ActionReport RepetitionReport PresenceReport
                                      Picture LiveReport Still SegmentReport Trouble
    supervisor → inference process    InferenceSetup first, then Stop
    inference process → supervisor    InferenceLoading InferenceReady InferenceStats InferenceFailed
    stream process ↔ inference        inference_messages.py
    about versions of models          version_messages.py
    about other nodes                 nodes.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Zone
from pipeline.sources.timestamps import BELIEVED, ClockChoice
from service.budget.plan import UNPLANNED, BudgetView, Plan, TierChoice
from service.configuration import EngineConfig, StagesConfig
from service.errors_base import ServiceError
from service.processes.ipc import Channel, Packet, read_packet, write_packet
from service.storage.segment import Segment
from service.stream_state import StreamState

_M = TypeVar("_M")
_CLASSES: dict[str, type] = {}
_KINDS: dict[type, str] = {}

ByteArray = NDArray[np.uint8]


class UnexpectedMessage(ServiceError, ValueError):
    """A kind that nobody knows or that has no business here, or fields that are not those of its kind."""


def message(kind: str) -> Callable[[type[_M]], type[_M]]:
    """Registers a dataclass as the message ``kind``. Raises ValueError for a kind that is taken."""

    def register(cls: type[_M]) -> type[_M]:
        if kind in _CLASSES:
            raise ValueError(f"message kind {kind!r} is taken by {_CLASSES[kind].__name__}")
        _CLASSES[kind], _KINDS[cls] = cls, kind
        return cls

    return register


def pack(content: object) -> Packet:
    """→ kind, plain fields and arrays. Raises UnexpectedMessage for what is no message."""
    kind = _KINDS.get(type(content))
    if kind is None:
        raise UnexpectedMessage(f"expected a message, got {type(content).__name__}")
    arrays: dict[str, NDArray[Any]] = {}

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            name = str(len(arrays))
            arrays[name] = value
            return name
        if isinstance(value, Path):
            return str(value)
        raise UnexpectedMessage(f"a message cannot hold a {type(value).__name__}")

    fields: dict[str, Any] = msgspec.to_builtins(content, enc_hook=plain)
    return Packet(kind, fields, arrays)


def unpack(packet: Packet) -> Any:
    """→ the message. Raises UnexpectedMessage, which names an unknown kind or the field that is wrong."""
    cls = _CLASSES.get(packet.kind)
    if cls is None:
        raise UnexpectedMessage(f"unknown kind of message {packet.kind!r}")

    def special(kind: Any, value: Any) -> object:
        return Path(value) if kind is Path else _array(packet.arrays[value], kind)

    try:
        return msgspec.convert(packet.fields, cls, dec_hook=special)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnexpectedMessage(f"message {packet.kind!r}: {error}") from None


def _array(array: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Raises ValueError for another element type than that of ``kind``, FloatArray or ByteArray."""
    wanted = np.dtype(np.uint8 if kind == ByteArray else np.float32)
    if array.dtype != wanted:
        raise ValueError(f"expected an array of {wanted}, got {array.dtype}")
    return array


def unexpected(content: object, where: str) -> UnexpectedMessage:
    """→ the error for a message that ``where`` does not take."""
    return UnexpectedMessage(f"{where} takes no message {_KINDS.get(type(content), type(content).__name__)!r}")


class MessageChannel:
    """A channel that takes and gives the messages of this module, used by threads: one reads, any number write."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def send(self, content: object) -> None:
        """Raises ChannelClosed when the other side is gone or does not read."""
        packet = pack(content)
        self._channel.send(packet.kind, packet.fields, packet.arrays)

    def receive(self) -> Any:
        """Waits for a message. Raises ChannelClosed, or UnexpectedMessage for what is none."""
        return unpack(self._channel.receive())

    @property
    def closed(self) -> bool:
        return self._channel.closed

    def close(self) -> None:
        self._channel.close()


async def read_message(reader: asyncio.StreamReader) -> Any:
    """The same on an event loop. Raises ChannelClosed, or UnexpectedMessage for what is none."""
    return unpack(await read_packet(reader))


def write_message(writer: asyncio.StreamWriter, content: object) -> None:
    """Queues a small message without arrays on an event loop's writer."""
    packet = pack(content)
    write_packet(writer, packet.kind, packet.fields)


# -- supervisor → any child


@dataclass(frozen=True, kw_only=True)
class ChildSetup:
    """What every child process is told first."""

    log_level: str
    log_format: str
    memory_limit_bytes: int = 0  # 0: none


@message("stop")
@dataclass(frozen=True, slots=True)
class Stop:
    """Finish within the grace period."""


# -- supervisor ↔ stream process


@dataclass(frozen=True)
class SourceSetup:
    """What to read and how. ``url`` holds the camera's password: it crosses a private socket only, and never shows."""

    url: str = field(repr=False)
    transport: str
    pace: str
    loop: bool
    media_roots: tuple[Path, ...]
    hls_hosts: tuple[str, ...]
    max_pixels: int
    snapshot_s: float = 1.0
    tls_verify: bool = True
    camera_ca: Path | None = None  # PEM; None: whom the system trusts


@dataclass(frozen=True)
class RecordingSetup:
    folder: Path
    segment_s: float
    min_free_bytes: int
    overlay: bool = False  # drawn into what is recorded


@message("stream_setup")
@dataclass(frozen=True, kw_only=True)
class StreamSetup(ChildSetup):
    """One stream's process. ``recording`` None: nothing is recorded. ``inference``: where the worker listens.

    ``shadow``: of the version that is tried beside ``model``, None where none is.
    """

    stream_id: str
    model: str
    source: SourceSetup
    stages: StagesConfig
    inference: str
    tracks_hz: float
    tier: TierChoice = TierChoice.AUTO
    recording: RecordingSetup | None = None
    zones: tuple[Zone, ...] = ()
    shadow: StagesConfig | None = None


@message("zones")
@dataclass(frozen=True, slots=True)
class SetZones:
    """The stream's zones from now on, all of them."""

    zones: tuple[Zone, ...]


@message("watch")
@dataclass(frozen=True, slots=True)
class Watch:
    """Somebody looks at the live picture for so long."""

    seconds: float


@message("watch_live")
@dataclass(frozen=True, slots=True)
class WatchLive:
    """Somebody looks at pictures without overlay for so long; ``full``: large and often."""

    seconds: float
    full: bool


@message("want_still")
@dataclass(frozen=True, slots=True)
class WantStill:
    """Somebody waits so long for one picture as it is, without overlay."""

    seconds: float


@message("state")
@dataclass(frozen=True, slots=True)
class StateReport:
    state: StreamState
    code: str | None
    reason: str


@message("stream_stats")
@dataclass(frozen=True, slots=True)
class StatsReport:
    """How the stream goes, once a second. ``frame_age_s`` None: no frame yet. ``measures``: ``Measures.snapshot``.

    ``labels``: why people get no labels, None where they can have them. ``quiet_s``: by how much longer than others
    the source may be silent. ``model``: the version that it works with.
    """

    state: StreamState
    next_track_id: int
    fps_in: float = 0.0
    fps_out: float = 0.0
    stride: int = 1
    tracks: int = 0
    frame_age_s: float | None = None
    size_hw: tuple[int, int] | None = None
    label_age_s: float | None = None
    recording: str = "off"
    inference: bool = False
    problem: str | None = None
    plan: Plan = UNPLANNED
    clock: ClockChoice = BELIEVED
    labels: str | None = None
    quiet_s: float = 0.0
    model: str = ""
    measures: Mapping[str, Any] = field(default_factory=dict)


@message("tracks")
@dataclass(frozen=True, slots=True)
class TracksReport:
    """``wire``: the websocket's message."""

    wire: Mapping[str, Any]


@message("action")
@dataclass(frozen=True, slots=True)
class ActionReport:
    """``wire``: the websocket's message, which has no number yet."""

    wire: Mapping[str, Any]


@message("repetition")
@dataclass(frozen=True, slots=True)
class RepetitionReport:
    """``wire``: the websocket's message, which has no number yet."""

    wire: Mapping[str, Any]


@message("presence")
@dataclass(frozen=True, slots=True)
class PresenceReport:
    """``wire``: the websocket's message, which has no number yet."""

    wire: Mapping[str, Any]


@message("picture")
@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``jpeg``: uint8 (N,), the file's bytes."""

    jpeg: ByteArray


@message("live")
@dataclass(frozen=True, slots=True, eq=False)
class LiveReport:
    """A picture without overlay. ``jpeg``: uint8 (N,), the file's bytes; ``wire``: the websocket's message about it."""

    jpeg: ByteArray
    wire: Mapping[str, Any]


@message("still")
@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture without overlay. ``jpeg``: uint8 (N,), the file's bytes."""

    jpeg: ByteArray


@message("segment")
@dataclass(frozen=True, slots=True)
class SegmentReport:
    """A recorded file is finished."""

    segment: Segment


@message("trouble")
@dataclass(frozen=True, slots=True)
class Trouble:
    """A part works on with less; ``reason`` for people."""

    part: str
    reason: str


# -- supervisor ↔ inference process


@message("inference_setup")
@dataclass(frozen=True, kw_only=True)
class InferenceSetup(ChildSetup):
    """``shadows``: networks that are tried, by the name of the one whose clips they see as well."""

    engine: EngineConfig
    address: str
    shadows: Mapping[str, str] = field(default_factory=dict)


@message("inference_loading")
@dataclass(frozen=True, slots=True)
class InferenceLoading:
    """``what`` is being loaded now, for people."""

    what: str


@message("inference_ready")
@dataclass(frozen=True, slots=True)
class InferenceReady:
    """``parts``: what runs where, for people."""

    parts: Mapping[str, str]


@message("inference_stats")
@dataclass(frozen=True, slots=True)
class InferenceStats:
    """``lends_at``: where it takes other nodes' clips, empty: nowhere."""

    measures: Mapping[str, Any]
    parts: Mapping[str, str]
    budget: BudgetView | None = None
    lends_at: str = ""


@message("inference_failed")
@dataclass(frozen=True, slots=True)
class InferenceFailed:
    reason: str
