"""Messages between the processes of one machine: a JSON head and raw arrays over a local stream socket.

Layout (all integers big endian): ``uint32 head_length, uint64 body_length``, the head (UTF-8 JSON: ``kind``, ``fields``
and the list of arrays with name, dtype and shape), then the arrays' bytes one after another. No pickles: a broken or
hostile peer can at worst send wrong numbers. Both lengths are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PREFIX = struct.Struct("!IQ")
MAX_HEAD_BYTES = 8 << 20
MAX_BODY_BYTES = 512 << 20
_DTYPES = frozenset({"uint8", "float32", "int64"})

Arrays = Mapping[str, NDArray[Any]]


class ChannelClosed(ConnectionError):
    """The other side is gone, or sent something that is no message."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What crosses, whatever it means; ``messages`` gives it a meaning."""

    kind: str
    fields: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def encode(kind: str, fields: Mapping[str, Any] | None = None, arrays: Arrays | None = None) -> list[memoryview]:
    """→ the buffers to send, in order; array buffers are views, not copies, of contiguous arrays."""
    parts = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    specs = [{"name": name, "dtype": str(a.dtype), "shape": list(a.shape)} for name, a in parts.items()]
    head = json.dumps({"kind": kind, "fields": fields or {}, "arrays": specs}, separators=(",", ":")).encode()
    body = [a.reshape(-1).view(np.uint8).data for a in parts.values() if a.nbytes]
    prefix = _PREFIX.pack(len(head), sum(part.nbytes for part in body))
    return [memoryview(prefix + head), *body]


def decode(head: bytes | bytearray, body: bytearray) -> Packet:
    """Head and body bytes → a message whose arrays are views of ``body``. Raises ChannelClosed on anything odd."""
    try:
        content = json.loads(head)
        arrays, offset = {}, 0
        for spec in content["arrays"]:
            array, offset = _take_array(spec, body, offset)
            arrays[str(spec["name"])] = array
        return Packet(str(content["kind"]), dict(content["fields"]), arrays)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ChannelClosed(f"expected a message, got something else: {error}") from None


def _take_array(spec: Mapping[str, Any], body: bytearray, offset: int) -> tuple[NDArray[Any], int]:
    if spec["dtype"] not in _DTYPES:
        raise ValueError(f"array type {spec['dtype']!r}, expected one of {sorted(_DTYPES)}")
    shape = spec["shape"]
    if type(shape) is not list or not all(type(n) is int and 0 <= n <= MAX_BODY_BYTES for n in shape):
        raise ValueError(f"array shape {str(shape)[:80]}, expected a list of lengths")
    count = math.prod(shape)
    if count > MAX_BODY_BYTES:
        raise ValueError(f"array shape {str(shape)[:80]} is over the bound")
    array = np.frombuffer(body, np.dtype(spec["dtype"]), count, offset).reshape(shape)
    return array, offset + array.nbytes


def check_lengths(prefix: bytes | bytearray, max_body_bytes: int = MAX_BODY_BYTES) -> tuple[int, int]:
    """12 prefix bytes → (head_length, body_length); raises ChannelClosed beyond the bounds."""
    head_length, body_length = _PREFIX.unpack(prefix)
    if head_length > MAX_HEAD_BYTES or body_length > max_body_bytes:
        raise ChannelClosed(f"message of {head_length} + {body_length} bytes is over the bound")
    return head_length, body_length


class Channel:
    """One connected stream socket used by threads: one reader, any number of writers.

    A write waits at most ``send_timeout_s`` for a peer that does not read, then the channel counts as closed.
    ``max_body_bytes``: of arrays in one message that is received.
    """

    def __init__(self, sock: socket.socket, send_timeout_s: float = 10.0, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._socket = sock
        self._socket.settimeout(None)
        self._send_timeout_s = send_timeout_s
        self._max_body_bytes = max_body_bytes
        self._write_lock = threading.Lock()
        self._closed = False

    def send(self, kind: str, fields: Mapping[str, Any] | None = None, arrays: Arrays | None = None) -> None:
        """Raises ChannelClosed when the peer is gone or does not read."""
        buffers = encode(kind, fields, arrays)
        with self._write_lock:
            try:
                deadline = time.monotonic() + self._send_timeout_s
                for buffer in buffers:
                    self._send_all(buffer.cast("B"), deadline)
            except (OSError, ValueError) as error:  # ValueError: closed by another thread, no descriptor
                self.close()
                raise ChannelClosed(f"the other process is gone: {error}") from None

    def _send_all(self, view: memoryview, deadline: float) -> None:
        """One deadline for the whole message; a timeout of the socket would also end the reader's wait."""
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        while view:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not poller.poll(1000 * left_s):
                raise TimeoutError(f"it did not read for {self._send_timeout_s:g} s")
            with contextlib.suppress(BlockingIOError):
                view = view[self._socket.send(view, socket.MSG_DONTWAIT) :]

    def receive(self) -> Packet:
        """Blocks until a message is whole; ``close`` from another thread ends the wait with ChannelClosed."""
        head_length, body_length = check_lengths(self._read(_PREFIX.size), self._max_body_bytes)
        head = self._read(head_length)
        return decode(head, self._read(body_length))

    def _read(self, count: int) -> bytearray:
        data = bytearray(count)
        view, position = memoryview(data), 0
        while position < count:
            try:
                got = self._socket.recv_into(view[position:])
            except OSError as error:
                raise ChannelClosed(f"the other process is gone: {error}") from None
            if got == 0:
                raise ChannelClosed("the other process closed the connection")
            position += got
        return data

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


async def read_packet(reader: asyncio.StreamReader) -> Packet:
    """The same format on an event loop. Raises ChannelClosed at the end of the stream."""
    try:
        head_length, body_length = check_lengths(await reader.readexactly(_PREFIX.size))
        head = await reader.readexactly(head_length)
        return decode(head, bytearray(await reader.readexactly(body_length)))
    except (asyncio.IncompleteReadError, OSError):
        raise ChannelClosed("the other process closed the connection") from None


def write_packet(writer: asyncio.StreamWriter, kind: str, fields: Mapping[str, Any] | None = None) -> None:
    """Queues a small packet without arrays on an event loop's writer."""
    for buffer in encode(kind, fields):
        writer.write(bytes(buffer))
