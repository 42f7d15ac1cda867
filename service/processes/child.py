"""What both kinds of child process need: the link to the supervisor, and never outliving it."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from service import logs
from service.processes.ipc import Arrays, Channel, ChannelClosed, Message

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
MAX_OUTBOX = 4096
EXIT_GRACE_S = 4.0


class ControlLink:
    """Commands in, reports out. Reports are queued and sent by a thread, so a slow supervisor never stops a stream.

    Three kinds of report: ``latest`` (only the newest of its kind waits), ``send`` (kept in order; bounded by
    MAX_OUTBOX, beyond which the process ends itself rather than lose one silently). ``stopped`` is set when the
    supervisor says stop, goes away, or ``fail`` is called.
    """

    def __init__(self, channel: Channel, config: dict[str, Any]) -> None:
        self.config = config
        self.stopped = threading.Event()
        self.exit_status = 0
        self._channel = channel
        self._handlers: dict[str, Callable[[Message], None]] = {}
        self._condition = threading.Condition()
        self._ordered: deque[tuple[str, Mapping[str, Any], Arrays | None]] = deque()
        self._latest: dict[str, tuple[Mapping[str, Any], Arrays | None]] = {}
        self._sending = False
        self.replaced = 0
        threading.Thread(target=self._send_loop, name="control-out", daemon=True).start()

    def on(self, kind: str, handler: Callable[[Message], None]) -> None:
        """Calls ``handler`` from the reading thread for every command of this kind."""
        self._handlers[kind] = handler

    def listen(self) -> None:
        """Starts reading commands; call after the handlers are set."""
        threading.Thread(target=self._receive_loop, name="control-in", daemon=True).start()
        threading.Thread(target=self._force_exit, name="force-exit", daemon=True).start()

    def _force_exit(self) -> None:
        """A decoder stuck in native code cannot be unblocked; after the grace period the process goes anyway."""
        self.stopped.wait()
        time.sleep(EXIT_GRACE_S)
        os._exit(self.exit_status or 4)

    def send(self, kind: str, fields: Mapping[str, Any], arrays: Arrays | None = None) -> None:
        with self._condition:
            if len(self._ordered) >= MAX_OUTBOX:
                self.fail("the supervisor does not read reports")
                return
            self._ordered.append((kind, fields, arrays))
            self._condition.notify()

    def latest(self, kind: str, fields: Mapping[str, Any], arrays: Arrays | None = None) -> None:
        with self._condition:
            self.replaced += kind in self._latest
            self._latest[kind] = (fields, arrays)
            self._condition.notify()

    def fail(self, reason: str) -> None:
        """Ends the process with status 1; the supervisor starts it again."""
        log.error("ending: %s", reason)
        self.exit_status = 1
        self.stopped.set()

    def flush(self, timeout_s: float = 1.0) -> None:
        """Waits until everything queued has left, or the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: not (self._ordered or self._latest or self._sending), timeout_s)

    def _receive_loop(self) -> None:
        try:
            while True:
                message = self._channel.receive()
                if message.kind == "stop":
                    self.stopped.set()
                handler = self._handlers.get(message.kind)
                if handler is not None:
                    handler(message)
        except ChannelClosed:
            log.info("the supervisor is gone")
            self.stopped.set()

    def _send_loop(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ordered or self._latest)
                batch = list(self._ordered)
                batch += [(kind, fields, arrays) for kind, (fields, arrays) in self._latest.items()]
                self._ordered.clear()
                self._latest.clear()
                self._sending = True
            try:
                for kind, fields, arrays in batch:
                    self._channel.send(kind, fields, arrays)
            except ChannelClosed:
                self.stopped.set()
                return
            finally:
                with self._condition:
                    self._sending = False
                    self._condition.notify_all()


def leave(status: int) -> NoReturn:
    """Ends the process now. The interpreter's own way out waits for native threads (an inference that still runs, a
    decoder that hangs), and no thread of ours could then end it any more."""
    logging.shutdown()
    os._exit(status)


def start_child(fd: int) -> ControlLink:
    """First call of a child's ``main``: takes the socket and the configuration, sets up logging and limits."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    channel = Channel(socket.socket(fileno=fd))
    config = channel.receive().fields
    logs.configure(config["log_level"], config["log_format"])
    limit = int(config.get("memory_limit_bytes") or 0)
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    link = ControlLink(channel, config)
    _stop_on_sigterm(link)
    return link


def _stop_on_sigterm(link: ControlLink) -> None:
    """By a pipe and a thread, not in a handler: a second signal inside ``Event.set`` would wait for ever for the lock
    that the first holds. The interpreter writes to the pipe even while the main thread is in native code."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        os.read(reading, 1)
        link.stopped.set()

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def _die_with_parent() -> None:
    """SIGTERM when the supervising process ends, however it ends (Linux ``prctl``; elsewhere its socket tells)."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        log.debug("no prctl here; the closed socket will tell")
