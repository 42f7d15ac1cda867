"""An RTSP server that sends everybody on to another one."""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType


class RtspRedirect:
    """``with RtspRedirect(target) as server: … server.url``; ``asked`` holds the first lines of requests."""

    def __init__(self, target: str, status: int = 302) -> None:
        self.asked: list[str] = []
        redirect = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while head := self._head():
                    redirect.asked.append(head[0])
                    number = next(line for line in head if line.lower().startswith("cseq"))
                    moved = not head[0].startswith("OPTIONS")
                    first = f"RTSP/1.0 {status} Moved" if moved else "RTSP/1.0 200 OK"
                    rest = f"Location: {target}" if moved else "Public: OPTIONS, DESCRIBE, SETUP, PLAY"
                    self.wfile.write(f"{first}\r\n{number}\r\n{rest}\r\n\r\n".encode())

            def _head(self) -> list[str]:
                lines: list[str] = []
                while line := self.rfile.readline().decode().strip():
                    lines.append(line)
                return lines

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"rtsp://127.0.0.1:{self._server.server_address[1]}/cam"

    def __enter__(self) -> RtspRedirect:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
