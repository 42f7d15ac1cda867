"""Recordings of the camera's own pictures: nothing is encoded, nothing is drawn, whatever is dropped on the way."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import pytest

from pipeline.entities import Frame, FrameResult
from pipeline.sources.tape import CodedTape, Taped
from pipeline.sources.url import SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from service.recording import open_segment
from service.recording.recorder import RecorderConfig, SegmentRecorder
from service.recording.segment_files import read_segment, recover
from service.storage.segment import Segment
from tests.support.places import REPOSITORY, STREET
from tests.support.rtsp import RtspServer
from tests.support.service import wait_for

CONFIG = RecorderConfig(segment_s=3.0, min_free_bytes=0, queue_frames=500, queue_s=60)


def decoded_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def record(
    url: SourceUrl, folder: Path, leave_out: Sequence[int] = (), most: int = 10_000, config: RecorderConfig = CONFIG
) -> tuple[list[Segment], SegmentRecorder]:
    """Records a source as a stream's process does, but for the frames that are lost before the recorder."""
    segments: list[Segment] = []
    tape = CodedTape()
    options = SourceOptions(keep_coded=True)
    source = VideoSource(url, options, lambda *_: None, tape)
    recorder = SegmentRecorder(folder, config, segments.append, print, tape=tape, overlay=False)
    for frame in source:
        if frame.index not in leave_out:
            offer(recorder, frame)
        if frame.index >= most:
            source.stop()
    recorder.close()
    return segments, recorder


def offer(recorder: SegmentRecorder, frame: Frame) -> None:
    message = {"type": "tracks", "frame_index": frame.index, "time_s": frame.time_s}
    recorder.write(FrameResult(frame, ()), frame.image, [message])


def file_url(path: Path) -> SourceUrl:
    return SourceUrl.from_path(path)


def test_what_the_camera_sent_is_kept_to_the_last_bit(tmp_path: Path) -> None:
    segments, recorder = record(file_url(STREET), tmp_path)
    assert [segment.frames for segment in segments] == [30] * 6 + [20]
    assert [segment.start_s for segment in segments] == pytest.approx([3.0 * n for n in range(7)], abs=0.01)
    assert not any(segment.overlay for segment in segments) and recorder.stats().frames_written == 200
    shown = [picture for segment in segments for picture in decoded_of(segment.path)]
    assert shown == decoded_of(STREET)


def test_frames_that_are_dropped_on_the_way_are_in_the_recording(tmp_path: Path) -> None:
    """Detection leaves frames out and slow stages lose some; the recording has them all."""
    lost = [n for n in range(1, 199) if n % 4]
    segments, _ = record(file_url(STREET), tmp_path, leave_out=lost)
    assert sum(segment.frames for segment in segments) >= 197  # but for those behind the last one that came


def test_rtsp_camera_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_segment, "SegmentWriter", None)  # nothing is encoded
    with RtspServer(STREET) as camera:
        url = SourceUrl.parse(camera.url(), SourcePolicy())
        segments, recorder = record(url, tmp_path, most=60)
    assert recorder.stats().frames_dropped == 0
    assert sum(segment.frames for segment in segments) == 61
    for segment in segments:
        assert len(decoded_of(segment.path)) == segment.frames


