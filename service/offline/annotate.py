"""``actoscope annotate``: the straight line on a file or camera, in one process, into a video and messages."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from pipeline.entities import ActionEvent, Frame, FrameResult, Zone
from pipeline.errors import SourceError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, SourceState, VideoSource
from service.budget.plan import EVERYTHING, Plan
from service.configuration import EngineConfig, StagesConfig
from service.engine import InferenceEngine
from service.errors_base import ServiceError
from service.offline.local_inference import LocalInference
from service.offline.overlay_writer import OverlayWriter
from service.stages import build_stages
from service.stream import run_stream, why_no_labels
from service.wire_messages import to_action_message, to_repetition_message, to_tracks_message

Tell = Callable[[int, int | None], None]  # frames done, frames in all if that is known
Progress = AbstractContextManager[Tell]
Notice = Callable[[str], None]  # hears why a camera is away


class OutputError(ServiceError, OSError):
    """A file to be written cannot be, or would overwrite what is read. The message names it."""


@dataclass(frozen=True)
class AnnotateJob:
    """One source to annotate, as ``plan`` says. ``output`` and ``events`` may be None; what exists there is replaced.

    ``seconds``: of media time, then it ends; a camera has no other end than this and Ctrl-C.
    """

    source: SourceUrl
    output: Path | None
    events: Path | None
    engine: EngineConfig
    stages: StagesConfig
    plan: Plan = EVERYTHING
    seconds: float = math.inf
    options: SourceOptions = field(default_factory=SourceOptions)
    zones: tuple[Zone, ...] = ()

    @property
    def name(self) -> str:
        """What the messages call the stream."""
        return self.source.place if self.source.path is None else self.source.path.name


@dataclass(frozen=True)
class Annotated:
    """What came of a job. ``interrupted``: by Ctrl-C; ``problem``: why the video could not be read to its end.

    ``no_labels``: why nobody could be labelled, None where people could.
    """

    frames: int
    written: tuple[Path, ...]
    interrupted: bool = False
    problem: str | None = None
    no_labels: str | None = None


class FileSink:
    """Writes the overlay video and the messages under other names, which ``close`` replaces by the right ones.

    Raises OutputError when a file cannot be written, before any work is done.
    """

    def __init__(self, job: AnnotateJob, buffer_size: int) -> None:
        self._job = job
        self._buffer_size = buffer_size
        self._stream_id = job.name
        self._video: OverlayWriter | None = None
        self._events: IO[str] | None = None
        self.frames = 0
        self.why_none: Callable[[], str | None] = lambda: None
        self._labelled = False
        self._reason: str | None = None
        self._targets = [path for path in (job.output, job.events) if path is not None]
        check_targets(job.source.path, self._targets)
        try:
            for path in self._targets:
                _reserve(path)
            if job.events is not None:
                self._events = _part(job.events).open("w", encoding="utf-8")
        except BaseException:
            self._discard()
            raise

    def publish(self, result: FrameResult) -> None:
        self._write_events(result.events)
        for repetition in result.repetitions:
            self._write(to_repetition_message(self._stream_id, repetition))
        self._write(to_tracks_message(self._stream_id, result, self._buffer_size))
        if self._job.output is not None:
            if self._video is None:
                self._video = OverlayWriter(_part(self._job.output), result.frame.size_hw, self._buffer_size)
            self._video.put(result)
        self.frames += 1
        self._labelled = self._labelled or bool(result.labels)
        if not self._labelled:
            self._reason = self.why_none() or self._reason

    @property
    def no_labels(self) -> str | None:
        """The last reason that ``why_none`` gave, None where anybody was labelled."""
        return None if self._labelled else self._reason

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None:
        self._write_events(events)

    def _write_events(self, events: Sequence[ActionEvent]) -> None:
        for event in events:
            self._labelled = True
            self._write(to_action_message(self._stream_id, event))

    def _write(self, message: dict[str, Any]) -> None:
        if self._events is not None:
            self._events.write(json.dumps(message, separators=(",", ":")) + "\n")

    def close(self) -> tuple[Path, ...]:
        """Finishes both files and gives them their names; without a frame there are none. → the files written.

        Raises OSError when the disk fails; what is there keeps its name then too, since it plays up to that point.
        """
        if self.frames == 0:
            self._discard()
            return ()
        try:
            with contextlib.ExitStack() as stack:
                if self._events is not None:
                    stack.callback(self._events.close)
                if self._video is not None:
                    stack.callback(self._video.close)
        finally:
            for path in self._targets:
                _part(path).replace(path)
        return tuple(self._targets)

    def _discard(self) -> None:
        if self._video is not None:
            self._video.abandon()
        if self._events is not None:
            self._events.close()
        for path in self._targets:
            _part(path).unlink(missing_ok=True)


def check_targets(video: Path | None, targets: Sequence[Path]) -> None:
    """Raises OutputError where a target is a folder, the video itself or another target, or has no folder."""
    taken: set[Path] = set() if video is None else {video.resolve()}
    for path in targets:
        if not path.parent.is_dir():
            raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder")
        if path.resolve() in taken:
            raise OutputError(f"cannot write {path}: it is the video itself, or named twice")
        taken.add(path.resolve())


def _reserve(path: Path) -> None:
    """Finds out now, not after an hour of work, that a file cannot be written."""
    try:
        _part(path).touch()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


class _Watch:
    """Hears of the source's state: what is wrong before a first picture ends the job, later losses are waited out."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self._has_run = False
        self.failure: SourceError | None = None
        self.give_up: Callable[[], None] = lambda: None

    def __call__(self, state: SourceState, code: str | None, reason: str) -> None:
        if state is SourceState.RUNNING:
            self._has_run = True
        elif state is SourceState.FAILED or (state is SourceState.RECONNECTING and not self._has_run):
            self.failure = SourceError(code or "unreadable", reason, permanent=state is SourceState.FAILED)
            self.give_up()
        elif state is SourceState.RECONNECTING:
            self._notice(f"{reason}; it is tried again")


