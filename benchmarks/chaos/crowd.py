"""Websocket subscribers by the hundred, in a process of their own: most read, some get stuck. Prints what they saw.

    python -m benchmarks.chaos.crowd ws://127.0.0.1:8000/v1/ws --healthy 180 --stuck 20 --seconds 30

Half of the stuck never read anything after the handshake; the others are healthy at first and stop reading in the
middle. The lag of a message is the time from its making in the stream's process (capture plus ``age_ms``) to its
arrival here, on one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import select
import sys
import time
from datetime import datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CUT_WAIT_S = 20.0
POLL_S = 0.1
FIRST_S = 8.0  # the second half of the stuck are healthy for so long


class Healthy:
    """One subscriber that reads. ``numbers``: each ``seq`` heard, in order; ``lags_s``: of ``tracks`` messages."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.lags_s: list[float] = []
        self.closed: str | None = None

    async def run(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                self._hear(time.time(), json.loads(text))
        except ConnectionClosed as error:
            self.closed = str(error)

    def _hear(self, at: float, message: dict[str, Any]) -> None:
        if message["type"] == "tracks":
            made = datetime.fromisoformat(message["captured_at"].replace("Z", "+00:00")).timestamp()
            self.lags_s.append(at - made - message["age_ms"] / 1000)
        elif message["type"] != "hello":
            self.numbers.append(message["seq"])


async def healthy(url: str, seconds: float) -> Healthy:
    client = Healthy()
    async with connect(url, proxy=None, open_timeout=30) as socket:
        reading = asyncio.create_task(client.run(socket))
        await asyncio.wait({reading}, timeout=seconds)
        closed = client.closed  # by the other side, before we go
    await reading
    client.closed = closed
    return client


async def stuck(url: str, healthy_s: float) -> tuple[float | None, int | None]:
    """Reads for ``healthy_s`` and never again. → seconds until it was cut (None: it was not), the last seq heard."""
    client = Healthy()
    socket = await connect(url, proxy=None, open_timeout=30)
    reading = asyncio.create_task(client.run(socket))
    await asyncio.sleep(healthy_s)
    socket.transport.pause_reading()
    last, since = client.numbers[-1] if client.numbers else None, time.monotonic()
    try:
        return await _cut_after(socket, since), last
    finally:
        socket.transport.abort()
        await asyncio.wait({reading}, timeout=5)


async def _cut_after(socket: ClientConnection, since: float) -> float | None:
    """The connection's end is asked of the system: who does not read is not told."""
    watched = select.poll()
    watched.register(socket.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    while time.monotonic() - since < CUT_WAIT_S:
        if watched.poll(0):
            return time.monotonic() - since
        await asyncio.sleep(POLL_S)
    return None


async def crowd(url: str, readers: int, stuck_ones: int, seconds: float) -> dict[str, Any]:
    early = stuck_ones // 2
    tasks = [asyncio.create_task(healthy(url, seconds)) for _ in range(readers)]
    bad = [asyncio.create_task(stuck(url, 0.0 if index < early else FIRST_S)) for index in range(stuck_ones)]
    clients, cuts = await asyncio.gather(*tasks), await asyncio.gather(*bad)
    lags = sorted(lag for client in clients for lag in client.lags_s)
    return {
        "subscribers": readers + stuck_ones,
        "stuck": stuck_ones,
        "tracks_messages": len(lags),
        "lag_p50_ms": _milliseconds(lags, 0.5),
        "lag_p99_ms": _milliseconds(lags, 0.99),
        "lag_max_ms": _milliseconds(lags, 1.0),
        "healthy_closed": [client.closed for client in clients if client.closed],
        "numbers": [client.numbers for client in clients],
        "cut_s": [cut for cut, _ in cuts],
        "stuck_heard": [last for _, last in cuts],
    }


def _milliseconds(ordered: list[float], part: float) -> float | None:
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--healthy", type=int, default=180)
    parser.add_argument("--stuck", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(crowd(options.url, options.healthy, options.stuck, options.seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
