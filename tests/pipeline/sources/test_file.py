"""Files: every frame, true times, loops, pace, and what a broken time line does."""

from __future__ import annotations

import gc
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.entities import Frame
from pipeline.errors import SourceError
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState, VideoSource
from tests.support.media import picture, write_video


def open_file(path: Path, options: SourceOptions | None = None) -> tuple[VideoSource, list[SourceState]]:
    states: list[SourceState] = []
    source = VideoSource(
        SourceUrl.from_path(path), options or SourceOptions(), lambda state, _code, _reason: states.append(state)
    )
    return source, states


def read_all(path: Path, options: SourceOptions | None = None) -> list[Frame]:
    return list(open_file(path, options)[0])


def take(source: VideoSource, count: int) -> list[Frame]:
    """The first ``count`` frames; then the source is stopped, and must end."""
    frames = []
    for frame in source:
        frames.append(frame)
        if len(frames) == count:
            source.stop()
    return frames


@pytest.mark.parametrize("b_frames", [0, 2])
def test_file_gives_every_frame_in_order_with_its_media_time(tmp_path: Path, b_frames: int) -> None:
    source, states = open_file(write_video(tmp_path / "v.mp4", frames=50, b_frames=b_frames))
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(50))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(50) / 25, atol=1e-4)
    assert {frame.epoch for frame in frames} == {0}
    assert states == [SourceState.CONNECTING, SourceState.RUNNING, SourceState.STOPPED]
    stats = source.stats()
    assert (stats.frames_decoded, stats.frames_dropped, stats.corrupt, stats.stuck) == (50, 0, 0, 0)
    assert stats.fps == pytest.approx(25, rel=0.01)
    assert stats.frame_count == 50
    assert stats.duration_s == pytest.approx(2.0, abs=0.1)


def test_pictures_are_upright_rgb(tmp_path: Path) -> None:
    frame = read_all(write_video(tmp_path / "v.mp4", frames=3))[0]
    assert frame.image.dtype == np.uint8
    assert frame.size_hw == (120, 160)
    difference = np.abs(frame.image.astype(int) - picture(0, (120, 160)))
    assert np.median(difference) < 12  # red stays left and red: a BGR or flipped picture is off by 200


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 0.5, 0.54, 2.0, 2.1]
    frames = read_all(write_video(tmp_path / "v.mp4", frames=6, times_s=times_s))
    np.testing.assert_allclose([frame.time_s for frame in frames], times_s, atol=1e-3)
    assert {frame.epoch for frame in frames} == {0}


def test_source_without_timestamps_runs_at_a_constant_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.h264", frames=30, container="h264")
    times = [frame.time_s for frame in read_all(path)]
    assert len(times) == 30
    steps = np.diff(times)
    assert steps.min() == pytest.approx(steps.max(), abs=1e-3)
    assert steps.min() > 0.01


def test_loop_goes_on_in_media_time_with_a_new_epoch(tmp_path: Path) -> None:
    source, states = open_file(write_video(tmp_path / "v.mp4", frames=10), SourceOptions(loop=True))
    frames = take(source, 35)
    assert [frame.epoch for frame in frames] == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 5
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=1e-3)
    assert [frame.index for frame in frames] == list(range(35))
    assert states == [SourceState.CONNECTING, SourceState.RUNNING, SourceState.STOPPED]
    assert source.stats().reconnects == 3


def test_url_options_ask_for_loop_and_pace(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=5)
    policy = SourcePolicy(media_roots=(tmp_path,))
    url = SourceUrl.parse(f"{path.as_uri()}?pace=realtime&loop=true", policy)
    frames = take(VideoSource(url, SourceOptions(), lambda *_: None), 12)
    assert [frame.epoch for frame in frames] == [0] * 5 + [1] * 5 + [2] * 2
    # Eleven frame periods of 40 ms lie between the first and the last; no frame may be handed over before it is due.
    assert frames[-1].received_s - frames[0].received_s >= 11 * 0.04 - 0.01


def concatenate(target: Path, *parts: Path) -> Path:
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def test_change_of_size_in_mid_stream_is_a_new_epoch(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", frames=20)
    large = write_video(tmp_path / "b.ts", frames=20, size_hw=(240, 320), times_s=[0.8 + n / 25 for n in range(20)])
    frames = read_all(concatenate(tmp_path / "v.ts", small, large))
    assert [frame.size_hw for frame in frames] == [(120, 160)] * 20 + [(240, 320)] * 20
    assert [frame.epoch for frame in frames] == [0] * 20 + [1] * 20
    assert np.diff([frame.time_s for frame in frames]).min() > 0


@pytest.mark.parametrize("second_start_s", [500.0, 0.0], ids=["forward", "back"])
def test_jump_of_the_timestamps_is_a_new_epoch_and_time_goes_on(tmp_path: Path, second_start_s: float) -> None:
    first = write_video(tmp_path / "a.ts", frames=50)
    second = write_video(tmp_path / "b.ts", frames=20, times_s=[second_start_s + n / 25 for n in range(20)])
    frames = read_all(concatenate(tmp_path / "v.ts", first, second))
    assert [frame.epoch for frame in frames] == [0] * 50 + [1] * 20
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=2e-3)


