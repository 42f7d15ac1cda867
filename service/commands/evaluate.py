"""``actoscope evaluate``: how good a model is, on clips and on whole videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.clips_and_videos import (
    VIDEOS_FOLDER,
    ClipsJob,
    Evaluation,
    about,
    evaluate_clips,
    summary,
)
from models.evaluation.figures.calibration import write_temperature
from models.evaluation.judge import Judgement
from models.evaluation.report import write_evaluation
from models.evaluation.videos.judgement import VideoJudgeConfig, VideoJudgement, judge_videos
from models.evaluation.videos.negatives import Negative, find_negatives, parse_negatives
from models.evaluation.videos.run import read_video_run
from models.evaluation.videos.truth import VideoTruth, find_videos, read_video_truths
from models.weights.cards import read_card
from service.commands.clip_options import add_clip_options, clips_job, loaded, tell_missing
from service.commands.event_table import show_curve
from service.commands.options import model_folder
from service.commands.printing import say, show_table
from service.commands.progress import ProgressBar
from service.configuration import EngineConfig, StagesConfig
from service.offline.video_evaluation import VideoJob, run_videos
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="folder name in the weights directory, or a folder")
    parser.add_argument("data", type=Path, nargs="?", help="folder of a data set; may be left out with --videos")
    add_clip_options(parser)
    parser.add_argument("--worst", type=int, default=12, help="how many mistakes to show (default 12)")
    parser.add_argument(
        "--write-card", action="store_true", help="write the temperature and the figures into the model's card.json"
    )
    _add_video_options(parser)


def _add_video_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("whole videos, through the service's own pipeline")
    group.add_argument(
        "--videos",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders with videos and their annotation: actions.csv, clips.csv, mot/VIDEO.txt",
    )
    group.add_argument(
        "--positive",
        metavar="CLASS[=LABEL]",
        help="also decide for each video whether it shows CLASS, which LABEL in clips.csv says (default: CLASS)",
    )
    group.add_argument(
        "--negative",
        nargs="+",
        default=[],
        metavar="CLASS[,CLASS…]=DIR[:KIND]",
        help="videos in which CLASS does not occur: what is reported of it there is false; KIND is their name in the "
        "report (default: the folder's). They need no annotation, and --videos may be left out",
    )
    group.add_argument("--iou", type=float, default=0.5, help="at which a track is an annotated person (default 0.5)")
    group.add_argument("--hop", type=int, help="the network's own crops between two clips (default: as the service)")
    group.add_argument("--provisional-from", type=int, help="crops that make a first clip (default: as the service)")
    group.add_argument("--track-start", type=float, help="confidence that starts a track (default: the service's)")
    group.add_argument("--detector", type=Path, help="person detector (default: what the service takes)")


def run(arguments: argparse.Namespace) -> int:
    if arguments.data is None and not arguments.videos and not arguments.negative:
        raise EvaluationError("nothing to evaluate on: give a data set, --videos or --negative")
    folder = model_folder(load_settings(), arguments.model)
    output = arguments.output or Path("evaluations") / folder.name
    job = clips_job(arguments, output, arguments.worst) if arguments.data is not None else None
    truths = _truths(arguments)  # annotation that is wrong shall not be told after an hour
    negatives = find_negatives([parse_negatives(text) for text in arguments.negative], truths)
    evaluation = about(read_card(folder), job)
    if job is not None:
        evaluation = evaluation.model_copy(update={"clips": _judge_clips(folder, job, arguments)})
        if arguments.write_card:
            _write_card(folder, evaluation)
    if truths or arguments.negative:
        videos = _judge_videos(folder, truths, negatives, output, arguments)
        evaluation = evaluation.model_copy(update={"videos": videos})
        if arguments.write_card:
            _write_card(folder, evaluation)
    rate_hz = job.dataset.info.input.rate_hz if job is not None else 25.0
    report = write_evaluation(evaluation, output, job.dataset.folder if job is not None else None, rate_hz)
    if evaluation.clips is not None:
        tell_missing(evaluation.clips.whole.without_clips, arguments.split)
    show_table([(f"{value:8.4f}", name) for name, value in summary(evaluation).items()], heading=False)
    for curve in evaluation.videos.curves if evaluation.videos is not None else ():
        show_curve(curve)
    say(report)
    return 0


def _judge_clips(folder: Path, job: ClipsJob, arguments: argparse.Namespace) -> Judgement:
    with ProgressBar("clip", arguments.quiet) as bar:
        return evaluate_clips(loaded(folder, arguments), job, bar.step)


def _truths(arguments: argparse.Namespace) -> dict[str, VideoTruth]:
    """What to run: the videos of the split, and those of train where a threshold is to be chosen on them."""
    if not arguments.videos:
        return {}
    split = Split(arguments.split)

    def wanted(truth: VideoTruth) -> bool:
        return truth.split is split or bool(arguments.positive and truth.split is Split.TRAIN and truth.label)

    truths = read_video_truths(arguments.videos)
    chosen = {name: truth for name, truth in sorted(truths.items()) if wanted(truth)}
    if not chosen:
        raise EvaluationError(f"no annotated video is in the split {split.value!r}")
    return chosen


def _judge_videos(
    folder: Path,
    truths: dict[str, VideoTruth],
    negatives: tuple[dict[str, Negative], dict[str, Path]],
    output: Path,
    arguments: argparse.Namespace,
) -> VideoJudgement:
    settings = load_settings()
    # a folder, not a name: also models outside the weights directory
    engine = EngineConfig.from_settings(
        settings, model=str(folder), runtime=arguments.runtime, detector=arguments.detector
    )
    stages = StagesConfig.from_settings(
        settings,
        engine.model_dir,
        hop=arguments.hop,
        first_clip=arguments.provisional_from,
        track_confidence=arguments.track_start,
    )
    files = _together(find_videos(arguments.videos, truths), negatives[1])
    videos = tuple(files[name] for name in sorted(files))
    with ProgressBar("video", arguments.quiet) as bar:
        paths = run_videos(VideoJob(videos, output / VIDEOS_FOLDER, engine, stages), bar)
    config = VideoJudgeConfig(
        Split(arguments.split),
        tuple(arguments.classes),
        _positive(arguments.positive),
        arguments.iou,
        smoother=stages.smoother,
        negatives=negatives[0],
        seed=arguments.seed,
    )
    return judge_videos([read_video_run(path) for path in paths], truths, config)


def _together(annotated: dict[str, Path], negatives: dict[str, Path]) -> dict[str, Path]:
    """Raises EvaluationError where a name means two videos: one would be judged by the other's annotation."""
    both = sorted(
        name for name in annotated.keys() & negatives if annotated[name].resolve() != negatives[name].resolve()
    )
    if both:
        raise EvaluationError(f"two videos are called {both[0]}: {annotated[both[0]]} and {negatives[both[0]]}")
    return annotated | negatives


def _positive(text: str | None) -> tuple[str, str] | None:
    """``Fighting=Fight`` → the class and the video's label; ``Fighting`` → both the same."""
    if text is None:
        return None
    label, _, video_label = text.partition("=")
    return label, video_label or label


def _write_card(folder: Path, evaluation: Evaluation) -> None:
    clips = evaluation.clips
    fitted = clips is not None and clips.calibration.fitted
    temperature = clips.calibration.temperature if clips is not None and fitted else evaluation.card_temperature
    write_temperature(folder, temperature, summary(evaluation))