def encoded(path: Path, codec: str, **options: str) -> Path:
    """The sample in another coding."""
    command = ["ffmpeg", "-v", "error", "-i", str(STREET), "-t", "4", "-c:v", codec]
    command += [part for name, value in options.items() for part in (f"-{name}", value)]
    subprocess.run([*command, str(path)], check=True)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mkv", "libx264", {"bf": "2", "g": "20"}),  # decoded in another order than shown
        (".avi", "libx264", {"bf": "2", "g": "20"}),  # … and stamped in that order
        (".mkv", "libx265", {"x265-params": "log-level=error"}),  # not every browser plays it
        (".mkv", "libx264", {"pix_fmt": "yuv422p"}),
        (".mkv", "libx264", {"bf": "0", "vf": "setsar=2"}),  # its pixels are no squares
        (".mkv", "mjpeg", {}),
    ],
)
def test_what_cannot_be_copied_is_encoded(tmp_path: Path, suffix: str, codec: str, options: dict[str, str]) -> None:
    video = encoded(tmp_path / f"v{suffix}", codec, **options)
    segments, recorder = record(file_url(video), tmp_path / "out")
    assert sum(segment.frames for segment in segments) == 40
    assert recorder.stats().frames_dropped <= 2, "what was copied before the first B picture came"
    assert not any(segment.overlay for segment in segments)
    for segment in segments:
        assert len(decoded_of(segment.path)) == segment.frames
        with av.open(str(segment.path)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_a_lost_piece_ends_the_segment_and_pictures_are_encoded_until_the_next_keyframe(tmp_path: Path) -> None:
    tape = CodedTape(limit_bytes=140_000)  # about two seconds of the sample
    segments: list[Segment] = []
    source = VideoSource(file_url(STREET), SourceOptions(keep_coded=True), lambda *_: None, tape)
    recorder = SegmentRecorder(tmp_path, CONFIG, segments.append, print, tape=tape, overlay=False)
    for frame in source:
        if not 55 <= frame.index < 135:
            offer(recorder, frame)
            time.sleep(0.005)  # so that the tape is taken up
    recorder.close()
    assert tape.lost > 0 and recorder.stats().frames_dropped >= tape.lost
    source_pictures = set(decoded_of(STREET))
    alike = [all(picture in source_pictures for picture in decoded_of(segment.path)) for segment in segments]
    encoded_frames = sum(segment.frames for segment, copied in zip(segments, alike, strict=True) if not copied)
    assert alike.count(True) >= 4 and encoded_frames <= 12, "what was copied is the source's, bit by bit"


@pytest.mark.parametrize("offered", [True, False])
def test_a_picture_that_cannot_be_copied_costs_no_other(tmp_path: Path, offered: bool) -> None:
    """Up to the next keyframe pictures are encoded; whether the odd one itself reached the recorder or not."""
    tape, segments = CodedTape(), list[Segment]()
    source = VideoSource(file_url(STREET), SourceOptions(keep_coded=True), lambda *_: None, tape)
    recorder = SegmentRecorder(tmp_path, CONFIG, segments.append, print, tape=tape, overlay=False)
    add, seen = tape.add, iter(range(1000))
    tape.add = lambda picture, time_s, epoch: add(  # type: ignore[method-assign]  # the 54th has nothing that can be kept
        replace(picture, coded=None) if next(seen) == 53 else picture, time_s, epoch
    )
    for frame in source:
        if offered or frame.index != 53:
            offer(recorder, frame)
    recorder.close()
    assert sum(segment.frames for segment in segments) == 200 - (not offered)
    source_pictures = set(decoded_of(STREET))
    copied = [s for s in segments if all(picture in source_pictures for picture in decoded_of(s.path))]
    assert sum(segment.frames for segment in copied) >= 190


KILLED = """
import sys, time
from pathlib import Path
from pipeline.entities import FrameResult
from pipeline.sources.tape import CodedTape
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from service.recording import open_segment
from service.recording.recorder import RecorderConfig, SegmentRecorder
tape = CodedTape()
options = SourceOptions(keep_coded=True, pace="realtime")
source = VideoSource(SourceUrl.from_path(Path(sys.argv[2])), options, lambda *_: None, tape)
config = RecorderConfig(segment_s=60, min_free_bytes=0)
recorder = SegmentRecorder(Path(sys.argv[1]), config, lambda _: None, print, tape=tape, overlay=False)
for frame in source:
    recorder.write(FrameResult(frame, ()), frame.image, [{"type": "tracks", "time_s": frame.time_s}])
    print(frame.time_s, flush=True)
"""


def test_kill_loses_less_than_two_seconds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(STREET)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as child:
        assert child.stdout is not None
        last_s = 0.0
        while last_s < 7.25:
            last_s = float(child.stdout.readline())
        child.kill()
    (segment,) = recover(tmp_path)
    assert segment.duration_s >= last_s - 2.0
    assert len(decoded_of(segment.path)) == segment.frames
    assert read_segment(segment.path).overlay is False
    assert segment.events_path is not None and segment.events_path.suffix == ".gz"


def test_old_recordings_say_that_they_were_drawn_upon(tmp_path: Path) -> None:
    path = tmp_path / "20260504T030200000Z.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = json.dumps({"start_s": 5.0})
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 64, 48
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    assert read_segment(path).overlay is True and read_segment(path).start_s == 5.0


def taped(url: SourceUrl, tape: CodedTape) -> list[Frame]:
    """All frames of a source; what the camera coded lies on the tape then."""
    return list(VideoSource(url, SourceOptions(keep_coded=True), lambda *_: None, tape))


def await_written(recorder: SegmentRecorder, frames: int) -> None:
    wait_for(lambda: recorder.stats().frames_written >= frames, 20, f"{frames} pictures recorded")


def test_pictures_that_nobody_has_time_to_look_at_are_recorded_while_no_frame_comes(tmp_path: Path) -> None:
    tape, segments = CodedTape(), list[Segment]()
    frames = taped(file_url(STREET), tape)
    config = replace(CONFIG, idle_s=0.1)
    recorder = SegmentRecorder(tmp_path, config, segments.append, print, tape=tape, overlay=False)
    offer(recorder, frames[0])
    await_written(recorder, 200)
    for frame in frames[150:]:  # behind what was copied already
        offer(recorder, frame)
    recorder.close()
    assert sum(segment.frames for segment in segments) == 200, "nothing twice, nothing left out"
    assert [picture for segment in segments for picture in decoded_of(segment.path)] == decoded_of(STREET)
    assert recorder.stats().frames_dropped == 0


class HeldTape(CodedTape):
    """Gives what was let go, up to a picture."""

    def __init__(self, items: Sequence[Taped]) -> None:
        super().__init__()
        self._held, self.let_go = list(items), 0

    def take(self, time_s: float, epoch: float) -> tuple[Taped, ...]:
        due = [item for item in self._held[: self.let_go] if item.time_s <= time_s]
        self._held, self.let_go = self._held[len(due) :], self.let_go - len(due)
        return tuple(due)


def test_camera_whose_pictures_come_rarely_is_not_cut_in_the_middle_of_what_belongs_together(tmp_path: Path) -> None:
    whole, segments = CodedTape(), list[Segment]()
    frames = taped(file_url(STREET), whole)
    tape = HeldTape(whole.take(math.inf, math.inf))
    config = replace(CONFIG, idle_s=0.2, segment_s=60)
    recorder = SegmentRecorder(tmp_path, config, segments.append, print, tape=tape, overlay=False)
    given = 0
    for index in (0, 9, 10, 14, 18):  # a keyframe each ten
        tape.let_go += index + 1 - given
        given = index + 1
        offer(recorder, frames[index])
        time.sleep(0.9)
    recorder.close()
    assert segments[-1].frames == 9, "from the keyframe on, once it is known how rarely they come"
    source_pictures = set(decoded_of(STREET))
    assert all(picture in source_pictures for picture in decoded_of(segments[-1].path))


def test_error_that_is_not_about_copying_leaves_copying_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = iter([True])

    def write_messages(self: open_segment.OpenSegment, messages: Sequence[object]) -> None:
        if next(broken, False):
            raise TypeError("a message that is no JSON")

    monkeypatch.setattr(open_segment.OpenSegment, "write_messages", write_messages)
    segments, recorder = record(file_url(STREET), tmp_path, config=replace(CONFIG, retry_s=0.01))
    assert recorder.stats().problems == 1
    source_pictures = set(decoded_of(STREET))
    last = [picture in source_pictures for picture in decoded_of(segments[-1].path)]
    assert last and all(last), "it is the camera's again"


def test_pictures_that_cannot_be_copied_are_encoded_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: open_segment.CopiedSegment, coded: object, time_s: float) -> bool:
        raise ValueError("what no file can hold")

    monkeypatch.setattr(open_segment.CopiedSegment, "write", write)
    segments, recorder = record(file_url(STREET), tmp_path, config=replace(CONFIG, retry_s=0.01))
    assert recorder.stats().problems == 1
    assert sum(segment.frames for segment in segments) >= 150
