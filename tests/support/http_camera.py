"""A tiny HTTP server for tests: files, multipart JPEG, redirects and errors, on loopback."""

from __future__ import annotations

import http.server
import itertools
import threading
import time
from pathlib import Path
from types import TracebackType

from tests.support.media import jpeg


class HttpCamera:
    """``with HttpCamera(folder) as server: server.url("/v.mp4")``.

    ``/mjpeg`` streams JPEGs for ever, ``/redirect?to`` answers 302 to ``to``, ``/status/403`` that status; everything
    else is a file of ``folder``, and playlists say so. ``paths`` lists what was asked for.
    """

    def __init__(self, folder: Path, pictures_a_second: float = 20.0) -> None:
        self.paths: list[str] = []
        self._period_s = 1.0 / pictures_a_second
        self._closing = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                camera.paths.append(self.path)
                try:
                    camera._answer(self, folder)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the reader went away, as it may

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def url(self, path: str, credentials: str = "") -> str:
        return f"http://{credentials + '@' if credentials else ''}127.0.0.1:{self.port}{path}"

    def _answer(self, request: http.server.BaseHTTPRequestHandler, folder: Path) -> None:
        path, _, query = request.path.partition("?")
        if path == "/mjpeg":
            self._stream_jpegs(request)
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
            if self._closing.is_set():
                return
            body = jpeg(index)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            request.wfile.write(head.encode() + body + b"\r\n")
            time.sleep(self._period_s)

    @staticmethod
    def _head(request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    def __enter__(self) -> HttpCamera:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
