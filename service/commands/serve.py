"""``actoscope serve``: uvicorn around the application, and a line on the terminal once it is of use."""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import socket
import sys
import threading
import time
from typing import Any

import httpx
import uvicorn

from service import logs
from service.app import create_app
from service.commands.runtime_option import add_runtime
from service.commands.sample import SAMPLE
from service.errors_base import ServiceError
from service.settings import Settings, load_settings

SAMPLE_NAME = "Sample street"
SHUTDOWN_S = 2
BACKLOG = 2048  # uvicorn's own


class ListenError(ServiceError, OSError):
    """The address cannot be listened on."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: ACTOSCOPE_HOST or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: ACTOSCOPE_PORT or 8000)")
    add_runtime(parser)
    parser.add_argument("--sample", action="store_true", help="start with the bundled sample video as a stream")


def run(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in ("host", "port", "runtime")}
    return serve({name: value for name, value in given.items() if value is not None}, arguments.sample)


def serve(overrides: dict[str, Any], sample: bool) -> int:
    """Runs until SIGINT or SIGTERM, then ends within 10 s with recordings closed. → 0, or 1 if it could not start.

    Raises ServiceError or OSError for what keeps it from starting: a data folder in use, a disk that fails.
    """
    settings = load_settings(**overrides)
    if sample:
        settings = settings.model_copy(update={"media_roots": (*settings.media_roots, SAMPLE.parent)})
    logs.configure(settings.log_level, settings.log_format)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # service/proxy.py believes them, by our setting
        ws_ping_interval=5,
        ws_ping_timeout=4,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    listener = listen(settings.host, settings.port)
    server = uvicorn.Server(config)
    welcome = Welcome(settings, server, sample)
    threading.Thread(target=welcome.run, name="welcome", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn takes these over, ends gracefully, and raises them again: what was asked for is done by then.
        signal.signal(number, lambda *_: None)
    logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_told_by_us(app, record))
    try:
        server.run(sockets=[listener])
    except SystemExit:  # what uvicorn makes of a start that failed
        if hasattr(app.state, "failure"):
            raise app.state.failure from None
        raise
    return 0 if server.started else 1


def _is_told_by_us(app: Any, record: logging.LogRecord) -> bool:
    """Whether it is the traceback of a start that failed for a reason which can be said in a sentence."""
    return hasattr(app.state, "failure") and record.getMessage().startswith("Traceback")


def listen(host: str, port: int) -> socket.socket:
    """→ the bound socket. Before anything else is started: streams must not run twice on one data folder.

    Raises ListenError, which says what a person can do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        hint = "; is Actoscope running already? --port chooses another port" if error.errno == errno.EADDRINUSE else ""
        why = str(error.strerror).partition(" (while")[0]  # Python repeats the address there
        raise ListenError(f"cannot listen on {host} port {port}: {why}{hint}") from error


class Welcome:
    """Talks to the running service as any client does: adds the sample stream, prints the URL when it is ready."""

    def __init__(self, settings: Settings, server: uvicorn.Server, sample: bool) -> None:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
        self.url = f"http://{host}:{settings.port}"
        self._server = server
        self._sample = sample

    def run(self) -> None:
        while not self._server.started:
            if self._server.should_exit:
                return
            time.sleep(0.1)
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            if self._sample:
                self._add_sample(client)
            self._say(f"Actoscope is at {self.url} – models are loading (the first start converts them)")
            while not self._server.should_exit:
                if self._ready(client):
                    self._say(f"Ready: open {self.url} (stop with Ctrl-C)")
                    return
                time.sleep(0.5)

    @staticmethod
    def _ready(client: httpx.Client) -> bool:
        """Whether the models are loaded. A server that is being stopped may answer no more."""
        try:
            return client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _add_sample(self, client: httpx.Client) -> None:
        names = [stream["name"] for stream in client.get("/v1/streams").json()["items"]]
        if SAMPLE_NAME in names:
            return
        url = SAMPLE.as_uri() + "?pace=realtime&loop=true"
        answer = client.post("/v1/streams", json={"url": url, "name": SAMPLE_NAME})
        if answer.is_error:
            self._say(f"the sample stream could not be added: {answer.text}")

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
