"""``actoscope evaluate`` and ``actoscope compare``: how good a model is, on clips and on whole videos."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from models.errors import EvaluationError
from service.commands import runtime_option as cli_runtime

if TYPE_CHECKING:
    from models.classifier import ActionClassifier
    from models.data.manifest import Dataset
    from models.evaluation.clips_and_videos import ClipsJob, Evaluation
    from models.evaluation.judge import JudgeConfig, Judgement
    from models.evaluation.videos.judgement import VideoJudgement
    from models.evaluation.videos.truth import VideoTruth
    from service.configuration import EngineConfig


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both commands."""
    evaluate = commands.add_parser("evaluate", help="measure a model on a data set, or on whole videos")
    evaluate.add_argument("model", help="folder name in the weights directory, or a folder")
    evaluate.add_argument("data", type=Path, nargs="?", help="folder of a data set; may be left out with --videos")
    _add_clip_options(evaluate)
    evaluate.add_argument("--worst", type=int, default=12, help="how many mistakes to show (default 12)")
    evaluate.add_argument(
        "--write-card", action="store_true", help="write the temperature and the figures into the model's card.json"
    )
    _add_video_options(evaluate)
    evaluate.set_defaults(run=_evaluate)
    compare = commands.add_parser("compare", help="measure several models on the same clips")
    compare.add_argument("models", nargs="+", metavar="MODEL", help="two or more; the first is what others are held to")
    compare.add_argument("data", type=Path, help="folder of a data set")
    _add_clip_options(compare)
    compare.set_defaults(run=_compare)


def _add_clip_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="default: val")
    parser.add_argument(
        "--classes",
        action="append",
        default=[],
        metavar="A,B,…",
        help="judge also among these classes alone; may be given several times",
    )
    parser.add_argument("--flip", action="store_true", help="average each clip with its mirror image")
    parser.add_argument("--windows", type=int, choices=(1, 2, 3), default=1, help="windows of a longer clip to average")
    parser.add_argument("--real", type=int, metavar="N", help="show N pictures of each clip at most, back and forth")
    parser.add_argument("--output", type=Path, help="where results go (default: evaluations/MODEL)")
    cli_runtime.add(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


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
    group.add_argument("--iou", type=float, default=0.5, help="at which a track is an annotated person (default 0.5)")
    group.add_argument("--hop", type=int, help="crops between two clips of a person (default: the service's)")
    group.add_argument("--provisional-from", type=int, help="crops that make a first clip (default: the service's)")
    group.add_argument("--track-start", type=float, help="confidence that starts a track (default: the service's)")
    group.add_argument("--detector", type=Path, help="person detector (default: what the service takes)")


def _evaluate(arguments: argparse.Namespace) -> int:
    from models.evaluation.clips_and_videos import about, summary  # noqa: PLC0415
    from models.evaluation.report import write_evaluation  # noqa: PLC0415
    from models.weights.cards import read_card  # noqa: PLC0415 - commands load only what they need

    if arguments.data is None and not arguments.videos:
        raise EvaluationError("nothing to evaluate on: give a data set, --videos, or both")
    folder = _model_folder(arguments.model)
    output = arguments.output or Path("evaluations") / folder.name
    job = _clips_job(arguments, output) if arguments.data is not None else None
    truths = _truths(arguments)  # annotation that is wrong shall not be told after an hour
    evaluation = about(read_card(folder), job)
    if job is not None:
        evaluation = evaluation.model_copy(update={"clips": _judge_clips(folder, job, arguments)})
        if arguments.write_card:
            _write_card(folder, evaluation)
    if truths:
        videos = _judge_videos(folder, truths, output, arguments)
        evaluation = evaluation.model_copy(update={"videos": videos})
        if arguments.write_card:
            _write_card(folder, evaluation)
    rate_hz = job.dataset.info.input.rate_hz if job is not None else 25.0
    report = write_evaluation(evaluation, output, job.dataset.folder if job is not None else None, rate_hz)
    for name, value in summary(evaluation).items():
        _say(f"{value:8.4f}  {name}")
    _say(report)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from models.evaluation.clips_and_videos import answers  # noqa: PLC0415
    from models.evaluation.compare import Candidate, compare, write_comparison  # noqa: PLC0415
    from models.weights.cards import read_card  # noqa: PLC0415

    folders = [_model_folder(name) for name in arguments.models]
    cards = [read_card(folder) for folder in folders]  # all of them, before any work
    output = arguments.output or Path("evaluations") / "comparison"
    job = _clips_job(arguments, output)
    candidates = []
    for folder, card in zip(folders, cards, strict=True):
        classifier = _load(folder, arguments)
        own = replace(job, output=output / folder.name)
        with _Bar(arguments.quiet, "clip", folder.name) as bar:
            predictions = answers(classifier, own, job.split, bar.of_split)
        candidates.append(Candidate(folder.name, predictions, card.temperature))
    comparison = compare(candidates, job.split.value, job.judging, job.dataset.folder.name)
    report = write_comparison(comparison, output)
    for table in comparison.tables:
        _say(f"\nmacro F1 over {', '.join(table.labels) if len(table.labels) < 8 else len(table.labels)}")
        for row in table.rows:
            found = row.macro_f1
            _say(f"{row.model:32}  {found.value:.3f}  [{found.low:.3f}, {found.high:.3f}]  ECE {row.ece:.3f}")
    _say(report)
    return 0


def _clips_job(arguments: argparse.Namespace, output: Path) -> ClipsJob:
    from models.data.manifest import Split, read_dataset  # noqa: PLC0415
    from models.evaluation.clips_and_videos import ClipsJob  # noqa: PLC0415
    from models.evaluation.figures.predictions import Views  # noqa: PLC0415

    dataset: Dataset = read_dataset(arguments.data)
    views = Views(arguments.windows, arguments.flip, arguments.real)
    return ClipsJob(dataset, output, Split(arguments.split), views, _judging(arguments))


def _judging(arguments: argparse.Namespace) -> JudgeConfig:
    from models.evaluation.judge import JudgeConfig  # noqa: PLC0415

    return JudgeConfig(_subsets(arguments), getattr(arguments, "worst", 0), seed=arguments.seed)


def _subsets(arguments: argparse.Namespace) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(name.strip() for name in text.split(",") if name.strip()) for text in arguments.classes)


