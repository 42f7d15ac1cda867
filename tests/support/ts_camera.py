"""A live camera over HTTP whose clock goes at any speed: MPEG-TS, a picture each period of real time, on loopback."""

from __future__ import annotations

import http.server
import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.media import TIME_BASE, picture

SIZE_HW = (120, 160)


class TsCamera:
    """``with TsCamera(speed=0.2) as camera: camera.url``. ``show`` gives the picture of a number, ``size_hw`` each.

    ``asked``: how many requests came.
    """

    def __init__(
        self,
        speed: float,
        rate_hz: float = 25.0,
        show: Callable[[int], NDArray[np.uint8]] = lambda index: picture(index, SIZE_HW),
        size_hw: tuple[int, int] = SIZE_HW,
    ) -> None:
        self._closing = threading.Event()
        self.asked = 0
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                camera.asked += 1
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                try:
                    camera._send(self.wfile)
                except OSError:
                    self.close_connection = True  # the reader went away, as it may

        self._speed, self._period_s, self._show, self._size_hw = speed, 1.0 / rate_hz, show, size_hw
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/live.ts"

    def _send(self, target: object) -> None:
        with av.open(target, "w", format="mpegts", options={"flush_packets": "1"}) as out:
            stream = out.add_stream("libx264", rate=25)
            stream.height, stream.width = self._size_hw
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = 10
            stream.codec_context.time_base = TIME_BASE
            stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
            began_s = time.monotonic()
            for index in itertools.count():
                frame = av.VideoFrame.from_ndarray(self._show(index), format="rgb24")
                frame.time_base, frame.pts = TIME_BASE, round(90_000 * self._speed * self._period_s * index)
                out.mux(stream.encode(frame))
                if self._closing.wait(max(0.0, began_s + (index + 1) * self._period_s - time.monotonic())):
                    return

    def __enter__(self) -> TsCamera:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
