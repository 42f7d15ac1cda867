"""An RTSP camera made of a file: loops one H.264 MP4 for ever, seamlessly, on loopback.

Runs with the interpreter that has GStreamer's bindings (Debian: ``/usr/bin/python3`` with ``python3-gi`` and
``gir1.2-gst-rtsp-server-1.0``), so it imports nothing of this project. Prints ``ready`` once it accepts connections.

    /usr/bin/python3 tests/support/rtsp_server.py street.mp4 --port 8554 --user cam:secret --mount /cam --mount /door
"""

from __future__ import annotations

import argparse
import signal
from dataclasses import dataclass
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstApp, GstRtspServer  # noqa: E402  (the versions must be required first)

ROLE = "viewer"
PAYLOADER = (
    "( appsrc name=src format=time max-bytes=200000 block=false ! h264parse config-interval=-1"
    " ! rtph264pay name=pay0 pt=96 )"
)


@dataclass(frozen=True)
class Video:
    """The access units of one video, in decoding order, and the constant time between them (nanoseconds)."""

    access_units: tuple[bytes, ...]
    period_ns: int
    caps: Any  # Gst.Caps


def read_video(path: str) -> Video:
    """Read every access unit of an H.264 MP4 without B-frames into memory. ``SystemExit`` where there is none."""
    pipeline = Gst.parse_launch(
        "filesrc name=file ! qtdemux ! h264parse config-interval=-1 !"
        " video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=sink sync=false"
    )
    pipeline.get_by_name("file").set_property("location", path)
    sink: GstApp.AppSink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units: list[bytes] = []
    caps, period_ns = None, Gst.SECOND // 25
    while (sample := sink.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        if not units and buffer.duration not in (0, Gst.CLOCK_TIME_NONE):
            period_ns = buffer.duration
        units.append(buffer.extract_dup(0, buffer.get_size()))
        caps = sample.get_caps()
    pipeline.set_state(Gst.State.NULL)
    if not units:
        raise SystemExit(f"{path}: no H.264 video in it")
    return Video(tuple(units), period_ns, caps)


def feed(media: GstRtspServer.RTSPMedia, video: Video) -> None:
    """Give a new session's source the access units, again and again, with timestamps that never jump."""
    source = media.get_element().get_child_by_name("src")
    source.set_property("caps", video.caps)
    sent = 0

    def push_next(appsrc: GstApp.AppSrc, _wanted_bytes: int) -> None:
        nonlocal sent
        buffer = Gst.Buffer.new_wrapped(video.access_units[sent % len(video.access_units)])
        buffer.pts = buffer.dts = sent * video.period_ns
        buffer.duration = video.period_ns
        sent += 1
        appsrc.emit("push-buffer", buffer)

    source.connect("need-data", push_next)


def make_factory(video: Video, protected: bool) -> GstRtspServer.RTSPMediaFactory:
    """One mount point's media: shared by all its viewers, open to everyone or to ``ROLE`` only."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PAYLOADER)
    factory.set_shared(True)
    factory.connect("media-configure", lambda _factory, media: feed(media, video))
    if protected:
        made = Gst.Structure.new_from_string(f"{ROLE}, media.factory.access=true, media.factory.construct=true")
        factory.add_role_from_structure(made[0] if isinstance(made, tuple) else made)
    return factory


def make_auth(credentials: str | None, pem: str | None) -> GstRtspServer.RTSPAuth:
    """Basic authentication for one ``user:password``, TLS with the certificate and key of a PEM file, or both."""
    auth = GstRtspServer.RTSPAuth()
    if credentials:
        user, _, password = credentials.partition(":")
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    if pem:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(pem))
    return auth


def serve(video: Video, port: int, mounts: list[str], credentials: str | None, pem: str | None) -> None:
    """Serve until SIGTERM or SIGINT. Raises ``SystemExit`` when the port is taken."""
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    if credentials or pem:
        server.set_auth(make_auth(credentials, pem))
    for mount in mounts:
        server.get_mount_points().add_factory(mount, make_factory(video, protected=bool(credentials)))
    if server.attach(None) == 0:
        raise SystemExit(f"port {port} is taken")
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    print("ready", flush=True)  # noqa: T201  (what the parent process waits for)
    loop.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="an H.264 MP4 file without B-frames")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--mount", action="append", help="path of the stream, may be given again (default: /cam)")
    parser.add_argument("--user", help="user:password that viewers must give")
    parser.add_argument("--tls", help="PEM file with a certificate and its key: serve rtsps instead of rtsp")
    arguments = parser.parse_args()
    Gst.init(None)
    serve(read_video(arguments.video), arguments.port, arguments.mount or ["/cam"], arguments.user, arguments.tls)


if __name__ == "__main__":
    main()
