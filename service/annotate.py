"""``actoscope annotate``: the straight line on a file, in one process, every frame, into a video and messages."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from tqdm import tqdm

from pipeline.actions import ActionSmoother, SmootherConfig
from pipeline.clips import ClipBuffer, ClipConfig
from pipeline.entities import ActionEvent, Frame, FrameResult
from pipeline.overlay import draw
from pipeline.source import SourceOptions, VideoSource
from pipeline.source_url import SourceUrl
from pipeline.stride import StrideController
from pipeline.tracker import PersonTracker
from service.ids import new_id
from service.inference import EngineConfig, InferenceEngine, LocalInference
from service.schemas import to_action_message, to_tracks_message
from service.segment_writer import SegmentWriter
from service.stream import Stages, run_stream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnnotateJob:
    """One file to annotate. ``output`` and ``events`` may be None; what exists there is replaced at the end."""

    video: Path
    output: Path | None
    events: Path | None
    engine: EngineConfig
    hop: int = 16


class FileSink:
    """Writes the overlay video and the messages; both are valid whenever ``close`` was called."""

    def __init__(self, job: AnnotateJob, buffer_size: int) -> None:
        self._job = job
        self._buffer_size = buffer_size
        self._stream_id = job.video.name
        self._video: SegmentWriter | None = None
        self._events: IO[str] | None = _part(job.events).open("w", encoding="utf-8") if job.events else None
        self.frames = 0

    def publish(self, result: FrameResult) -> None:
        self._write_events(result.events)
        self._write(to_tracks_message(self._stream_id, result, self._buffer_size))
        if self._job.output is not None:
            minutes, seconds = divmod(result.frame.time_s, 60)
            image = draw(result, self._buffer_size, f"{int(minutes):02d}:{seconds:05.2f}")
            if self._video is None:
                self._video = SegmentWriter(_part(self._job.output), result.frame.size_hw)
            self._video.write(image, result.frame.time_s)
        self.frames += 1

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        self._write_events(events)

    def _write_events(self, events: Sequence[ActionEvent]) -> None:
        for event in events:
            self._write(to_action_message(self._stream_id, event))

    def _write(self, message: dict[str, Any]) -> None:
        if self._events is not None:
            self._events.write(json.dumps(message, separators=(",", ":")) + "\n")

    def close(self) -> list[Path]:
        """Finishes both files and gives them their names. → the files written."""
        written = []
        if self._video is not None and self._job.output is not None:
            self._video.close()
            written.append(_part(self._job.output).replace(self._job.output))
        if self._events is not None and self._job.events is not None:
            self._events.close()
            written.append(_part(self._job.events).replace(self._job.events))
        return written


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def annotate(job: AnnotateJob, show_progress: bool = True) -> tuple[int, bool, list[Path]]:
    """Runs the whole file. → (frames, complete, files written); Ctrl-C ends early with valid files.

    Raises SourceError when the file cannot be read at all, and whatever loading the models raises.
    """
    source = VideoSource(SourceUrl.from_path(job.video), SourceOptions(), lambda *_: None)
    clip_config = ClipConfig(hop=job.hop)
    engine = InferenceEngine(job.engine)
    stages = Stages(
        tracker=PersonTracker(),
        clip_buffer=ClipBuffer(clip_config),
        smoother=ActionSmoother(SmootherConfig(), new_event_id=lambda: new_id("evt")),
        stride=StrideController(adaptive=False),
    )
    sink = FileSink(job, clip_config.length)
    interrupted = threading.Event()
    with _stop_on_ctrl_c(source, interrupted):
        try:
            run_stream(_progress(source, show_progress), LocalInference(engine, job.engine.model), stages, sink)
        finally:
            written = sink.close()
    return sink.frames, not interrupted.is_set(), written


def _progress(source: VideoSource, show: bool) -> Iterator[Frame]:
    bar: tqdm[Frame] = tqdm(source, total=None, unit="frame", disable=not show, dynamic_ncols=True)
    for frame in bar:
        if bar.total is None:
            bar.total = source.stats().frame_count
        yield frame


class _stop_on_ctrl_c:
    """While inside, the first Ctrl-C (or SIGTERM) stops the source, so the straight line ends as at the file's end."""

    def __init__(self, source: VideoSource, interrupted: threading.Event) -> None:
        self._source = source
        self._interrupted = interrupted
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted.set()
        self._source.stop()

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
