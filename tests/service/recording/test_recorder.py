from __future__ import annotations

import errno
import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.entities import Frame, FrameResult, Image
from service.processes.messages import SegmentReport, pack, unpack
from service.recording import segment_files
from service.recording.finisher import MOST_WAITING
from service.recording.locks import FolderLock
from service.recording.recorder import RecorderConfig, SegmentRecorder
from service.recording.recorder_stats import RecorderState
from service.recording.segment_files import (
    inspect,
    new_segment_path,
    part_of,
    plain_sidecar_of,
    read_segment,
    recover,
    sidecar_of,
    started_at_of,
)
from service.recording.segment_writer import SegmentWriter
from service.storage.segment import Segment
from tests.support.places import REPOSITORY, STREET

STARTED_AT = 1_767_225_600.25  # 2026-01-01 00:00:00.25 UTC
ROOMY = RecorderConfig(segment_s=3.0, min_free_bytes=0, queue_frames=500, queue_s=60)


@pytest.fixture(scope="module")
def street() -> list[Image]:
    with av.open(str(STREET)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:100]


class Heard:
    """What a recorder reports."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.problems: list[str] = []

    def recorder(self, folder: Path, config: RecorderConfig = ROOMY) -> SegmentRecorder:
        return SegmentRecorder(folder, config, self.segments.append, self.problems.append)


def result_at(index: int, image: Image, time_s: float, epoch: int = 0) -> FrameResult:
    return FrameResult(Frame(image, index, time_s, STARTED_AT + time_s, time.monotonic(), epoch), ())


def record(
    recorder: SegmentRecorder, images: list[Image], times_s: list[float] | None = None, epoch: int = 0, first: int = 0
) -> None:
    times_s = times_s or [(first + index) * 0.1 for index in range(len(images))]
    for index, (image, time_s) in enumerate(zip(images, times_s, strict=True), first):
        message = {"type": "tracks", "frame_index": index, "time_s": time_s}
        recorder.write(result_at(index, image, time_s, epoch), image, [message])


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what the test waits for did not come")
        time.sleep(0.02)


def shown_times_s(path: Path) -> list[float]:
    """Decodes everything."""
    with av.open(str(path), format="mp4") as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def top_level_boxes(path: Path) -> list[bytes]:
    data, kinds, position = path.read_bytes(), [], 0
    while position < len(data):
        kinds.append(data[position + 4 : position + 8])
        position += int.from_bytes(data[position : position + 4], "big")
    return kinds


def lines(segment: Segment) -> list[dict[str, Any]]:
    if segment.events_path is None:
        raise FileNotFoundError("the segment has no sidecar")
    with gzip.open(segment.events_path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_write_real_video_gives_segments_that_play(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path / "new" / "folder")
    record(recorder, street)
    recorder.close()
    assert [segment.frames for segment in heard.segments] == [30, 30, 30, 10]
    for segment in heard.segments:
        assert shown_times_s(segment.path) == pytest.approx([0.1 * index for index in range(segment.frames)], abs=1e-4)
        assert segment.size_hw == (576, 768)
    assert [segment.start_s for segment in heard.segments] == pytest.approx([0, 3, 6, 9])
    assert [segment.started_at for segment in heard.segments] == pytest.approx([STARTED_AT + 3 * k for k in range(4)])
    assert [message["frame_index"] for segment in heard.segments for message in lines(segment)] == list(range(100))
    assert sorted(path.suffix for path in (tmp_path / "new" / "folder").iterdir()) == [".gz"] * 4 + [".mp4"] * 4
    assert recorder.stats().frames_written == 100
    assert recorder.stats().segments == 4
    assert heard.problems == []


def test_segment_shows_what_was_written(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    record(recorder, street[:5])
    recorder.close()
    with av.open(str(heard.segments[0].path)) as container:
        shown = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    for before, after in zip(street, shown, strict=False):
        assert np.abs(before - after).mean() < 6
        assert np.abs((before - after).mean(axis=(0, 1))).max() < 3  # no shift of colour


def test_segment_is_an_ordinary_indexed_mp4(tmp_path: Path, street: list[Image]) -> None:
    """A browser finds duration and index by byte ranges: top-level boxes are few, and the header knows all frames."""
    heard = Heard()
    recorder = heard.recorder(tmp_path, RecorderConfig(segment_s=60, min_free_bytes=0, queue_frames=500, queue_s=60))
    record(recorder, street)
    recorder.close()
    kinds = top_level_boxes(heard.segments[0].path)
    assert kinds[0] == b"ftyp" and kinds[-1] == b"moov" and b"moof" not in kinds
    with av.open(str(heard.segments[0].path)) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.codec_context.name, stream.pix_fmt) == (100, "h264", "yuv420p")
        assert container.duration is not None and container.duration / av.time_base == pytest.approx(9.9, abs=0.2)
        keys = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.is_keyframe]
        assert keys == pytest.approx([float(second) for second in range(10)], abs=0.01)
        for target_s in (8.5, 2.5):
            container.seek(int(target_s * av.time_base))
            assert next(container.decode(video=0)).time == pytest.approx(int(target_s), abs=0.01)


def test_segment_keeps_uneven_times(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    times_s = [7.0, 7.04, 7.05, 7.5, 7.501, 8.9, 9.0]
    recorder = heard.recorder(tmp_path)
    record(recorder, street[:7], times_s)
    recorder.close()
    assert shown_times_s(heard.segments[0].path) == pytest.approx([time_s - 7.0 for time_s in times_s], abs=1e-4)
    assert heard.segments[0].start_s == pytest.approx(7.0)


def test_picture_of_another_shape_is_fitted_not_stretched(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "v.mp4", (120, 160))
    writer.write(np.zeros((120, 160, 3), np.uint8), 0.0)
    writer.write(np.full((120, 320, 3), 200, np.uint8), 0.04)  # twice as wide: half as high, black above and below
    writer.close()
    with av.open(str(tmp_path / "v.mp4")) as container:
        *_, last = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    assert last.shape == (120, 160, 3)
    assert last[60].min() > 150
    assert max(last[20].max(), last[100].max()) < 60


@pytest.mark.parametrize("size_hw", [(241, 321), (240, 321), (241, 320), (16, 16), (3, 2)])
def test_write_pictures_of_odd_size(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    record(recorder, [np.full((*size_hw, 3), 120, np.uint8)] * 5)
    recorder.close()
    assert heard.segments[0].size_hw == (size_hw[0] & ~1, size_hw[1] & ~1)
    assert len(shown_times_s(heard.segments[0].path)) == 5


def test_write_pictures_too_small_to_encode_is_a_problem_and_no_crash(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path, RecorderConfig(min_free_bytes=0, retry_s=0.05, queue_s=60))
    record(recorder, [np.zeros((1, 1, 3), np.uint8)])
    wait_until(lambda: recorder.stats().paused)
    time.sleep(0.1)
    record(recorder, street[:20], epoch=1)
    recorder.close()
    assert len(heard.problems) == 1
    assert sum(segment.frames for segment in heard.segments) == 20


@pytest.mark.parametrize("change", ["size", "epoch", "time"])
def test_write_after_a_break_begins_a_new_segment(tmp_path: Path, street: list[Image], change: str) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    record(recorder, street[:10])
    after = [image[:240, :320] for image in street[:10]] if change == "size" else street[:10]
    times_s = [0.5 + 0.1 * index for index in range(10)] if change == "time" else [1 + 0.1 * k for k in range(10)]
    record(recorder, after, times_s, epoch=int(change == "epoch"), first=10)
    recorder.close()
    assert [segment.frames for segment in heard.segments] == [10, 10]
    assert all(len(shown_times_s(segment.path)) == 10 for segment in heard.segments)


def test_rotate_finishes_the_segment_with_its_last_messages(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    record(recorder, street[:10])
    recorder.rotate([{"type": "action", "kind": "ended"}])
    wait_until(lambda: len(heard.segments) == 1)
    assert lines(heard.segments[0])[-1] == {"type": "action", "kind": "ended"}
    record(recorder, street[10:15], first=10)
    recorder.close()
    assert [segment.frames for segment in heard.segments] == [10, 5]


def test_rotate_without_a_segment_does_nothing(tmp_path: Path) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    recorder.rotate([{"type": "action"}])
    recorder.close()
    assert (heard.segments, heard.problems, list(tmp_path.iterdir())) == ([], [], [])


def test_segment_without_new_frames_is_finished_by_itself(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path, RecorderConfig(min_free_bytes=0, idle_s=0.2))
    record(recorder, street[:5])
    wait_until(lambda: len(heard.segments) == 1)
    assert recorder.stats().state is RecorderState.IDLE
    recorder.close()


def test_write_never_blocks_when_the_recorder_is_stuck(tmp_path: Path, street: list[Image]) -> None:
    """The callback holds whoever finishes segments; with MOST_WAITING of them the encoder waits, then pictures beyond
    the queue are dropped and counted, action messages are kept."""
    release, stuck, segments = threading.Event(), threading.Event(), list[Segment]()

    def hold(segment: Segment) -> None:
        segments.append(segment)
        stuck.set()
        release.wait(20)

    recorder = SegmentRecorder(
        tmp_path, RecorderConfig(min_free_bytes=0, queue_frames=4, queue_s=60), hold, lambda _: None
    )
    for number in range(MOST_WAITING + 2):
        record(recorder, street[:2], [number * 0.5, number * 0.5 + 0.1])
        recorder.rotate()
        wait_until(lambda: recorder.stats().queue_depth == 0)
    assert stuck.wait(10)
    before = time.monotonic()
    for index in range(10, 60):
        messages = [{"type": "tracks", "frame_index": index}, {"type": "action", "seq": index}]
        recorder.write(result_at(index, street[index], index * 0.1), street[index], messages)
    assert time.monotonic() - before < 2.0
    assert recorder.stats().frames_dropped == 46
    assert recorder.stats().queue_depth == 4
    release.set()
    recorder.close()
    assert [segment.frames for segment in segments] == [2] * (MOST_WAITING + 2) + [4]
    told = lines(segments[-1])
    assert [message["seq"] for message in told if message["type"] == "action"] == list(range(10, 60))
    assert [message["frame_index"] for message in told if message["type"] == "tracks"] == [10, 11, 12, 13]


def test_disk_that_syncs_slowly_costs_no_picture_at_a_change_of_segment(tmp_path: Path, street, monkeypatch) -> None:
    """Two seconds for each finished file, a second in each, one picture may wait: the next one is open at once."""
    really, slowed = segment_files.sync_file, threading.Event()

    def sync_slowly(path: Path) -> None:
        slowed.set()
        time.sleep(1.0)
        really(path)

    monkeypatch.setattr(segment_files, "sync_file", sync_slowly)
    heard = Heard()
    recorder = heard.recorder(tmp_path, RecorderConfig(segment_s=1.0, min_free_bytes=0, queue_frames=1))
    for index in range(30):
        recorder.write(result_at(index, street[index], index * 0.1), street[index], [{"type": "tracks"}])
        wait_until(lambda: recorder.stats().queue_depth == 0, 0.9)
    assert slowed.is_set() and recorder.stats().frames_written + recorder.stats().queue_depth >= 29
    recorder.close(timeout_s=20)
    assert recorder.stats().frames_dropped == 0
    assert [segment.frames for segment in heard.segments] == [10, 10, 10]


def test_queue_is_bounded_in_media_time_too(tmp_path: Path, street: list[Image]) -> None:
    """At 8 pictures a second 7 may wait, where their number alone would allow 25."""
    release = threading.Event()

    def hold(_segment: Segment) -> None:
        release.wait(20)

    recorder = SegmentRecorder(tmp_path, RecorderConfig(min_free_bytes=0), hold, lambda _: None)
    for number in range(MOST_WAITING + 2):
        record(recorder, street[:1], [number * 0.5])
        recorder.rotate()
        wait_until(lambda: recorder.stats().queue_depth == 0)
    record(recorder, street[:25], [10 + index * 0.125 for index in range(25)])
    assert (recorder.stats().queue_depth, recorder.stats().frames_dropped) == (7, 18)
    release.set()
    recorder.close(timeout_s=20)


def test_close_returns_although_the_recorder_hangs(tmp_path: Path, street: list[Image]) -> None:
    release = threading.Event()

    def hang(_segment: Segment) -> None:
        release.wait(20)

    recorder = SegmentRecorder(tmp_path, ROOMY, hang, lambda _: None)
    record(recorder, street[:2])
    recorder.rotate()
    before = time.monotonic()
    recorder.close(timeout_s=0.3)
    assert time.monotonic() - before < 5
    release.set()
    recorder.close()


def test_close_twice_and_write_afterwards_are_harmless(tmp_path: Path, street: list[Image]) -> None:
    heard = Heard()
    recorder = heard.recorder(tmp_path)
    record(recorder, street[:3])
    recorder.close()
    recorder.close()
    record(recorder, street[3:5], first=3)
    assert recorder.stats().state is RecorderState.CLOSED
    assert recorder.stats().frames_dropped == 2
    assert [segment.frames for segment in heard.segments] == [3]


def test_callback_that_raises_does_not_stop_recording(tmp_path: Path, street: list[Image]) -> None:
    def fail(_: Segment) -> None:
        raise RuntimeError("the index is away")

    recorder = SegmentRecorder(tmp_path, ROOMY, fail, lambda _: None)
    record(recorder, street)
    recorder.close()
    assert [segment.frames for segment in recover(tmp_path)] == [30, 30, 30, 10]


def test_min_free_space_pauses_before_the_disk_is_full(
    tmp_path: Path, street: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The free space that the disk reports is the only thing replaced here; the really full disk is tested below."""
    free = [10_000_000]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("service.recording.recorder.shutil.disk_usage", lambda _: usage._replace(free=free[0]))
    heard = Heard()
    config = RecorderConfig(min_free_bytes=5_000_000, retry_s=0.05, queue_frames=500, queue_s=60)
    recorder = heard.recorder(tmp_path, config)
    record(recorder, street[:15])
    wait_until(lambda: recorder.stats().frames_written == 15)
    free[0] = 1_000_000
    record(recorder, street[15:40], first=15)
    wait_until(lambda: recorder.stats().paused and recorder.stats().queue_depth == 0)
    assert len(heard.problems) == 1 and "1 MB free" in heard.problems[0]
    time.sleep(0.1)
    record(recorder, street[40:45], first=40)
    wait_until(lambda: recorder.stats().queue_depth == 0)
    free[0] = 10_000_000
    time.sleep(0.1)
    record(recorder, street[45:90], first=45)
    wait_until(lambda: not recorder.stats().paused and recorder.stats().queue_depth == 0)
    recorder.close()
    assert len(heard.problems) == recorder.stats().problems == 1
    assert recorder.stats().frames_paused == 100 - 10 - recorder.stats().frames_written
    assert sum(segment.frames for segment in heard.segments) == recorder.stats().frames_written


