"""HTTP cameras and recordings, and what an HTTP server must not get this process to do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.sources.connection import Connection
from pipeline.sources.container import _address
from pipeline.sources.reader import open_reader
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState
from tests.support.http_camera import HttpCamera, whole_part
from tests.support.media import jpeg, write_video
from tests.support.ts_camera import TsCamera
from tests.support.watcher import Watcher


def test_recording_over_http_ends_at_its_end(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=40)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/v.mp4")) as watched:
        watched.wait_state(SourceState.STOPPED)
    assert len(watched.frames) == 40
    assert watched.error is None
    assert watched.source.stats().frame_count == 40


def test_recording_under_a_name_without_suffix_is_recognised(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=40).rename(tmp_path / "download")
    with HttpCamera(tmp_path) as server, Watcher(server.url("/download")) as watched:
        watched.wait_state(SourceState.STOPPED)
    assert len(watched.frames) == 40


def test_multipart_jpeg_is_live_and_keeps_arrival_times(tmp_path: Path) -> None:
    with HttpCamera(tmp_path, pictures_a_second=10) as server, Watcher(server.url("/mjpeg")) as watched:
        watched.wait(lambda w: len(w.frames) > 15)
        assert watched.stop() < 2.0
    times = np.array([frame.time_s for frame in watched.frames])
    received = np.array([frame.received_s for frame in watched.frames])
    assert np.diff(times).min() > 0
    # FFmpeg would claim 25 a second; the camera sends about ten.
    np.testing.assert_allclose(times - times[0], received - received[0], atol=0.1)
    assert {frame.epoch for frame in watched.frames} == {0}


def test_multipart_jpeg_that_ends_is_a_failure(tmp_path: Path) -> None:
    with HttpCamera(tmp_path) as server:
        watched = Watcher(server.url("/mjpeg"))
        watched.__enter__()
        watched.wait(lambda w: len(w.frames) > 5)
    watched.wait_state(SourceState.RECONNECTING)
    assert watched.stop() < 2.0
    assert watched.error is None


@pytest.mark.parametrize(
    ("path", "code", "state"),
    [
        ("/status/401", "unauthorized", SourceState.FAILED),
        ("/status/403", "forbidden", SourceState.FAILED),
        ("/missing", "not_found", SourceState.FAILED),
        ("/status/500", "server_error", SourceState.RECONNECTING),
        ("/page.html", "unreadable", SourceState.FAILED),
    ],
)
def test_answers_that_are_no_video(tmp_path: Path, path: str, code: str, state: SourceState) -> None:
    (tmp_path / "page.html").write_text("<html>please log in</html>" * 100)
    with HttpCamera(tmp_path) as server, Watcher(server.url(path, "viewer:c4n4ry")) as watched:
        assert watched.wait_code(code).state is state
    assert "c4n4ry" not in repr(watched.changes)


def test_redirect_is_not_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=5)
    with (
        HttpCamera(tmp_path) as elsewhere,
        HttpCamera(tmp_path) as server,
        Watcher(server.url("/redirect?" + elsewhere.url("/v.mp4"))) as watched,
    ):
        change = watched.wait_code("disconnected")
        assert "redirect" in change.reason
    assert elsewhere.paths == []
    assert watched.frames == []


def test_ffmpeg_that_cannot_refuse_redirects_reads_no_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(av.library_versions, "libavformat", (62, 3, 100))
    write_video(tmp_path / "v.mp4", frames=5)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/v.mp4")) as watched:
        assert watched.wait_code("not_allowed").state is SourceState.FAILED
    assert server.paths == []


def playlist(folder: Path, segment_url: str) -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", segment_url, "#EXT-X-ENDLIST", ""]
    for name in ("list.m3u8", "hidden"):
        (folder / name).write_text("\n".join(lines))


def test_playlist_is_refused_and_nothing_it_names_is_asked(tmp_path: Path) -> None:
    with HttpCamera(tmp_path) as elsewhere, HttpCamera(tmp_path) as server:
        playlist(tmp_path, elsewhere.url("/segment.ts"))
        with Watcher(server.url("/hidden")) as watched:
            assert watched.wait_code("not_allowed").state is SourceState.FAILED
    assert elsewhere.paths == []


def test_playlist_of_a_trusted_host_plays(tmp_path: Path) -> None:
    write_video(tmp_path / "segment.ts", frames=50)
    with HttpCamera(tmp_path) as server:
        playlist(tmp_path, "segment.ts")
        url = SourceUrl.parse(server.url("/list.m3u8"), SourcePolicy(hls_hosts=frozenset({"127.0.0.1"})))
        with Watcher(url) as watched:
            watched.wait(lambda w: len(w.frames) > 0 and w.source.state is SourceState.STOPPED)
    assert len(watched.frames) == 50


def test_source_of_a_playlist_without_an_end_is_live_but_comes_in_pieces(tmp_path: Path) -> None:
    write_video(tmp_path / "segment.ts", frames=50)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", "segment.ts", ""]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    with HttpCamera(tmp_path) as server:
        url = SourceUrl.parse(server.url("/list.m3u8"), SourcePolicy(hls_hosts=frozenset({"127.0.0.1"})))
        reader = open_reader(url, SourceOptions(), lambda: False)
        try:
            assert (reader.live, reader.pushed) == (True, False)
        finally:
            reader.close()


@pytest.fixture
def live_playlist(tmp_path: Path) -> Iterator[Path]:
    """A playlist that grows by a segment of 3 s every 3 s, as a camera's gateway makes it."""
    command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=10", "-c:v", "libx264"]
    command += ["-g", "30", "-f", "hls", "-hls_time", "3", str(tmp_path / "list.m3u8")]
    maker = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while not (tmp_path / "list.m3u8").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    yield tmp_path
    maker.kill()
    maker.wait()


