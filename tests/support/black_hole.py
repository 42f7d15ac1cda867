"""A TCP port that accepts connections and never gives a proper answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class BlackHole:
    """``with BlackHole(drip) as hole: hole.port``. Sends ``greeting`` once, then ``drip`` each half second."""

    def __init__(self, drip: bytes = b"", greeting: bytes = b"") -> None:
        self._drip, self._greeting = drip, greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepted = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                peer, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._bore, args=(peer,), daemon=True).start()

    def _bore(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.sendall(self._greeting)
            while not self._closing.wait(0.5):
                if self._drip:
                    peer.sendall(self._drip)

    def __enter__(self) -> BlackHole:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._accepting.join()
        self._listener.close()
