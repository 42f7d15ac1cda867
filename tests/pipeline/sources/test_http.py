"""HTTP cameras and recordings, and what an HTTP server must not get this process to do."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceState
from tests.support.http_camera import HttpCamera
from tests.support.media import write_video
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