@pytest.mark.exhaustive
def test_live_playlist_is_silent_for_a_segment_and_not_given_up(live_playlist: Path) -> None:
    url_policy = SourcePolicy(hls_hosts=frozenset({"127.0.0.1"}))
    impatient = SourceOptions(read_timeout_s=0.5, stale_after_s=1.0)
    with HttpCamera(live_playlist) as server:
        url = SourceUrl.parse(server.url("/list.m3u8"), url_policy)
        with Watcher(url, impatient) as watched:
            watched.wait(lambda w: len(w.frames) > 70, 30)  # of the third segment
            assert watched.source.stats().reconnects == 0


def test_camera_under_the_name_of_a_video_is_asked_once_and_its_arrival_counts(tmp_path: Path) -> None:
    with TsCamera(1.0) as camera:
        reader = open_reader(SourceUrl.parse(camera.url, SourcePolicy()), SourceOptions(), lambda: False)
        try:
            assert (reader.live, reader.pushed) == (True, True)
        finally:
            reader.close()
        assert camera.asked == 1


def test_opening_over_http_may_take_as_long_as_two_requests_do() -> None:
    options = SourceOptions(open_timeout_s=5.0)
    now_s = time.monotonic()
    http, rtsp = (
        Connection(SourceUrl.parse(f"{scheme}://127.0.0.1:9/cam", SourcePolicy()), options)
        for scheme in ("http", "rtsp")
    )
    assert http.complaint(now_s + 20.0) is None
    assert http.complaint(now_s + 22.0) is not None
    assert rtsp.complaint(now_s + 12.0) is not None


@pytest.mark.parametrize("name", ["v.mkv", "download"])
def test_recording_cut_off_by_the_server_is_an_error(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / "v.mkv", frames=200)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    path.rename(tmp_path / name)
    with HttpCamera(tmp_path) as server, Watcher(server.url(f"/{name}")) as watched:
        watched.wait(lambda w: w.error is not None)
        assert watched.changes[-1].state is SourceState.FAILED
    assert watched.error is not None
    assert watched.error.code == "ended"


def bad_header(kind: str) -> Callable[[int, bytes], bytes]:
    heads = {
        "image/jpg": b"--frame\r\nContent-Type: image/jpg\r\n\r\n",
        "no-header": b"--frame\r\n\r\n",
        "no-type": b"--frame\r\nContent-Length: 1839\r\n\r\n",
        "long": b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n",
        "short": b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n",
        "no-boundary": b"",
    }
    return lambda _index, body: heads[kind] + body + b"\r\n"


@pytest.mark.parametrize("kind", ["image/jpg", "no-header", "no-type", "long", "short", "no-boundary"])
def test_multipart_jpeg_is_read_whatever_its_parts_declare(tmp_path: Path, kind: str) -> None:
    with (
        HttpCamera(tmp_path, part=bad_header(kind)) as server,
        Watcher(server.url("/mjpeg")) as watched,
    ):
        watched.wait(lambda w: len(w.frames) > 10)
        assert [change.state for change in watched.changes] == [SourceState.CONNECTING, SourceState.RUNNING]
    assert watched.source.stats().corrupt == 0


