"""Runs the service's own pipeline over whole videos and keeps what it said: one ``VideoRun`` (JSON) a video.

The straight line, its stages and its settings are those of ``actoscope annotate``; only the sink differs. A video
whose file is there and was made with the same model, detector and settings is passed over, so that an interrupted
evaluation goes on where it stopped; another temperature or smoother is applied to the stored answers. One video at a
time is held, as numbers: pictures are streamed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from models.errors import EvaluationError
from models.evaluation.videos.run import Setting, VideoRun, read_video_run, write_video_run
from models.evaluation.videos.scores import restudied
from models.weights.cards import MODEL_FILE, ModelCard, read_card
from models.weights.motion_head import MOTION_FILE
from pipeline.detector import resolve_person_weights
from pipeline.errors import SourceError
from pipeline.files import file_sha256
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource
from pipeline.tracker import TrackerConfig
from service.configuration import EngineConfig, StagesConfig
from service.engine import InferenceEngine
from service.offline.local_inference import LocalInference
from service.offline.run_recorder import RecordingInference, RunRecorder
from service.stages import build_stages
from service.stream import Inference, Stages, run_stream

Progress = Callable[[int, int, str], None]  # videos done, videos in all, what happened to the last


@dataclass(frozen=True)
class VideoJob:
    """Videos to run, where their JSON goes, and what decides the outcome. ``engine.model``: a name or a folder."""

    videos: tuple[Path, ...]
    output: Path
    engine: EngineConfig
    stages: StagesConfig


def run_videos(job: VideoJob, progress: Progress | None = None) -> list[Path]:
    """Run every video that has no up-to-date JSON yet → the JSON files, in the order of the videos.

    A video that breaks off keeps what came before, with its ``problem``; one without any picture is left out, and
    all of those are named in one EvaluationError at the end, after the others are done. Raises EvaluationError at
    once when files are missing or two videos have the same name, CardError or ModelUnavailable for a model that cannot
    be loaded.
    """
    _check_videos(job.videos)
    card = read_card(job.engine.model_dir)
    settings = job_settings(job, card)
    engine: InferenceEngine | None = None  # loaded for the first video that needs it
    written, broken = [], []
    for number, video in enumerate(job.videos, 1):
        target = job.output / f"{video.stem}.json"
        note = f"{video.stem}: was there"
        if _stored(target, job, settings) is None:
            engine = engine or InferenceEngine(job.engine)
            try:
                run = run_video(video, job, engine, settings)
                write_video_run(target, run)
                note = f"{video.stem}: {len(run.times_s)} frames, {len(run.tracks)} people, {run.seconds:.1f} s"
            except SourceError as error:
                broken.append(f"{video}: {error.message}")
                note = broken[-1]
        if target.is_file():
            written.append(target)
        if progress is not None:
            progress(number, len(job.videos), note)
    if broken:
        raise EvaluationError(f"{len(broken)} of {len(job.videos)} videos cannot be read: " + "; ".join(broken))
    return written


def run_video(video: Path, job: VideoJob, engine: InferenceEngine, settings: dict[str, Setting]) -> VideoRun:
    """One video through fresh stages. Raises SourceError when not one picture can be read."""
    inference = LocalInference(engine, job.engine.model)
    return record_video(video, inference, _stages(job), engine.classifier(job.engine.model).card, settings)


def record_video(
    video: Path, inference: Inference, stages: Stages, card: ModelCard, settings: dict[str, Setting]
) -> VideoRun:
    """One video through ``stages``, with all that ``inference`` says kept. Raises SourceError as ``run_video``."""
    begin = time.monotonic()
    source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
    recording, sink = RecordingInference(inference, stages.motion), RunRecorder(card.labels)
    problem = _watch(source, recording, stages, sink)
    if sink.size_hw is None:
        raise SourceError("no_video", "the video has a track, but no picture in it", permanent=True)
    return VideoRun(
        video=video.stem,
        model=card.name,
        labels=card.labels,
        temperature=card.temperature,
        settings=settings,
        size_hw=sink.size_hw,
        frame_numbers=tuple(sink.frame_numbers),
        times_s=tuple(sink.times_s),
        tracks=sink.tracks(),
        clips=tuple(recording.clips),
        events=tuple(sink.events),
        problem=problem,
        seconds=round(time.monotonic() - begin, 3),
    )


def _watch(source: VideoSource, inference: Inference, stages: Stages, sink: RunRecorder) -> str | None:
    """→ why the source broke off, None where it came to its end. Raises SourceError when it gave no picture."""
    try:
        run_stream(source, inference, stages, sink)
    except SourceError as error:
        if sink.size_hw is None:
            raise
        return error.message
    finally:
        source.stop()
    return None


def job_settings(job: VideoJob, card: ModelCard) -> dict[str, Setting]:
    """All that the outcome depends on besides the video: a stored run with other settings is made again."""
    detector = job.engine.detector or resolve_person_weights(job.engine.weights_dir)
    tracker = TrackerConfig.starting_at(job.stages.track_confidence)
    parts = {"tracker": asdict(tracker), "smoother": asdict(job.stages.smoother)}
    return {
        "model_sha256": card.sha256[MODEL_FILE],
        "temperature": card.temperature,
        "motion_sha256": card.sha256.get(MOTION_FILE) if job.stages.motion else None,
        "margin": card.input.margin,
        "hop": job.stages.clip.hop,
        "provisional_from": job.stages.clip.provisional_from,
        "runtime": job.engine.runtime,
        "detector": Path(detector).name,
        "detector_sha256": _fingerprint(Path(detector)),
        "detector_image_size": job.engine.detector_image_size,
        "detector_confidence": job.engine.detector_confidence,
        "appearance": job.engine.appearance.name if job.engine.appearance else None,
        **{f"{part}.{key}": _plain(value) for part, fields in parts.items() for key, value in fields.items()},
    }


def _plain(value: object) -> Setting:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _fingerprint(path: Path) -> str | None:
    """sha256 of a file, or of all files of a folder; None for a name that is still to be downloaded."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return sha256("".join(map(file_sha256, files)).encode()).hexdigest() if files else None


def _stored(path: Path, job: VideoJob, settings: dict[str, Setting]) -> VideoRun | None:
    """The run that is there, if it was made with these settings; a damaged one is made again.

    Where only the smoother differs, or the temperature of a network that speaks alone, it is derived from the stored
    answers and written anew: beside boxes the temperature is that of one half of the answer.
    """
    try:
        run = read_video_run(path)
    except EvaluationError:
        return None
    changed = {key for key in {*settings, *run.settings} if settings.get(key) != run.settings.get(key)}
    alone = settings["motion_sha256"] is None
    if all((key == "temperature" and alone) or key.startswith("smoother.") for key in changed):
        if changed:
            run = restudied(run, float(settings["temperature"] or 1.0), job.stages.smoother, settings)
            write_video_run(path, run)
        return run
    return None


def _check_videos(videos: Sequence[Path]) -> None:
    problems = [f"{video} does not exist" for video in videos if not video.is_file()]
    counts = Counter(video.stem for video in videos)
    problems += [f"{count} videos are called {name}" for name, count in counts.items() if count > 1]
    if not videos:
        problems.append("no video was given")
    if problems:
        raise EvaluationError("; ".join(problems))


def _stages(job: VideoJob) -> Stages:
    numbers: Iterator[int] = iter(range(1, 2**62))
    return build_stages(job.stages, event_ids=lambda: f"event-{next(numbers)}")