def test_folder_without_locks_pauses_recording_and_says_why(
    tmp_path: Path, street: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recordings folder on a mount that keeps none; what such a mount answers is the only thing replaced."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("service.recording.locks.fcntl.flock", refuse)
    heard = Heard()
    recorder = heard.recorder(
        tmp_path / "rec", RecorderConfig(min_free_bytes=0, retry_s=0.1, queue_frames=500, queue_s=60)
    )
    record(recorder, street[:5])
    wait_until(lambda: recorder.stats().paused)
    monkeypatch.undo()  # remounted with locks
    time.sleep(0.2)
    record(recorder, street[5:50], first=5)
    wait_until(lambda: not recorder.stats().paused and recorder.stats().queue_depth == 0)
    recorder.close()
    assert len(heard.problems) == 1 and "does not lock files" in heard.problems[0]
    assert sum(segment.frames for segment in heard.segments) == recorder.stats().frames_written > 0


def test_folder_that_another_process_writes_pauses_recording(tmp_path: Path, street: list[Image], monkeypatch) -> None:
    monkeypatch.setattr("service.recording.recorder._REPAIR_S", 0.1)
    other = FolderLock(tmp_path / "rec")
    assert other.acquire()
    heard = Heard()
    recorder = heard.recorder(tmp_path / "rec")
    record(recorder, street[:5])
    wait_until(lambda: recorder.stats().paused)
    recorder.close()
    other.release()
    assert heard.problems == ["recording paused: another process still writes this stream's recordings"]
    assert list((tmp_path / "rec").iterdir()) == []


FULL_DISK = """
import json, subprocess, sys, time
from pathlib import Path
import av
from pipeline.entities import Frame, FrameResult
from service.recording.recorder import RecorderConfig, SegmentRecorder

disk, sample = Path(sys.argv[1]), sys.argv[2]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], check=True)
ballast = disk / "ballast"
ballast.write_bytes(bytes(1_100_000))
segments, problems = [], []
config = RecorderConfig(segment_s=60, min_free_bytes=0, retry_s=0.3, queue_frames=500, queue_s=60)
recorder = SegmentRecorder(disk / "rec", config, segments.append, problems.append)
images = [frame.to_ndarray(format="rgb24") for frame in av.open(sample).decode(video=0)][:100]
paused = False
for index in range(600):
    image, time_s = images[index % 100], index * 0.1
    frame = Frame(image, index, time_s, 1.7e9 + time_s, 0.0)
    recorder.write(FrameResult(frame, ()), image, [{"type": "tracks", "i": index}])
    while recorder.stats().queue_depth:
        time.sleep(0.002)
    if recorder.stats().paused and not paused:
        paused, paused_at = True, index
        time.sleep(1.0)  # some tries on the full disk
    if paused and index == paused_at + 20:
        before_room = recorder.stats().frames_written
        ballast.unlink()
        time.sleep(0.5)
    if paused and index == paused_at + 80:
        break
resumed = recorder.stats()
recorder.close()
played = [len(list(av.open(str(segment.path)).decode(video=0))) for segment in segments]
print(json.dumps({
    "problems": problems, "paused": paused, "resumed": not resumed.paused, "frames_paused": resumed.frames_paused,
    "frames": [segment.frames for segment in segments], "played": played,
    "left": sorted(path.name for path in (disk / "rec").iterdir() if path.name.endswith(".part")),
}))
"""


def test_full_disk_pauses_recording_and_room_resumes_it(tmp_path: Path) -> None:
    """On a real file system without room: a small tmpfs in a mount namespace of the child's own."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system in a namespace")
    command = [unshare, "-rm", sys.executable, "-c", FULL_DISK, str(tmp_path), str(STREET)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    if "permission denied" in done.stderr.lower() and "mount" in done.stderr:
        pytest.skip("no right to mount a small file system in a namespace")
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["paused"] and told["resumed"]
    assert len(told["problems"]) == 1 and "No space left" in told["problems"][0]
    assert told["frames_paused"] > 0
    assert told["frames"] == told["played"] and len(told["frames"]) >= 2
    assert told["left"] == []


def test_file_that_may_not_grow_keeps_what_was_written(tmp_path: Path, street: list[Image]) -> None:
    """A quota, by RLIMIT_FSIZE in a child: what was recorded until then is a finished segment."""
    code = """
import resource, signal, sys
from pathlib import Path
import av
from service.recording.segment_files import salvage, part_of
from service.recording.segment_writer import SegmentWriter
from service.storage.segment import Segment
path = Path(sys.argv[1]) / "20260101T000000250Z.mp4"
images = [frame.to_ndarray(format="rgb24") for frame in av.open(sys.argv[2]).decode(video=0)][:100]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
writer = SegmentWriter(part_of(path), (576, 768))
try:
    for index, image in enumerate(images):
        writer.write(image, index * 0.1)
except OSError as error:
    writer.abandon()
    print(error.errno, salvage(path).frames)
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(STREET)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    _, frames = done.stdout.split()
    assert int(frames) >= 10
    assert len(shown_times_s(tmp_path / "20260101T000000250Z.mp4")) == int(frames)


RECORD_FOR_EVER = """
import itertools, sys, time
from pathlib import Path
import av
from pipeline.entities import Frame, FrameResult
from service.recording.recorder import RecorderConfig, SegmentRecorder

recorder = SegmentRecorder(Path(sys.argv[1]), RecorderConfig(segment_s=2, min_free_bytes=0), lambda _: None, print)
images = [frame.to_ndarray(format="rgb24")[:288, :384].copy() for frame in av.open(sys.argv[2]).decode(video=0)][:40]
start = time.monotonic()
for index in itertools.count():
    time_s, image = time.monotonic() - start, images[index % 40]
    frame = Frame(image, index, time_s, 1.7e9 + time_s, start + time_s)
    recorder.write(FrameResult(frame, ()), image, [{"type": "tracks", "time_s": time_s}])
    print(time_s, flush=True)
    time.sleep(0.04)
"""


@pytest.fixture
def killed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, float]]:
    """A folder that a process recorded into until kill -9, and the media time of the last frame it handed over."""
    folder = tmp_path / "rec"
    command = [sys.executable, "-c", RECORD_FOR_EVER, str(folder), str(STREET)]
    child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        if child.stdout is None:
            raise OSError("the child has no output")
        for line in child.stdout:
            if float(line) > request.param:
                break
        child.kill()
        last_s = max([float(line), *(float(rest) for rest in child.stdout.read().splitlines()[:-1])])
        child.wait(10)
        yield folder, last_s
    finally:
        child.kill()
        child.wait(10)
        if child.stdout is not None:
            child.stdout.close()


