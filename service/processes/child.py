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
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from pipeline.memory import trim_memory
from service import logs
from service.processes.ipc import Channel, ChannelClosed
from service.processes.messages import ChildSetup, MessageChannel, Stop, UnexpectedMessage, unexpected

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
MAX_OUTBOX = 4096
EXIT_GRACE_S = 4.0
TIDY_EVERY_S = 60.0


_Setup = TypeVar("_Setup", bound=ChildSetup)
_Command = TypeVar("_Command")


class ControlLink(Generic[_Setup]):
    """Commands in, reports out. Reports are queued and sent by a thread, so a slow supervisor never stops a stream.

    Two ways of reporting: ``latest`` (only the newest of its type waits) and ``send`` (kept in order; bounded by
    MAX_OUTBOX, beyond which the process ends itself rather than lose one silently). ``stopped`` is set when the
    supervisor says stop, goes away, says something that nobody here takes, or ``fail`` is called.
    """

    def __init__(self, channel: MessageChannel, setup: _Setup) -> None:
        self.setup = setup
        self.stopped = threading.Event()
        self.exit_status = 0
        self.tidy: Callable[[], None] = trim_memory  # called from time to time
        self._channel = channel
        self._handlers: dict[type, Callable[[Any], None]] = {Stop: lambda _: self.stopped.set()}
        self._condition = threading.Condition()
        self._ordered: deque[object] = deque()
        self._latest: dict[type, object] = {}
        self._sending = False
        self.replaced = 0
        threading.Thread(target=self._send_loop, name="control-out", daemon=True).start()

    def on(self, command: type[_Command], handler: Callable[[_Command], None]) -> None:
        """Calls ``handler`` from the reading thread for every command of this type."""
        self._handlers[command] = handler

    def listen(self) -> None:
        """Starts reading commands; call after the handlers are set."""
        threading.Thread(target=self._receive_loop, name="control-in", daemon=True).start()
        threading.Thread(target=self._attend, name="attend", daemon=True).start()

    def _attend(self) -> None:
        """Memory goes back to the system while the process runs. A decoder stuck in native code cannot be unblocked:
        a grace period after the process is told to stop, it goes anyway.
        """
        while not self.stopped.wait(TIDY_EVERY_S):
            self.tidy()
        time.sleep(EXIT_GRACE_S)
        os._exit(self.exit_status or 4)

    def send(self, report: object) -> None:
        with self._condition:
            if len(self._ordered) >= MAX_OUTBOX:
                self.fail("the supervisor does not read reports")
                return
            self._ordered.append(report)
            self._condition.notify()

    def latest(self, report: object) -> None:
        with self._condition:
            self.replaced += type(report) in self._latest
            self._latest[type(report)] = report
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
                command = self._channel.receive()
                handler = self._handlers.get(type(command))
                if handler is None:
                    raise unexpected(command, "this process")
                handler(command)
        except ChannelClosed:
            log.info("the supervisor is gone")
            self.stopped.set()
        except UnexpectedMessage as error:
            self.fail(str(error))

    def _send_loop(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ordered or self._latest)
                batch = [*self._ordered, *self._latest.values()]
                self._ordered.clear()
                self._latest.clear()
                self._sending = True
            try:
                for report in batch:
                    self._channel.send(report)
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


def start_child(fd: int, expected: type[_Setup]) -> ControlLink[_Setup]:
    """First call of a child's ``main``: takes the socket and the setup, sets up logging and limits.

    Raises UnexpectedMessage when the supervisor begins with something else than ``expected``.
    """
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    channel = MessageChannel(Channel(socket.socket(fileno=fd)))
    setup = channel.receive()
    if not isinstance(setup, expected):
        raise unexpected(setup, f"a process that waits for its {expected.__name__}")
    logs.configure(setup.log_level, setup.log_format)
    limit = setup.memory_limit_bytes
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    link = ControlLink(channel, setup)
    _stop_on_sigterm(link.stopped)
    return link


def _stop_on_sigterm(stopped: threading.Event) -> None:
    """By a pipe and a thread, not in a handler: a second signal inside ``Event.set`` would wait for ever for the lock
    that the first holds. The interpreter writes to the pipe even while the main thread is in native code."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        os.read(reading, 1)
        stopped.set()

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def _die_with_parent() -> None:
    """SIGTERM when the supervising process ends, however it ends (Linux ``prctl``; elsewhere its socket tells)."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        log.debug("no prctl here; the closed socket will tell")