def spoilt_third(index: int, body: bytes) -> bytes:
    """Every third picture ends in its middle."""
    return whole_part(index, body[: len(body) // 2] if index % 3 == 2 else body)


def test_every_third_picture_truncated_costs_those_and_no_id(tmp_path: Path) -> None:
    with (
        HttpCamera(tmp_path, pictures_a_second=40, part=spoilt_third) as server,
        Watcher(server.url("/mjpeg")) as watched,
    ):
        watched.wait(lambda w: len(w.frames) > 20)
        assert watched.stop() < 2.0
    assert {frame.epoch for frame in watched.frames} == {0}
    assert watched.source.stats().reconnects == 0
    assert watched.source.stats().corrupt >= 8
    # A picture whose second half is missing would be grey below: red must reach the last row.
    assert all(frame.image[118, 10, 0] > 150 for frame in watched.frames)


def test_pictures_that_are_always_too_large_are_a_failure(tmp_path: Path) -> None:
    options = SourceOptions(max_pixels=100 * 100)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/mjpeg"), options) as watched:
        change = watched.wait_code("too_large")
        assert change.state is SourceState.FAILED
        assert "160×120" in change.reason
    assert watched.frames == []


def test_snapshot_is_asked_for_again_and_again(tmp_path: Path) -> None:
    options = SourceOptions(snapshot_s=0.2)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/snapshot"), options) as watched:
        watched.wait(lambda w: len(w.frames) >= 6)
        assert [change.state for change in watched.changes] == [SourceState.CONNECTING, SourceState.RUNNING]
    times = np.array([frame.time_s for frame in watched.frames])
    assert {frame.epoch for frame in watched.frames} == {0}
    assert np.diff(times).mean() == pytest.approx(0.2, rel=0.3)
    assert server.paths.count("/snapshot") <= len(watched.frames) + 2


def test_snapshots_further_apart_than_the_age_limit_may_miss_one(tmp_path: Path) -> None:
    options = SourceOptions(snapshot_s=0.7, stale_after_s=0.3, first_frame_s=0.3)
    with (
        HttpCamera(tmp_path, snapshot=lambda request: b"" if request == 2 else jpeg(request)) as server,
        Watcher(server.url("/snapshot"), options) as watched,
    ):
        watched.wait(lambda w: len(w.frames) >= 3)
        assert watched.source.stats().reconnects == 0


def test_single_bad_snapshots_cost_one_picture_each(tmp_path: Path) -> None:
    def snapshot(request: int) -> bytes:
        return {2: b"", 4: b"<html>busy</html>", 6: jpeg(6)[:700]}.get(request, jpeg(request))

    options = SourceOptions(snapshot_s=0.1)
    with HttpCamera(tmp_path, snapshot=snapshot) as server, Watcher(server.url("/snapshot"), options) as watched:
        watched.wait(lambda w: len(w.frames) >= 7)
        assert watched.source.stats().reconnects == 0
        assert watched.source.stats().corrupt == 3
    assert {frame.epoch for frame in watched.frames} == {0}


def test_camera_that_gives_no_snapshots_any_more_is_tried_again(tmp_path: Path) -> None:
    options = SourceOptions(snapshot_s=0.1)
    with (
        HttpCamera(tmp_path, snapshot=lambda request: jpeg(0) if request < 3 else b"") as server,
        Watcher(server.url("/snapshot"), options) as watched,
    ):
        assert watched.wait_code("server_error").state is SourceState.RECONNECTING
    assert len(watched.frames) == 3


def test_login_page_in_place_of_later_snapshots_is_named(tmp_path: Path) -> None:
    def snapshot(request: int) -> bytes:
        return jpeg(0) if request < 3 else b"<!DOCTYPE html><title>login</title>"

    options = SourceOptions(snapshot_s=0.1)
    with HttpCamera(tmp_path, snapshot=snapshot) as server, Watcher(server.url("/snapshot"), options) as watched:
        assert "sends a web page" in watched.wait_code("unreadable").reason


def test_wait_for_the_next_snapshot_ends_at_once_when_stopped(tmp_path: Path) -> None:
    options = SourceOptions(snapshot_s=60.0)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/snapshot"), options) as watched:
        watched.wait_state(SourceState.RUNNING)
        assert watched.stop() < 1.0
    assert watched.source.stats().stuck == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>login</title>" * 9, "a web page"),
        (b'<?xml version="1.0"?><ResponseStatus/>', "an XML document"),
        (b'{"error": "session expired"}', "a JSON document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), "a PNG picture; still pictures are read as JPEG only"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/x.ts\n", "an HLS playlist"),
    ],
)
def test_what_came_in_place_of_video_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "video").write_bytes(content)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/video")) as watched:
        watched.wait_state(SourceState.FAILED)
        assert f"sends {words}" in watched.changes[-1].reason


def test_what_came_under_the_name_of_a_recording_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"<!DOCTYPE html><title>login</title>" * 9)
    with HttpCamera(tmp_path) as server, Watcher(server.url("/v.mp4")) as watched:
        watched.wait_state(SourceState.FAILED)
        assert "sends a web page" in watched.changes[-1].reason


def test_camera_that_calls_its_pictures_a_recording_is_read(tmp_path: Path) -> None:
    with HttpCamera(tmp_path, part=bad_header("image/jpg")) as server, Watcher(server.url("/mjpeg.mp4")) as watched:
        watched.wait(lambda w: len(w.frames) > 5)


@pytest.mark.parametrize("zone", ["%25nosuch", ""])
def test_link_local_address_without_a_usable_interface_is_told_what_is_missing(zone: str) -> None:
    with Watcher(f"rtsp://[fe80::1{zone}]:9/cam") as watched:
        change = watched.wait_code("unreachable")
    assert change.state is SourceState.RECONNECTING
    assert "[fe80::1%25eth0]" in change.reason
    assert "playlist" not in change.reason


def test_interface_of_an_ipv6_address_reaches_ffmpeg_as_it_expects_it() -> None:
    url = SourceUrl.parse("http://user:p%2525w@[fe80::1%25eth0]:81/a?b=%25c", SourcePolicy())
    assert _address(url) == "http://user:p%2525w@[fe80::1%eth0]:81/a?b=%25c"
