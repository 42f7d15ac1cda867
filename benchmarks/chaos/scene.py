"""The real service and its cameras, as each target needs them."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.live_cameras.family import family
from tests.support.service import Service, wait_for

API, INFERENCE, STREAM, OTHER = "API", "inference", "stream", "other"
RUNNING_S = 120.0  # a crash loop's breaker waits for one minute


@contextlib.contextmanager
def running(folder: Path, cache: Path, **settings: str) -> Iterator[Service]:
    """A service with settings of its own; whatever happens, no process of it is left."""
    service = Service(folder, cache, **settings)
    try:
        yield service.start()
    finally:
        end(service)


def end(service: Service) -> None:
    processes = family(service.pid) if service.process is not None else []
    with contextlib.suppress(AssertionError):
        service.stop(30)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    service.client.close()


def role(service: Service, process: psutil.Process) -> str:
    """→ which part of the service a process is."""
    if process.pid == service.pid:
        return API
    words = " ".join(process.cmdline())
    return STREAM if "stream_process" in words else INFERENCE if "inference_process" in words else OTHER


def wait_running(service: Service, ids: Sequence[str], timeout_s: float = RUNNING_S) -> None:
    """Raises AssertionError where a stream does not come."""

    def all_run() -> bool:
        return all(service.stream(stream_id)["state"] == "running" for stream_id in ids)

    wait_for(all_run, timeout_s, f"streams run; log: {service.log()[-1500:]}")


def recordings(service: Service) -> list[dict[str, Any]]:
    """→ all that the API lists."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = service.client.get("/v1/recordings", params=query).json()
        items += page["items"]
        if not page["next_cursor"]:
            return items
        query["cursor"] = page["next_cursor"]


def seconds(text: str) -> float:
    """RFC 3339 → Unix time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a stream's present process has told of: media times of its first and newest frame, when that was captured,
    and when the last one of the process before was (Unix times)."""

    first_s: float
    newest_s: float
    captured_at: float
    before: float = 0.0

    def after(self, time_s: float, captured_at: float) -> Shown:
        """A process begins its media time anew."""
        if time_s < self.newest_s:
            return Shown(time_s, time_s, captured_at, before=self.captured_at)
        return replace(self, newest_s=time_s, captured_at=captured_at)


class LastSeen:
    """Listens as a client does, connects again when the service is away, and knows each stream's newest frame."""

    def __init__(self, service: Service) -> None:
        self._url = f"ws://127.0.0.1:{service.port}/v1/ws"
        self._closing = threading.Event()
        self.streams: dict[str, Shown] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._closing.wait(0.2):
            with contextlib.suppress(OSError, WebSocketException), connect(self._url, proxy=None) as socket:
                while not self._closing.is_set():
                    self._hear(json.loads(socket.recv(timeout=5)))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] != "tracks":
            return
        stream_id, time_s, captured_at = message["stream_id"], message["time_s"], seconds(message["captured_at"])
        last = self.streams.get(stream_id, Shown(time_s, time_s, captured_at))
        self.streams[stream_id] = last.after(time_s, captured_at)

    def captured_at(self, stream_id: str) -> float:
        """→ Unix time of its newest frame, 0 before there was one."""
        return self.streams[stream_id].captured_at if stream_id in self.streams else 0.0

    def wait_after(self, moment: float, ids: Sequence[str], timeout_s: float = RUNNING_S) -> None:
        """Until each stream has told of a frame captured after ``moment``. Raises AssertionError."""
        wait_for(lambda: all(self.captured_at(one) > moment for one in ids), timeout_s, f"frames of {ids}")

    def __enter__(self) -> LastSeen:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(10)
