"""A tiny HTTP server for tests: files, multipart JPEG, snapshots, redirects and errors, on loopback."""

from __future__ import annotations

import http.server
import itertools
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.loopback_server import LoopbackServer
from tests.support.media import jpeg


def whole_part(_index: int, body: bytes) -> bytes:
    """One picture as it should be sent."""
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body) + body + b"\r\n"


class HttpCamera(LoopbackServer):
    """``with HttpCamera(folder) as server: server.url("/v.mp4")``.

    ``/mjpeg`` streams JPEGs for ever, each as ``part`` wraps it; ``/snapshot`` answers with what ``snapshot`` says for
    the number of requests before, ``/slowly`` with those bytes over about two seconds. ``/redirect?to`` answers 302 to
    ``to``, ``/status/403`` that status; everything else is a file of ``folder``, and playlists say so. ``paths`` lists
    what was asked for.
    """

    def __init__(
        self,
        folder: Path,
        pictures_a_second: float = 20.0,
        *,
        part: Callable[[int, bytes], bytes] = whole_part,
        snapshot: Callable[[int], bytes] = jpeg,
        slowly: bytes = b"",
    ) -> None:
        super().__init__()
        self.paths: list[str] = []
        self._folder = folder
        self._part, self._snapshot, self._slow = part, snapshot, slowly
        self._period_s = 1.0 / pictures_a_second

    def url(self, path: str, credentials: str = "") -> str:
        return f"http://{credentials + '@' if credentials else ''}127.0.0.1:{self.port}{path}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        folder = self._folder
        path, _, query = request.path.partition("?")
        if path in ("/mjpeg", "/mjpeg.mp4"):
            self._stream_jpegs(request)
        elif path == "/snapshot":
            self._send_snapshot(request)
        elif path == "/slowly":
            self._send_slowly(request)
        elif path == "/redirect":
            self._head(request, 302, {"Location": query})
        elif path.startswith("/status/"):
            self._head(request, int(path.rpartition("/")[2]), {})
        elif (folder / path[1:]).is_file():
            content = (folder / path[1:]).read_bytes()
            kind = "application/vnd.apple.mpegurl" if content.startswith(b"#EXTM3U") else "application/octet-stream"
            self._head(request, 200, {"Content-Length": str(len(content)), "Content-Type": kind})
            request.wfile.write(content)
        else:
            self._head(request, 404, {})

    def _stream_jpegs(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self._head(request, 200, {"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        for index in itertools.count():
            if self.closing.is_set():
                return
            request.wfile.write(self._part(index, jpeg(index)))
            time.sleep(self._period_s)

    def _send_snapshot(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = self._snapshot(self.paths.count(request.path) - 1)
        self._head(request, 200 if body else 503, {"Content-Type": "image/jpeg", "Content-Length": str(len(body))})
        request.wfile.write(body)

    def _send_slowly(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """As a camera does: without saying how much will come, and open when all has."""
        self._head(request, 200, {"Content-Type": "application/octet-stream"})
        for start in range(0, len(self._slow), len(self._slow) // 50):
            request.wfile.write(self._slow[start : start + len(self._slow) // 50])
            time.sleep(0.04)
        self.closing.wait(20.0)

    @staticmethod
    def _head(request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
