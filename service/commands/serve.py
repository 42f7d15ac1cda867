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
from service.bodies import StreamCreate
from service.commands.certificate import HSTS, ServedCertificate
from service.commands.runtime_option import add_runtime
from service.commands.sample import SAMPLE
from service.errors_base import ServiceError
from service.prometheus import source
from service.rights import ALL
from service.routes.context import Context
from service.settings import Settings, load_settings

SAMPLE_NAME = "Sample street"
SHUTDOWN_S = 2
BACKLOG = 2048  # uvicorn's own
_REFUSED_WEBSOCKET = "ASGI callable returned without completing handshake."


class ListenError(ServiceError, OSError):
    """The address cannot be listened on."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: ACTOSCOPE_HOST or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: ACTOSCOPE_PORT or 8000)")
    add_runtime(parser)
    parser.add_argument(
        "--cluster", action="store_true", default=None, help="stand for the lead of a cluster (docs/cluster.md)"
    )
    parser.add_argument("--sample", action="store_true", help="start with the bundled sample video as a stream")


def run(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in ("host", "port", "runtime", "cluster")}
    return serve({name: value for name, value in given.items() if value is not None}, arguments.sample)


def serve(overrides: dict[str, Any], sample: bool) -> int:
    """Runs until SIGINT or SIGTERM, then ends within 10 s with recordings closed. → 0, or 1 if it could not start.

    Raises ServiceError or OSError for what keeps it from starting: a data folder in use, a disk that fails.
    """
    settings = load_settings(**overrides)
    if sample:
        settings = settings.model_copy(update={"media_roots": (*settings.media_roots, SAMPLE.parent)})
    logs.configure(settings.log_level, settings.log_format)
    served = _certificate(settings)
    sources = () if served is None else [source("tls_", served.measures)]
    app = create_app(settings, opened=add_sample if sample else None, measured=sources)
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
        headers=[] if served is None else [HSTS],
    )
    listener = listen(settings.host, settings.port)
    if served is not None:
        config.load()
        config.ssl = served.context
        threading.Thread(target=served.watch, args=(threading.Event(),), name="certificate", daemon=True).start()
    server = uvicorn.Server(config)
    welcome = Welcome(settings, server)
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


def _certificate(settings: Settings) -> ServedCertificate | None:
    """Raises TlsError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return ServedCertificate(settings.tls_cert, settings.tls_key)


def _is_told_by_us(app: Any, record: logging.LogRecord) -> bool:
    """Whether it is the traceback of a start that failed for a reason which can be said in a sentence, or what uvicorn
    takes a websocket for that was refused: strangers could fill the log with errors.
    """
    text = record.getMessage()
    return text == _REFUSED_WEBSOCKET or (hasattr(app.state, "failure") and text.startswith("Traceback"))


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


async def add_sample(context: Context) -> None:
    """Unless it is there since an earlier start."""
    if SAMPLE_NAME in [stream.name for stream in await context.store.all_streams(ALL)]:
        return
    url = SAMPLE.as_uri() + "?pace=realtime&loop=true"
    try:
        await context.registry.add(StreamCreate(url=url, name=SAMPLE_NAME))
    except ServiceError as error:
        _say(f"the sample stream could not be added: {error}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Welcome:
    """Asks the running service as anybody may whether it is ready, and prints its URL then."""

    def __init__(self, settings: Settings, server: uvicorn.Server) -> None:
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
        scheme = "http" if settings.tls_cert is None else "https"
        self.url = f"{scheme}://{host}:{settings.port}"
        self.headers = {"Host": settings.hosts[0]} if settings.hosts else {}  # an address of ours need not be listed
        self._server = server

    def run(self) -> None:
        while not self._server.started:
            if self._server.should_exit:
                return
            time.sleep(0.1)
        # The socket is this process's own, whatever name is in its certificate.
        options: dict[str, Any] = {"timeout": 30, "trust_env": False, "verify": False, "headers": self.headers}
        with httpx.Client(base_url=self.url, **options) as client:
            _say(f"Actoscope is at {self.url} – models are loading (the first start converts them)")
            while not self._server.should_exit:
                if self._ready(client):
                    _say(f"Ready: open {self.url} (stop with Ctrl-C)")
                    return
                time.sleep(0.5)

    @staticmethod
    def _ready(client: httpx.Client) -> bool:
        """Whether the models are loaded. A server that is being stopped may answer no more."""
        try:
            return client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
