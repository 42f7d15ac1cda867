"""A camera that changes its codec, or the track it sends, in mid-stream."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources.track import VideoTrack
from pipeline.sources.video_source import SourceState
from tests.pipeline.sources.test_file import concatenate, open_file, read_all
from tests.support.http_camera import HttpCamera
from tests.support.media import TIME_BASE, picture, write_video
from tests.support.watcher import Watcher

LATER_S = [2.0 + n / 25 for n in range(50)]


def two_codecs(folder: Path, first: str, second: str) -> Path:
    """50 frames of 120×160 in one codec, then 50 of 240×320 in another, on the same track of a transport stream."""
    before = write_video(folder / "a.ts", frames=50, codec=first, gop=10)
    after = write_video(folder / "b.ts", frames=50, codec=second, gop=10, size_hw=(240, 320), times_s=LATER_S)
    return concatenate(folder / "v.ts", before, after)


@pytest.mark.parametrize("codecs", [("libx264", "libx265"), ("libx265", "libx264")], ids=["to-hevc", "to-h264"])
def test_other_codec_on_the_same_track_is_decoded_from_its_next_keyframe(
    tmp_path: Path, codecs: tuple[str, str]
) -> None:
    frames = read_all(two_codecs(tmp_path, *codecs))
    sizes = [frame.size_hw for frame in frames]
    assert sizes.count((120, 160)) >= 48
    assert sizes.count((240, 320)) >= 38  # what the demuxer joined at the seam costs one group of pictures
    assert [frame.epoch for frame in frames] == [int(size == (240, 320)) for size in sizes]
    assert np.diff([frame.time_s for frame in frames]).min() > 0


def test_live_camera_that_changes_codec_goes_on_without_reconnecting(tmp_path: Path) -> None:
    path = two_codecs(tmp_path, "libx264", "libx265")
    live = path.rename(tmp_path / "live")  # an HTTP server that names no length: a camera
    with HttpCamera(tmp_path, slowly=live.read_bytes()) as server, Watcher(server.url("/slowly")) as watched:
        watched.wait(lambda w: sum(frame.size_hw == (240, 320) for frame in w.frames) > 10)
        assert [change.state for change in watched.changes] == [SourceState.CONNECTING, SourceState.RUNNING]


def test_end_of_a_file_in_a_codec_that_cannot_be_followed_is_no_good_end(tmp_path: Path) -> None:
    source, states = open_file(two_codecs(tmp_path, "libx264", "mpeg2video"))
    count = 0
    with pytest.raises(SourceError, match="cannot be decoded") as caught:
        for _ in source:
            count += 1
    assert caught.value.code == "unreadable"
    assert count >= 45
    assert states[-1] is SourceState.FAILED


def another_track(path: Path, pid: int) -> Path:
    """The same transport stream with its video on another track (ISO 13818-1: PID in packets and in the map)."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0x100:
            data[at + 1 : at + 3] = (int.from_bytes(data[at + 1 : at + 3], "big") & 0xE000 | pid).to_bytes(2, "big")
        elif int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0x1000:
            _remap(data, at + 5, pid)
    path.write_bytes(data)
    return path


def _remap(data: bytearray, section: int, pid: int) -> None:
    """Write ``pid`` into a program map of one track, and its checksum anew."""
    end = section + 3 + (int.from_bytes(data[section + 1 : section + 3], "big") & 0xFFF) - 4
    for at in range(section + 8, end):
        if int.from_bytes(data[at : at + 2], "big") & 0x1FFF == 0x100:
            data[at : at + 2] = (0xE000 | pid).to_bytes(2, "big")
    crc = 0xFFFFFFFF
    for byte in data[section:end]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    data[end : end + 4] = crc.to_bytes(4, "big")


def test_track_that_takes_the_place_of_another_is_read_on(tmp_path: Path) -> None:
    before = write_video(tmp_path / "a.ts", frames=50)
    after = write_video(tmp_path / "b.ts", frames=50, codec="libx265", size_hw=(240, 320), times_s=LATER_S)
    frames = read_all(concatenate(tmp_path / "v.ts", before, another_track(after, 0x222)))
    sizes = [frame.size_hw for frame in frames]
    assert sizes.count((120, 160)) >= 48  # the last packet of a track that vanishes never completes
    assert sizes.count((240, 320)) >= 49


def slow_beside_fast(path: Path) -> Path:
    """A picture a second for 12 s, and beside it from 2.5 s on another track with 25 a second."""
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("libx264", rate=rate) for rate in (1, 25)]
        for track in tracks:
            track.width, track.height, track.pix_fmt = 160, 120, "yuv420p"
            track.codec_context.time_base = TIME_BASE
            track.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for tick in range(12 * 25):
            frame = av.VideoFrame.from_ndarray(picture(tick, (120, 160)), format="rgb24")
            for track in tracks[tick % 25 != 0 : 1 if tick <= 62 else 2]:
                frame.time_base, frame.pts = TIME_BASE, tick * 3600
                out.mux(track.encode(frame))
        for track in tracks:
            out.mux(track.encode(None))
    return path


def test_faster_track_beside_a_slow_one_does_not_take_its_place(tmp_path: Path) -> None:
    with av.open(str(slow_beside_fast(tmp_path / "v.ts"))) as container:
        slow = container.streams.video[0].index
        track = VideoTrack(container, container.streams.video[0], lambda _codec: None)
        taken = [ours.stream.index for packet in container.demux() for ours in track.take(packet)]
    assert set(taken) == {slow}
    assert len(taken) >= 12