def annotate(job: AnnotateJob, progress: Progress | None = None, notice: Notice = lambda _: None) -> Annotated:
    """Runs the whole source, or up to Ctrl-C or the place where it is damaged: the files hold what came before.

    ``progress`` is entered once the models are loaded.
    Raises SourceError when no picture can be read, OutputError when a file cannot be written, both before models are
    loaded; and whatever loading the models raises. No file is written then.
    """
    watch = _Watch(notice)
    source = VideoSource(job.source, job.options, watch)
    watch.give_up = source.stop
    sink = FileSink(job, job.stages.clip.length)
    interrupted = threading.Event()
    try:
        frames = _begun(source, watch)
        engine = InferenceEngine(job.engine)
        with _stop_on_ctrl_c(source, interrupted), progress or contextlib.nullcontext(_tell_nobody) as tell:
            timely = itertools.takewhile(lambda frame: frame.time_s < job.seconds, frames)
            told = _telling(timely, source.stats().frame_count, tell)
            inference = LocalInference(engine, job.engine.model, job.plan)
            stages = build_stages(job.stages)
            stages.zones.zones = job.zones
            sink.why_none = lambda: why_no_labels(stages, own_rate_hz(job.source, source.stats().fps))
            run_stream(told, inference, stages, sink)
    except SourceError as error:
        if sink.frames == 0:
            raise
        watch.failure = error
    finally:
        source.stop()
        written = sink.close()
    problem = watch.failure.message if watch.failure else None
    return Annotated(sink.frames, written, interrupted.is_set(), problem, sink.no_labels)


def own_rate_hz(source: SourceUrl, fps: float) -> float:
    """At which pictures could come at best: a recording waits for the machine, so what is rare is rare in it."""
    return fps if source.is_live else 0.0


def _begun(source: VideoSource, watch: _Watch) -> Iterator[Frame]:
    """Reads the first frame at once, so that a source that is no video is told of before models are loaded."""
    frames = iter(source)
    first = next(frames, None)
    if first is None:
        raise watch.failure or SourceError("no_video", "the video has a track, but no picture in it", permanent=True)
    return itertools.chain([first], frames)


def _telling(frames: Iterable[Frame], total: int | None, tell: Tell) -> Iterator[Frame]:
    """The same frames; ``tell`` hears how many are done with."""
    tell(0, total)
    for done, frame in enumerate(frames, 1):
        yield frame
        tell(done, total)


def _tell_nobody(_done: int, _total: int | None) -> None:
    pass


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