@pytest.mark.parametrize(
    "killed", [5.3, *(pytest.param(at_s, marks=pytest.mark.exhaustive) for at_s in (5.95, 6.4))], indirect=True
)
def test_kill_9_loses_at_most_two_seconds(killed: tuple[Path, float]) -> None:
    folder, last_s = killed
    finished, parts = sorted(folder.glob("*.mp4")), sorted(folder.glob("*.mp4.part"))
    assert len(finished) >= 2 and len(parts) == 1
    for path in finished:  # as the kill left them
        assert len(shown_times_s(path)) == read_segment(path).frames >= 15
    before = [read_segment(path) for path in finished]
    try:
        left_s = len(shown_times_s(parts[0])) > 0
    except av.FFmpegError:
        left_s = False  # killed before its first fragment
    segments = recover(folder)
    assert segments[: len(before)] == before
    assert len(segments) == len(before) + left_s
    assert [len(shown_times_s(segment.path)) for segment in segments] == [segment.frames for segment in segments]
    newest = segments[-1]
    assert last_s - (newest.start_s + newest.duration_s) <= 2.0
    for segment in segments:
        assert lines(segment)[0]["time_s"] == pytest.approx(segment.start_s, abs=1e-3)
    assert last_s - lines(newest)[-1]["time_s"] <= 2.0
    assert not [path for path in folder.iterdir() if path.suffix not in {".mp4", ".gz"}]


