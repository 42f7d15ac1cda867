"""Calls over a connection: by a local socket between a service and the process that speaks Ray for it, and to a node's
agent; between machines see ``direct_link``.

Layout: ``uint32 length`` (big endian), then MessagePack: ``[n, node, method, timeout_s, body]`` there,
``[n, problem, body]`` back, in any order. ``problem`` is empty, or why there is no answer.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from service.cluster.links.errors import LinkDown, WayBroken
from service.cluster.links.link import within

log = logging.getLogger(__name__)

MAX_BYTES = 64 << 20
LIMIT = 1 << 20  # bytes that are read ahead
MAX_CALLS = 256  # of one connection at once; those beyond wait to be read
_LENGTH = struct.Struct("!I")

Serving = Callable[[str, str, float, bytes], Awaitable[bytes]]  # node, method, timeout_s, body


async def read_frame(reader: asyncio.StreamReader) -> list[Any]:
    """Raises EOFError at the end, ValueError for what is no frame."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_BYTES:
            raise ValueError(f"expected a message of at most {MAX_BYTES} bytes, got {length}")
        return msgspec.msgpack.decode(await reader.readexactly(length), type=list)
    except (asyncio.IncompleteReadError, OSError) as error:  # a machine without power: a timeout, or no way there
        raise EOFError("the other side is gone") from error
    except msgspec.DecodeError as error:
        raise ValueError(f"expected a message, got something else: {error}") from None


def frame(content: list[Any]) -> bytes:
    data = msgspec.msgpack.encode(content)
    return _LENGTH.pack(len(data)) + data


class CallServer:
    """Answers calls on connections that others give it."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._server: asyncio.Server | None = None
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._connections: set[asyncio.StreamWriter] = set()

    async def close(self) -> None:
        """Nothing is answered any more, on open connections neither."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._connections):
            writer.transport.abort()
        self._connections.clear()
        await asyncio.sleep(0)  # who reads from them sees it

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks: set[asyncio.Task[None]] = set()
        self._connections.add(writer)
        try:
            while True:
                call = await read_frame(reader)
                await self._slots.acquire()
                task = asyncio.create_task(self._answer(call, writer))
                task.add_done_callback(self._give_back)  # also of one that is cancelled before it has begun
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except (EOFError, asyncio.CancelledError):  # the latter: the server ends
            log.debug("a connection ended")
        except ValueError as error:
            log.error("a connection is given up: %s", error)
        finally:
            for task in tuple(tasks):
                task.cancel()
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, call: list[Any], writer: asyncio.StreamWriter) -> None:
        try:
            n, node, method, timeout_s, body = call
            try:
                answer = [n, "", await self._serving(node, method, timeout_s, body)]
            except LinkDown as error:
                answer = [n, str(error) or "the node cannot be reached", b""]
            writer.write(frame(answer))
            await writer.drain()
        except OSError:
            log.debug("whoever asked is gone")
        except Exception:  # the task's outermost frame
            log.exception("a call has no answer")

    def _give_back(self, _: asyncio.Task[None]) -> None:
        self._slots.release()


class SocketServer(CallServer):
    """Answers calls at a path that only this user reaches."""

    def __init__(self, path: Path, serving: Serving) -> None:
        super().__init__(serving)
        self._path = path

    async def open(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connected, str(self._path), limit=LIMIT)
        self._path.chmod(0o600)


class CallClient:
    """Connects when it is first asked, and anew after the connection broke, until it is closed."""

    def __init__(self) -> None:
        self._closed = False
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._n = 0
        self._turn = asyncio.Lock()

    async def call(self, node: str, method: str, timeout_s: float, body: bytes) -> bytes:
        """Raises LinkDown."""
        writer = self._writer
        if writer is None or writer.is_closing():
            writer = await within(self._connected(), timeout_s)
        self._n += 1
        n = self._n
        future = self._waiting[n] = asyncio.get_running_loop().create_future()
        try:
            writer.write(frame([n, node, method, timeout_s, body]))
            await writer.drain()
            await asyncio.wait({future}, timeout=timeout_s)
        except OSError as error:
            raise WayBroken(f"the way out is broken: {error}") from error
        finally:
            self._waiting.pop(n, None)
        if not future.done():
            future.cancel()
            raise LinkDown(f"no answer within {timeout_s:g} s")
        answer: bytes = future.result()
        return answer

    async def close(self) -> None:
        """Calls that wait for a connection, and all that follow, are told that there is none."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises LinkDown."""
        raise NotImplementedError

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._turn:
            self._check_open()
            if self._writer is None or self._writer.is_closing():
                reader, writer = await self._open()
                try:
                    self._check_open()  # as it was before
                except WayBroken:
                    writer.transport.abort()
                    raise
                self._writer = writer
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    def _check_open(self) -> None:
        """Raises WayBroken."""
        if self._closed:
            raise WayBroken("the way out is given up")

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                n, problem, body = await read_frame(reader)
                future = self._waiting.get(n)
                if future is None or future.done():
                    continue
                if problem:
                    future.set_exception(LinkDown(problem))
                else:
                    future.set_result(body)
        except (EOFError, ValueError) as error:
            log.debug("a connection ended: %s", error)
        finally:
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(WayBroken("the way out broke"))


class SocketClient(CallClient):
    """To the server at a path."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(str(self._path), limit=LIMIT)
        except OSError as error:
            raise WayBroken(f"the way out is not there (yet): {error.strerror}") from error


class SocketLinks:
    """The ways to all nodes through one socket (``link.Links``)."""

    def __init__(self, path: Path) -> None:
        self._client = SocketClient(path)

    def to(self, node: str) -> SocketLink:
        return SocketLink(self._client, node)

    async def close(self) -> None:
        await self._client.close()


class SocketLink:
    """The way to one node (``link.AgentLink``)."""

    def __init__(self, client: CallClient, node: str) -> None:
        self._client = client
        self._node = node

    async def call(self, method: str, body: bytes, timeout_s: float) -> bytes:
        return await self._client.call(self._node, method, timeout_s, body)
