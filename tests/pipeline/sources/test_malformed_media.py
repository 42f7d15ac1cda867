"""Broken and hostile files end in one clear SourceError: no hang, no crash, no flood of memory."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from tests.support.media import write_audio, write_video


def failure(path: Path, options: SourceOptions | None = None) -> SourceError:
    """The error that reading the file to its end raises."""
    with pytest.raises(SourceError) as caught:
        for _ in VideoSource(SourceUrl.from_path(path), options or SourceOptions(), lambda *_: None):
            pass
    assert caught.value.__context__ is None  # FFmpeg's own error must not ride along: it may name a URL
    assert path.name in str(caught.value)
    return caught.value


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return write_video(tmp_path / "whole.mp4", frames=100).read_bytes()


def test_zero_length_file(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"")
    assert failure(tmp_path / "v.mp4").code == "unreadable"


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.9])
def test_truncated_mp4_without_its_index(tmp_path: Path, whole: bytes, keep: float) -> None:
    (tmp_path / "v.mp4").write_bytes(whole[: int(len(whole) * keep)])
    assert failure(tmp_path / "v.mp4").code in ("unreadable", "no_video")


def test_truncated_matroska_says_that_it_is_cut_off(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", frames=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = failure(path)
    assert error.code == "ended"
    assert "of 4.0 s" in error.message


@pytest.mark.parametrize(
    "content",
    [b"<html><body>login</body></html>" * 40, b"\x00" * 5000, b"\xff" * 5000, zlib.compress(b"x" * 100000), b"RIFF"],
    ids=["html", "zeros", "ones", "zlib", "riff"],
)
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    assert failure(tmp_path / "v.mp4").code in ("unreadable", "not_allowed")


def test_random_bytes_under_every_known_suffix(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for suffix in ("mp4", "mkv", "avi", "ts", "h264", "mjpeg", "flv", "mpg", "webm", "mov"):
        path = tmp_path / f"v.{suffix}"
        path.write_bytes(random.integers(0, 256, 20000, dtype=np.uint8).tobytes())
        assert failure(path).code in ("unreadable", "not_allowed", "no_video"), suffix


def test_flipped_bytes_anywhere_never_crash_or_hang(tmp_path: Path, whole: bytes) -> None:
    random = np.random.default_rng(2)
    path = tmp_path / "v.mp4"
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 40):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            frames = sum(1 for _ in VideoSource(SourceUrl.from_path(path), SourceOptions(), lambda *_: None))
        except SourceError:
            continue
        assert 0 < frames <= 100


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"),
        ("v.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
        ("v.ffconcat", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        ("v.sdp", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"),
    ],
    ids=["hls-as-mp4", "hls", "concat", "sdp"],
)
def test_files_that_name_other_places_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert failure(tmp_path / name).code in ("not_allowed", "unreadable")


def test_wrong_suffix_is_no_obstacle(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", frames=10)
    renamed = path.rename(tmp_path / "v.mp4")
    assert len(list(VideoSource(SourceUrl.from_path(renamed), SourceOptions(), lambda *_: None))) == 10


def test_audio_only_has_no_video(tmp_path: Path) -> None:
    error = failure(write_audio(tmp_path / "v.m4a"))
    assert (error.code, error.permanent) == ("no_video", True)


def test_huge_dimensions_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=3, size_hw=(480, 640))
    error = failure(path, SourceOptions(max_pixels=320 * 240))
    assert (error.code, error.permanent) == ("too_large", True)
    assert "640×480" in error.message


@pytest.mark.parametrize("suffix", ["ts", "h264"])
def test_dimensions_that_become_huge_in_mid_stream_are_refused(tmp_path: Path, suffix: str) -> None:
    parts = [
        write_video(tmp_path / f"a.{suffix}", frames=30),
        write_video(
            tmp_path / f"b.{suffix}", frames=30, size_hw=(960, 1280), times_s=[1.2 + n / 25 for n in range(30)]
        ),
    ]
    path = tmp_path / f"v.{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert failure(path, SourceOptions(max_pixels=640 * 480)).code == "too_large"
