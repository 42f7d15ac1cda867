"""Whether a file is whole: what its head promises is not always said of the video."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceStats, VideoSource
from tests.support.media import write_video


def read(path: Path, options: SourceOptions | None = None, at_most: int = 1000) -> tuple[int, SourceStats]:
    """→ how many frames came, and the source's counts."""
    source = VideoSource(SourceUrl.from_path(path), options or SourceOptions(), lambda *_: None)
    count = 0
    for _ in source:
        count += 1
        if count == at_most:
            source.stop()
    return count, source.stats()


CODECS = {"webm": "libvpx", "asf": "mpeg4", "avi": "mpeg4"}


@pytest.mark.parametrize("suffix", ["mkv", "webm", "flv", "asf", "mp4", "avi", "ts"])
def test_sound_that_outlasts_the_video_does_not_make_it_cut_off(tmp_path: Path, suffix: str) -> None:
    codec = CODECS.get(suffix, "libx264")
    path = write_video(tmp_path / f"v.{suffix}", frames=25, codec=codec, audio_s=8.0)
    assert read(path)[0] == 25


def test_length_of_a_matroska_video_is_its_own_where_its_writer_noted_it(tmp_path: Path) -> None:
    stats = read(write_video(tmp_path / "v.mkv", frames=25, audio_s=8.0))[1]
    assert stats.duration_s == pytest.approx(1.0, abs=0.1)
    assert stats.frame_count == pytest.approx(25, abs=1)


def test_video_shorter_than_its_sound_loops(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", frames=10, audio_s=4.0)
    count, stats = read(path, SourceOptions(loop=True), at_most=35)
    assert count == 35
    assert stats.reconnects == 3


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts", "mp4"])
def test_recording_that_begins_late_is_whole(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"v.{suffix}", frames=25, times_s=[60.0 + n / 25 for n in range(25)])
    assert read(path)[0] == 25


def test_mp4_whose_head_promises_more_than_its_index_lists_is_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=25)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 4 + 16  # version, flags, two times, time scale: ISO 14496-12
    struct.pack_into(">I", data, at, 10 * struct.unpack_from(">I", data, at)[0])
    path.write_bytes(data)
    assert read(path)[0] == 25


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
@pytest.mark.parametrize("audio_s", [0.0, 8.0], ids=["silent", "long-sound"])
def test_file_that_is_cut_off_still_says_so(tmp_path: Path, suffix: str, audio_s: float) -> None:
    path = write_video(tmp_path / f"v.{suffix}", frames=200, audio_s=audio_s)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="is cut off: it ends after") as caught:
        read(path)
    assert caught.value.code == "ended"


def test_mp4_with_its_index_first_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=200, audio_s=12.0, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError):
        read(path)