def _judge_clips(folder: Path, job: ClipsJob, arguments: argparse.Namespace) -> Judgement:
    from models.evaluation.clips_and_videos import evaluate_clips  # noqa: PLC0415

    with _Bar(arguments.quiet, "clip") as bar:
        return evaluate_clips(_load(folder, arguments), job, bar.of_split)


def _truths(arguments: argparse.Namespace) -> dict[str, VideoTruth]:
    """What to run: the videos of the split, and those of train where a threshold is to be chosen on them."""
    from models.data.manifest import Split  # noqa: PLC0415
    from models.evaluation.videos.truth import read_video_truths  # noqa: PLC0415

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
    folder: Path, truths: dict[str, VideoTruth], output: Path, arguments: argparse.Namespace
) -> VideoJudgement:
    from models.data.manifest import Split  # noqa: PLC0415
    from models.evaluation.clips_and_videos import VIDEOS_FOLDER  # noqa: PLC0415
    from models.evaluation.videos.judgement import VideoJudgeConfig, judge_videos  # noqa: PLC0415
    from models.evaluation.videos.run import read_video_run  # noqa: PLC0415
    from models.evaluation.videos.truth import find_videos  # noqa: PLC0415
    from service.configuration import StagesConfig  # noqa: PLC0415
    from service.offline.video_evaluation import VideoJob, run_videos  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    stages = StagesConfig.from_settings(
        settings,
        folder,
        hop=arguments.hop,
        first_clip=arguments.provisional_from,
        track_confidence=arguments.track_start,
    )
    videos = tuple(find_videos(arguments.videos, truths).values())
    job = VideoJob(videos, output / VIDEOS_FOLDER, _engine(folder, arguments), stages)
    with _Bar(arguments.quiet, "video") as bar:
        paths = run_videos(job, bar)
    config = VideoJudgeConfig(
        Split(arguments.split), _subsets(arguments), _positive(arguments.positive), arguments.iou, seed=arguments.seed
    )
    return judge_videos([read_video_run(path) for path in paths], truths, config)


def _positive(text: str | None) -> tuple[str, str] | None:
    """``Fighting=Fight`` → the class and the video's label; ``Fighting`` → both the same."""
    if text is None:
        return None
    label, _, video_label = text.partition("=")
    return label, video_label or label


def _model_folder(name: str) -> Path:
    """A folder, or the name of one in the weights directory."""
    from models.weights.cards import CARD_FILE  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    path = Path(name)
    return path.resolve() if (path / CARD_FILE).is_file() else load_settings().weights_dir.resolve() / name


def _load(folder: Path, arguments: argparse.Namespace) -> ActionClassifier:
    from models.classifier import ActionClassifier  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    cache = settings.data_dir / "cache"
    threads = settings.threads or None
    return ActionClassifier.load(folder, arguments.runtime or settings.runtime, cache, threads)


def _engine(folder: Path, arguments: argparse.Namespace) -> EngineConfig:
    from service.configuration import EngineConfig  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    return EngineConfig.from_settings(
        load_settings(),
        model=str(folder),  # absolute: also models outside the weights directory
        runtime=arguments.runtime,
        detector=arguments.detector,
    )


def _write_card(folder: Path, evaluation: Evaluation) -> None:
    from models.evaluation.clips_and_videos import summary  # noqa: PLC0415
    from models.evaluation.figures.calibration import write_temperature  # noqa: PLC0415

    clips = evaluation.clips
    fitted = clips is not None and clips.calibration.fitted
    temperature = clips.calibration.temperature if clips is not None and fitted else evaluation.card_temperature
    write_temperature(folder, temperature, summary(evaluation))


def _say(text: object) -> None:
    print(text, flush=True)


class _Bar:
    """A progress bar that is told how far things are; its notes stand above it."""

    def __init__(self, quiet: bool, unit: str, name: str = "") -> None:
        self._bar = tqdm(unit=unit, desc=name or None, disable=quiet, dynamic_ncols=True)

    def __enter__(self) -> _Bar:
        return self

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if note and not self._bar.disable:
            self._bar.write(note)

    def of_split(self, split: str, done: int, total: int) -> None:
        self._bar.set_description(split, refresh=False)
        self(done, total)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