def part_file(folder: Path, street: list[Image], frames: int, name_s: float = STARTED_AT) -> Path:
    """An unfinished segment as a kill leaves it: copied while it is being written."""
    path = new_segment_path(folder, name_s)
    open_path = folder / "open"
    writer = SegmentWriter(open_path, (576, 768))
    for index in range(frames):
        writer.write(street[index], 12.5 + index * 0.1)
    shutil.copy(open_path, part_of(path))
    writer.close()
    open_path.unlink()
    part_of(plain_sidecar_of(path)).write_text('{"type":"tracks"}\n{"type":"tra', "utf-8")
    return path


def test_recover_makes_an_indexed_segment_of_what_a_kill_left(tmp_path: Path, street: list[Image]) -> None:
    path = part_file(tmp_path, street, 35)
    (segment,) = recover(tmp_path)
    assert segment.path == path
    assert segment.frames == len(shown_times_s(path)) == 30
    assert segment.start_s == pytest.approx(12.5)
    assert segment.started_at == pytest.approx(STARTED_AT)
    assert b"moof" not in path.read_bytes()
    assert lines(segment) == [{"type": "tracks"}]
    assert recover(tmp_path) == [segment]


def test_recover_cuts_off_a_torn_fragment(tmp_path: Path, street: list[Image]) -> None:
    path = part_file(tmp_path, street, 35)
    size = part_of(path).stat().st_size
    os.truncate(part_of(path), size - 5_000)
    (segment,) = recover(tmp_path)
    assert segment.frames == len(shown_times_s(path)) == 25  # fragments of half a second, the last one torn


