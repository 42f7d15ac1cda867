"""A live camera over HTTP whose clock goes at any speed: MPEG-TS, a picture each period of real time, on loopback."""

from __future__ import annotations

import http.server
import itertools
import time
from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray

from tests.support.loopback_server import LoopbackServer
from tests.support.media import TIME_BASE, picture

SIZE_HW = (120, 160)


class TsCamera(LoopbackServer):
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
        super().__init__()
        self.asked = 0
        self._speed, self._period_s, self._show, self._size_hw = speed, 1.0 / rate_hz, show, size_hw

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.ts"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        request.send_response(200)
        request.send_header("Content-Type", "video/mp2t")
        request.end_headers()
        self._send(request.wfile)

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
                if self.closing.wait(max(0.0, began_s + (index + 1) * self._period_s - time.monotonic())):
                    return
