"""The last line of defence: FFmpeg's own time limits do not fire, and the source must get away all the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources.reader import open_reader
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState
from tests.support.black_hole import BlackHole
from tests.support.http_camera import HttpCamera, whole_part
from tests.support.media import jpeg
from tests.support.watcher import Watcher

# Limits that FFmpeg will not reach during the test: only the watchdog is left.
NEVER_S = 60.0


def camera_greeting(pictures: int) -> bytes:
    """An HTTP camera's answer up to and with its first pictures."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
    for index in range(pictures):
        body = jpeg(index)
        head += b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body) + body + b"\r\n"
    return head + b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(("drip", "stuck"), [(b"", 1), (b"x", 0)], ids=["silent", "trickling"])
def test_camera_that_goes_silent_is_given_up_by_the_age_of_its_last_picture(drip: bytes, stuck: int) -> None:
    options = SourceOptions(read_timeout_s=NEVER_S, stale_after_s=1.0)
    with (
        BlackHole(drip, camera_greeting(5)) as hole,
        Watcher(f"http://127.0.0.1:{hole.port}/mjpeg", options) as watched,
    ):
        watched.wait_state(SourceState.RUNNING)
        change = watched.wait_code("timed_out")
        assert change.state is SourceState.RECONNECTING
        watched.wait(lambda _: hole.accepted >= 2)
        # The reader that was left behind is reported, until it sees at the next byte that nobody wants it.
        watched.wait(lambda w: w.source.stats().stuck == stuck)
        assert watched.stop() < 2.0


@pytest.mark.parametrize("first", [b"--frame\r\n", b"\xff\xd8\xff\xe0"], ids=["nothing-known", "known-as-jpeg"])
def test_reader_of_bytes_without_pictures_is_not_left_behind(first: bytes) -> None:
    options = SourceOptions(read_timeout_s=NEVER_S, open_timeout_s=NEVER_S)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"
    wanted = [True]
    with BlackHole(b"a" * 2000, head + first) as hole:
        reading = threading.Thread(target=_read, args=(hole.port, options, lambda: not wanted[0]), daemon=True)
        reading.start()
        reading.join(1.5)
        assert reading.is_alive(), "else this tests nothing"
        wanted[0] = False
        reading.join(3.0)
        assert not reading.is_alive()


def _read(port: int, options: SourceOptions, unwanted: Callable[[], bool]) -> None:
    with contextlib.suppress(SourceError):
        reader = open_reader(SourceUrl.parse(f"http://127.0.0.1:{port}/cam", SourcePolicy()), options, unwanted)
        list(reader.pictures())


def test_patience_of_a_bad_minute_ends_once_pictures_come_at_their_pace(tmp_path: Path) -> None:
    def part(index: int, body: bytes) -> bytes:
        return whole_part(index, body) if index < 15 else b""

    options = SourceOptions(read_timeout_s=NEVER_S, stale_after_s=1.0)
    with HttpCamera(tmp_path, part=part) as server:
        watched = Watcher(server.url("/mjpeg"), options)
        watched.source._patience = 8.0
        with watched:
            watched.wait(lambda w: len(w.frames) >= 6)
            assert watched.source.stats().quiet_s == 0.0
            watched.wait_code("timed_out", timeout_s=5.0)


def test_camera_that_never_sends_a_keyframe_is_undecodable() -> None:
    options = SourceOptions(read_timeout_s=NEVER_S, stale_after_s=5.0, first_frame_s=1.0)
    garbage = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n"
    greeting = camera_greeting(0).partition(b"--frame")[0] + garbage * 50
    with BlackHole(garbage, greeting) as hole, Watcher(f"http://127.0.0.1:{hole.port}/mjpeg", options) as watched:
        change = watched.wait_code("unreadable")
        assert change.state is SourceState.RECONNECTING
        assert "no picture can be decoded" in change.reason
        assert watched.source.stats().corrupt > 0


def test_stop_abandons_a_thread_that_is_stuck_in_opening() -> None:
    with BlackHole() as hole:
        watched = Watcher(f"rtsp://127.0.0.1:{hole.port}/cam", SourceOptions(open_timeout_s=NEVER_S))
        with watched:
            watched.wait(lambda _: hole.accepted == 1)
            assert watched.stop() < 2.0
        assert watched.source.stats().stuck == 1
        assert watched.changes[-1].state is SourceState.STOPPED
    watched.wait(lambda w: w.source.stats().stuck == 0)  # the peer closed: FFmpeg came back, the thread ended


def test_stuck_threads_do_not_pile_up() -> None:
    options = SourceOptions(open_timeout_s=0.2, read_timeout_s=NEVER_S, stale_after_s=0.3, first_frame_s=0.3)
    with BlackHole(b"", camera_greeting(3)) as hole, Watcher(f"http://127.0.0.1:{hole.port}/mjpeg", options) as watched:
        watched.wait(lambda w: w.source.stats().stuck == 3, timeout_s=20)
        accepted = hole.accepted
        watched.source._wake.acquire()
        watched.source._wake.wait(2.5)  # longer than any back-off so far
        watched.source._wake.release()
        assert hole.accepted == accepted
        assert watched.stop() < 2.0


def test_missing_usb_camera_is_not_found() -> None:
    with Watcher("usb:219") as watched:
        change = watched.wait_code("not_found")
        assert change.state is SourceState.FAILED
        assert "/dev/video219" in change.reason
        assert watched.stop() < 2.0