def test_recover_without_room_for_a_copy_keeps_whole_fragments_only(
    tmp_path: Path, street: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = part_file(tmp_path, street, 35)
    os.truncate(part_of(path), part_of(path).stat().st_size - 5_000)
    monkeypatch.setattr("service.recording.segment_files._repack", no_room)
    (segment,) = recover(tmp_path)
    assert segment.frames == len(shown_times_s(path)) == 25  # fragments of half a second, the last one torn
    assert top_level_boxes(path)[-1] == b"mdat"  # no header is left without its pictures


def test_recover_discards_what_holds_no_picture(tmp_path: Path, street: list[Image]) -> None:
    path = part_file(tmp_path, street, 5)
    part_of(new_segment_path(tmp_path, STARTED_AT + 60)).write_bytes(b"")
    part_of(new_segment_path(tmp_path, STARTED_AT + 120)).write_bytes(os.urandom(5_000))
    assert recover(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert not path.exists()


def test_recover_removes_sidecars_without_video_and_unfinished_repairs(tmp_path: Path, street: list[Image]) -> None:
    path = part_file(tmp_path, street, 35)
    (tmp_path / "20250101T000000000Z.jsonl").write_text("{}\n")
    (tmp_path / "20250101T000000001Z.jsonl.part").write_text("{}\n")
    (tmp_path / f"{part_of(path).name}.repair").write_bytes(b"torn")
    recover(tmp_path)
    assert sorted(tmp_path.iterdir()) == [sidecar_of(path), path]


def test_recover_leaves_a_broken_finished_file_alone(tmp_path: Path) -> None:
    broken = tmp_path / "20250101T000000000Z.mp4"
    broken.write_bytes(b"not a video")
    assert recover(tmp_path) == []
    assert broken.exists()


def test_recover_of_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert recover(tmp_path / "nowhere") == []


def test_inspect_finishes_a_part_and_reads_a_finished_file(tmp_path: Path, street: list[Image]) -> None:
    path = part_file(tmp_path, street, 35)
    segment = inspect(part_of(path), "str_1")
    assert segment is not None and segment.path == path and segment.stream_id == "str_1"
    assert inspect(path, "str_1") == segment
    assert segment.bytes == path.stat().st_size + sidecar_of(path).stat().st_size


def test_segment_travels_between_processes(tmp_path: Path, street: list[Image]) -> None:
    segment = inspect(part_of(part_file(tmp_path, street, 35)), "str_1")
    assert segment is not None
    assert unpack(pack(SegmentReport(segment))).segment == segment


def test_new_segment_path_tells_its_time_and_never_repeats(tmp_path: Path) -> None:
    first = new_segment_path(tmp_path, STARTED_AT)
    assert first.name == "20260101T000000250Z.mp4"
    assert started_at_of(first) == pytest.approx(STARTED_AT)
    first.touch()
    second = new_segment_path(tmp_path, STARTED_AT)
    part_of(second).touch()
    assert [second.name, new_segment_path(tmp_path, STARTED_AT).name] == [
        "20260101T000000251Z.mp4",
        "20260101T000000252Z.mp4",
    ]


def test_started_at_of_another_name_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="named like"):
        started_at_of(tmp_path / "holiday.mp4")


@pytest.mark.parametrize("config", [{"segment_s": 0}, {"queue_frames": 0}, {"crf": 60}, {"min_free_bytes": -1}])
def test_config_refuses_senseless_values(config: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must be above 0|expected min_free_bytes"):
        RecorderConfig(**config)  # type: ignore[arg-type]  # wrong on purpose


def test_writer_scales_pictures_of_another_size_and_keeps_time_going_forward(
    tmp_path: Path, street: list[Image]
) -> None:
    path = tmp_path / "out.mp4"
    writer = SegmentWriter(path, (576, 768))
    for image, time_s in zip(itertools.chain(street[:3], [street[3][:100, :90]]), (1.0, 1.5, 1.2, 1.6), strict=True):
        writer.write(image, time_s)
    writer.close()
    assert shown_times_s(path) == pytest.approx([0, 0.5, 0.5 + float(Fraction(1, 90_000)), 0.6], abs=1e-6)
