"""The real service as a subprocess, for end-to-end tests: its own port, data folder and log file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.places import REPOSITORY

SAMPLE = REPOSITORY / "samples" / "street.mp4"
SAMPLE_URL = SAMPLE.as_uri() + "?pace=realtime&loop=true"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PATIENCE = 4.0


def wait_for(condition: Callable[[], Any], timeout_s: float, what: str, *, claim: bool = False) -> Any:
    """Polls until the condition is true and → its value; fails with ``what`` when the time is over.

    ``timeout_s`` is enough on an ordinary machine; a slow or busy one may take PATIENCE times as long, unless that
    very time is what the product promises (``claim``).
    """
    limit_s = timeout_s if claim else PATIENCE * timeout_s
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s:g} s: {what}")


def collect(take: Callable[[], Sequence[Any]], count: int, timeout_s: float, what: str) -> list[Any]:
    """Takes until there are ``count`` → all that was taken; fails with ``what`` when the time is over."""
    taken: list[Any] = []

    def complete() -> bool:
        taken.extend(take())
        return len(taken) == count

    wait_for(complete, timeout_s, what)
    return taken


def children_of(process: subprocess.Popen[bytes] | None, module: str) -> list[psutil.Process]:
    """→ running processes of one kind below another one."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True) if process else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(f"service.processes.{module}" in part for part in child.cmdline()):
                found.append(child)
    return found


def own_environment(folder: Path, cache: Path) -> dict[str, str]:
    """→ no setting but the weights and a data folder in ``folder``; converted networks are those of ``cache``."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    if not (data / "cache").exists():
        (data / "cache").symlink_to(cache)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTOSCOPE_")},
        "ACTOSCOPE_DATA_DIR": str(data),
        "ACTOSCOPE_WEIGHTS_DIR": str(REPOSITORY / "weights"),
    }


class Service:
    """``actoscope serve`` with settings of its own. Use as a context manager, or start, stop and kill by hand."""

    def __init__(self, folder: Path, cache: Path, **settings: str) -> None:
        self.folder = folder
        self.log_path = folder / "service.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **own_environment(folder, cache),
            "ACTOSCOPE_RUNTIME": "openvino",  # auto would time several runtimes first
            "ACTOSCOPE_MEDIA_ROOTS": json.dumps([str(SAMPLE.parent), str(folder)]),
            **{f"ACTOSCOPE_{name.upper()}": value for name, value in settings.items()},
        }
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.process: subprocess.Popen[bytes] | None = None
        self.arguments: tuple[str, ...] = ()  # of ``actoscope serve``, beside the port

    def start(self, ready: bool = True) -> Service:
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.port), *self.arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=REPOSITORY)
        wait_for(lambda: self._answers("/healthz"), 60, f"the service answers; its log: {self.log()[-3000:]}")
        if ready:
            wait_for(lambda: self._answers("/readyz"), 240, f"models are loaded; its log: {self.log()[-3000:]}")
        return self

    def _answers(self, path: str) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}: {self.log()[-3000:]}")
        try:
            return self.client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Service:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.client.close()

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM, → the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no graceful end within {timeout_s} s: {self.log()[-3000:]}") from None

    def kill(self) -> None:
        """SIGKILL of the API process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    @property
    def pid(self) -> int:
        """Of the API process, which must have been started."""
        assert self.process is not None, "the service was not started"
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def children(self, module: str) -> list[psutil.Process]:
        """Running child processes of one kind, ``stream_process`` or ``inference_process``."""
        return children_of(self.process, module)

    # -- what tests do with the API

    def add_stream(self, url: str, **options: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/streams", json={"url": url, **options})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def stream(self, stream_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/streams/{stream_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_state(self, stream_id: str, state: str, timeout_s: float, *, claim: bool = False) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            stream = self.stream(stream_id)
            return stream if stream["state"] == state else None

        try:
            return wait_for(reached, timeout_s, f"stream {stream_id} is {state}", claim=claim)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.stream(stream_id)}; log: {self.log()[-2000:]}") from None

    def subscribe(self, query: str = "") -> Subscriber:
        return Subscriber(f"ws://127.0.0.1:{self.port}/v1/ws{query}")


class Subscriber:
    """A websocket client that keeps all it hears, read by a thread."""

    def __init__(self, url: str) -> None:
        self._manager = connect(url, max_size=None, open_timeout=60, proxy=None)
        self.socket: ClientConnection = self._manager.__enter__()
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.close_code: int | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for text in self.socket:
                self.messages.append((time.monotonic(), json.loads(text)))
        except ConnectionClosed:
            pass
        self.close_code = self.socket.protocol.close_code

    def of_type(self, message_type: str, /, **fields: Any) -> Iterator[dict[str, Any]]:
        for _, message in list(self.messages):
            if message["type"] == message_type and all(message.get(key) == value for key, value in fields.items()):
                yield message

    def wait(
        self, message_type: str, timeout_s: float, check: Callable[[dict[str, Any]], bool] = bool, /, **fields: Any
    ) -> Any:
        """The first message of this type that passes ``check`` and has these fields, past or to come."""
        return wait_for(
            lambda: next((m for m in self.of_type(message_type, **fields) if check(m)), None),
            timeout_s,
            f"a {message_type} message {fields}; heard {[m['type'] for _, m in self.messages][-20:]}",
        )

    def close(self) -> None:
        self._manager.__exit__(None, None, None)
        self._thread.join(5)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