def test_wrap_of_the_33_bit_mpeg_clock_is_survived(tmp_path: Path) -> None:
    wrap_s = 2**33 / 90000
    path = write_video(tmp_path / "v.ts", frames=50, times_s=[wrap_s - 2.4 + n / 25 for n in range(50)])
    frames = read_all(path)
    assert len(frames) == 50
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=2e-3)


def test_corrupt_packets_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.ts", frames=100, gop=10)
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(7)
    for start in random.integers(len(data) // 4, len(data) * 3 // 4, 12):
        data[start : start + 400] = random.integers(0, 256, len(data[start : start + 400]), dtype=np.uint8).tobytes()
    path.write_bytes(data)
    source, states = open_file(path)
    frames = list(source)
    assert states[-1] is SourceState.STOPPED
    assert source.stats().corrupt > 0
    assert 40 <= len(frames) <= 100
    assert np.diff([frame.time_s for frame in frames]).min() > 0


def test_missing_first_keyframe_is_waited_for(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.ts", frames=60, gop=20)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 8 // 188 * 188 :])  # the recording begins amid the first group of pictures
    frames = read_all(path)
    assert 20 <= len(frames) < 60
    assert np.abs(frames[0].image.astype(int)[:, 10, 2]).mean() < 60  # a real picture: red on the left, not grey


def test_stop_ends_a_paced_file_at_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=3, times_s=[0.0, 60.0, 120.0])
    source, states = open_file(path, SourceOptions(pace="realtime"))

    def stop_after_first(frames: Iterator[Frame]) -> list[Frame]:
        got = [next(frames)]
        source.stop()
        return got + list(frames)

    assert len(stop_after_first(iter(source))) == 1
    assert states[-1] is SourceState.STOPPED


def test_consumer_that_raises_leaves_no_thread(tmp_path: Path) -> None:
    source, states = open_file(write_video(tmp_path / "v.mp4", frames=50))
    frames = iter(source)
    next(frames)
    frames.close()  # type: ignore[attr-defined]  # what leaving a for loop by an exception does in the end
    assert states[-1] is SourceState.STOPPED
    assert source.stats().stuck == 0


def test_source_is_iterated_once(tmp_path: Path) -> None:
    source, _ = open_file(write_video(tmp_path / "v.mp4", frames=2))
    list(source)
    with pytest.raises(RuntimeError, match="once"):
        iter(source)


def test_file_that_vanished_since_it_was_checked_is_not_found(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=2)
    source, states = open_file(path)
    path.unlink()
    with pytest.raises(SourceError) as caught:
        list(source)
    assert caught.value.code == "not_found"
    assert states == [SourceState.CONNECTING, SourceState.FAILED]


def test_symlink_put_in_place_of_a_checked_file_is_not_followed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=2)
    secret = write_video(tmp_path / "secret.mp4", frames=2)
    source, _ = open_file(path)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(SourceError) as caught:
        list(source)
    assert caught.value.code == "not_allowed"


def track_matrix(a: int, b: int, c: int, d: int) -> bytes:
    """The transformation in an MP4 track header (ISO 14496-12, tkhd): 16.16 fixed point, the last number 2.30."""
    return struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("matrix", "size_hw", "red_at"),
    [
        ((0, 1, -1, 0), (160, 120), (10, 60)),  # held turned left: shown clockwise, the red left half is on top
        ((-1, 0, 0, -1), (120, 160), (60, 150)),  # upside down: red on the right
        ((0, -1, 1, 0), (160, 120), (150, 60)),  # held turned right: red at the bottom
    ],
    ids=["clockwise", "half", "counter-clockwise"],
)
def test_recording_held_sideways_is_turned_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], size_hw: tuple[int, int], red_at: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "v.mp4", frames=3)
    data = path.read_bytes()
    header = data.index(b"tkhd")
    at = data.index(track_matrix(1, 0, 0, 1), header)
    path.write_bytes(data[:at] + track_matrix(*matrix) + data[at + 36 :])
    frame = read_all(path)[0]
    assert frame.size_hw == size_hw
    red, _, blue = frame.image[red_at].astype(int)
    assert red > blue + 80


def test_what_a_connection_held_is_given_back_without_the_garbage_collector(tmp_path: Path) -> None:
    """Pictures, decoders and their threads in circles of references would wait for it, while a camera reconnects."""
    video = write_video(tmp_path / "v.mp4", frames=20)
    gc.collect()
    gc.disable()
    try:
        before = held()
        for _ in range(3):
            assert len(take(open_file(video)[0], 10)) == 10
        left = held() - before
    finally:
        gc.enable()
    assert left["VideoFrame"] <= 3  # the first of each, which was asked how the camera was held
    assert not left.keys() - {"VideoFrame"}


def held() -> Counter[str]:
    """→ how many of what a connection consists of there are in this process."""
    return Counter(name for name in (type(thing).__name__ for thing in gc.get_objects()) if name in HELD)


HELD = ("VideoFrame", "VideoCodecContext", "InputContainer", "OpenVideo", "Connection")
