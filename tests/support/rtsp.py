"""A real RTSP camera for tests: starts, freezes, kills and restarts ``rtsp_server.py`` on a free loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import pytest

SCRIPT = Path(__file__).with_name("rtsp_server.py")
READY_TIMEOUT_S = 20.0
_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@lru_cache(maxsize=1)
def gstreamer_python() -> str | None:
    """The interpreter that has GStreamer's RTSP server, or None. ``ACTOSCOPE_TEST_GST_PYTHON`` names another one."""
    for name in (os.environ.get("ACTOSCOPE_TEST_GST_PYTHON"), "/usr/bin/python3", shutil.which("python3")):
        if (
            name
            and Path(name).exists()
            and subprocess.run([name, "-c", _PROBE], capture_output=True, check=False).returncode == 0
        ):
            return name
    return None


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspServer:
    """``with RtspServer(video) as camera: … camera.url()``. Skips the test where GStreamer's RTSP server is missing.

    ``credentials`` is ``user:password``, ``tls_pem`` a file with certificate and key (then it serves rtsps); ``kill``
    leaves the port closed and ``start`` opens the same port again.
    """

    def __init__(
        self,
        video: Path,
        credentials: str | None = None,
        mounts: Sequence[str] = ("/cam",),
        port: int | None = None,
        tls_pem: Path | None = None,
    ) -> None:
        python = gstreamer_python()
        if python is None:
            pytest.skip("GStreamer's RTSP server is not installed (python3-gi, gir1.2-gst-rtsp-server-1.0)")
        self.port = port or free_port()
        self._command = [python, str(SCRIPT), str(video), "--port", str(self.port)]
        for mount in mounts:
            self._command += ["--mount", mount]
        if credentials:
            self._command += ["--user", credentials]
        if tls_pem:
            self._command += ["--tls", str(tls_pem)]
        self._scheme = "rtsps" if tls_pem else "rtsp"
        self._credentials, self._mounts = credentials, tuple(mounts)
        self._process: subprocess.Popen[str] | None = None

    def url(self, mount: str | None = None, credentials: str | None = None) -> str:
        """The address of a mount point, with the right credentials unless others are given ("" for none)."""
        login = self._credentials if credentials is None else credentials
        return f"{self._scheme}://{login + '@' if login else ''}127.0.0.1:{self.port}{mount or self._mounts[0]}"

    def start(self) -> None:
        """Start, and return once the server accepts connections. Fails the test when it does not come up."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(READY_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdout is not None
            if self._process.stdout.readline().strip() != "ready":
                _, errors = self._process.communicate()
                pytest.fail(f"the RTSP server did not come up: {errors[-500:]}")
        finally:
            watchdog.cancel()

    def freeze(self) -> None:
        """Stop answering without closing anything, as a hung camera does."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End at once (SIGKILL works on a frozen process too); connections break, the port closes."""
        process = self._running()
        process.kill()
        process.communicate()
        self._process = None

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the server was not started"
        return self._process

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
