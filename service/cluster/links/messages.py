"""What leader and agents say to each other: frozen dataclasses, packed as MessagePack. Nothing is pickled.

A stream's URL is in it with its password: it goes to the machine that reads the camera, over a private network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from pydantic import SecretStr

from pipeline.entities import Zone
from service.budget.plan import BudgetView
from service.storage.records import StreamRecord
from service.supervisor_protocol import StreamStatus

T = TypeVar("T")


class NotUnderstood(ValueError):
    """Bytes that are not the message that was expected: another version, most likely."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A stream that a node is to run, under which epoch, and the number of the next person in it."""

    record: StreamRecord
    epoch: int
    first_track_id: int
    zones: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True)
class Orders:
    """All that a node is to run. ``leader``: the epoch of whoever says so; ``pointers``: alias → its pointer's file."""

    leader: int
    assignments: tuple[Assignment, ...] = ()
    pointers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a node's spool. ``kind``: one of KINDS."""

    n: int
    stream_id: str
    epoch: int
    kind: str
    body: Mapping[str, Any]


# Of a stream: messages, the end of what goes on in it, that it was let go of; files, which stay where they are; models.
MESSAGES = frozenset({"action", "repetition", "presence", "stream"})
KINDS = MESSAGES | {"end_open", "released", "recording", "tally", "shadow_failed", "broken"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A ``tracks`` message, which is not kept: the newest of its stream."""

    epoch: int
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """One set of measures, as ``prometheus.Measured`` without its keeper."""

    prefix: str
    labels: Mapping[str, str]
    snapshot: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeView:
    """How a node does, once a second."""

    statuses: Mapping[str, StreamStatus]
    ready: bool
    inference: Mapping[str, Any]
    measures: tuple[Measure, ...] = ()
    budget: BudgetView | None = None


@dataclass(frozen=True, slots=True)
class WantReports:
    """``after``: rows behind it; ``acked``: those up to it are in the log and need not be kept. Of ``spool`` both.
    ``live``: somebody looks, so that ``tracks`` are wanted at once; else once a second.
    """

    leader: int
    spool: str
    after: int
    acked: int
    wait_s: float = 1.0
    live: bool = True


@dataclass(frozen=True, slots=True)
class Reports:
    """``incarnation``: of the agent's process; another one runs nothing until it is ordered to. ``upto``: no row up to
    it is left out but those that were taken back.
    """

    spool: str
    incarnation: str
    upto: int
    rows: tuple[Row, ...] = ()
    seen: tuple[Seen, ...] = ()
    view: NodeView | None = None


@dataclass(frozen=True, slots=True)
class WantPicture:
    """The next picture of a stream after the one with number ``after``. ``kind``: overlay, still, tile or full."""

    stream_id: str
    kind: str
    after: int = 0
    wait_s: float = 1.0


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """``jpeg`` None: none came in time."""

    n: int
    jpeg: bytes | None = None
    tracks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamCall:
    """``what``: restart."""

    leader: int
    stream_id: str
    what: str


@dataclass(frozen=True, slots=True)
class WantPiece:
    """Part of a recorded file; ``path`` relative to the recordings folder."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """``total``: bytes of the whole file; -1: there is none. ``mtime``: when it was written; 0: not told."""

    data: bytes
    total: int
    mtime: float = 0.0


@dataclass(frozen=True, slots=True)
class Discard:
    leader: int
    path: str


@dataclass(frozen=True, slots=True)
class UseVersion:
    """``version``: to be loaded beside the one that serves; None: streams go on with what ``pointer`` says."""

    leader: int
    alias: str
    pointer: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An answer without content. ``seconds``: how long it took."""

    seconds: float = 0.0


def pack(message: object) -> bytes:
    return msgspec.msgpack.encode(message, enc_hook=_plain)


def unpack(data: bytes, kind: type[T]) -> T:
    """Raises NotUnderstood."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_rich)
    except (msgspec.DecodeError, ValueError) as error:
        raise NotUnderstood(f"expected {kind.__name__}, got something else: {error}") from None


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} does not cross machines")


def _rich(kind: type[Any], value: object) -> object:
    if kind is SecretStr and isinstance(value, str):
        return SecretStr(value)
    raise NotImplementedError(f"{kind} does not cross machines")
