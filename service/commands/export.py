"""``actoscope export``: a network for another runtime, with a report of how close it comes and how fast it is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from models.weights.export_record import LEAST_AGREEMENT, ExportFormat

if TYPE_CHECKING:
    from models.exports.parity_clips import Finder, ParityClips
    from models.weights.cards import ModelCard
    from models.weights.export_record import ExportRecord

EXIT_NOT_CLOSE = 3  # the export is kept, but nobody gets it unasked
FROM_VIDEO, CALIBRATION = 32, 64  # clips, where nobody says how many
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "export",
        help="write a network for another runtime, and compare both on real clips",
        description="Converts a network, compares it with the original in TensorFlow float32 on real clips, and keeps "
        f"it in the model's folder. Below {LEAST_AGREEMENT:.0%} equal first choices the service does not choose it by "
        f"itself, and the exit status is {EXIT_NOT_CLOSE}.",
    )
    parser.add_argument("model", help="folder name in the weights directory, or a folder")
    parser.add_argument("--format", required=True, choices=[each.value for each in ExportFormat])
    parser.add_argument("--precision", help="openvino: f32, bf16; litert: f32, f16, int8; coreml: f16, f32")
    parser.add_argument("--data", type=Path, help="data set: its val split is compared, its train split calibrates")
    parser.add_argument("--video", type=Path, help="where there is no data set: a video of people (default: a sample)")
    parser.add_argument("--clips", type=_positive, help=f"how many to compare (data: all, video: {FROM_VIDEO})")
    parser.add_argument("--output", type=Path, help="folder for the export's folder (default: exports in the model's)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=_export)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _export(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow starts: its remarks would break the bars
    from models.conversion.formats import FORMATS, checked_precision  # noqa: PLC0415
    from models.exports.export import ExportJob, describe, export  # noqa: PLC0415
    from models.weights.cards import read_card  # noqa: PLC0415 - commands load only what they need
    from service.settings import load_settings  # noqa: PLC0415

    card, form = read_card(_model_folder(arguments.model)), ExportFormat(arguments.format)
    checked_precision(FORMATS[form], arguments.precision)  # before clips are looked for
    clips, calibration = _clips(arguments, card, calibrated=form is ExportFormat.OPENVINO_INT8)
    threads = load_settings().threads or None
    job = ExportJob(card, form, clips, calibration, arguments.precision, arguments.output, threads)
    with tqdm(unit="clip", disable=arguments.quiet, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.n = done
            bar.refresh()

        record = export(job, bar.write if not arguments.quiet else _say, progress)
    for name, value in describe(record):
        _say(f"{name:26}{value}")
    _say(record.folder)
    return _verdict(record)


def _verdict(record: ExportRecord) -> int:
    """Says whether the service may choose the export by itself → exit status."""
    if record.parity is not None and not record.parity.passes:
        _say(f"NOT USED BY DEFAULT: fewer than {LEAST_AGREEMENT:.0%} of the first choices are the network's")
        return EXIT_NOT_CLOSE
    _say("may be used by default" if record.usable_by_default else "not used by default: the service does not run it")
    return 0


def _clips(arguments: argparse.Namespace, card: ModelCard, *, calibrated: bool) -> tuple[ParityClips, ParityClips]:
    """→ clips to compare on, and others to calibrate on."""
    from models.data.manifest import Split, read_dataset  # noqa: PLC0415
    from models.exports.parity_clips import dataset_clips  # noqa: PLC0415

    if arguments.data is None:
        return _from_video(arguments, card, calibrated=calibrated)
    data = read_dataset(arguments.data)
    clips = dataset_clips(data, card, Split.VAL, arguments.clips)
    return clips, dataset_clips(data, card, Split.TRAIN, CALIBRATION) if calibrated else clips


def _from_video(arguments: argparse.Namespace, card: ModelCard, *, calibrated: bool) -> tuple[ParityClips, ParityClips]:
    from models.errors import ExportError  # noqa: PLC0415
    from models.exports.parity_clips import video_clips  # noqa: PLC0415

    video = arguments.video or SAMPLE
    if not video.is_file():
        raise ExportError(f"there is no video {video}: give --data or --video")
    wanted = arguments.clips or FROM_VIDEO
    clips = video_clips(video, people_finder(), card, wanted * 2 if calibrated else wanted)
    if not calibrated:
        return clips, clips
    calibration, compared = clips.halves()
    return compared, calibration


def people_finder() -> Finder:
    """→ the service's own detector and appearance encoder, by its settings."""
    from pipeline.appearance import AppearanceConfig, AppearanceEncoder, with_features  # noqa: PLC0415
    from service.configuration import EngineConfig  # noqa: PLC0415
    from service.engine import load_detector  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    engine = EngineConfig.from_settings(settings)
    encoder = AppearanceEncoder.load(engine.appearance, AppearanceConfig(engine.cache_dir, engine.threads))
    detector = load_detector(engine)
    return lambda frame, expected: with_features(encoder, frame.image, detector.detect([frame.image])[0], expected)


def _model_folder(name: str) -> Path:
    """A folder, or the name of one in the weights directory."""
    from models.weights.cards import CARD_FILE  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    path = Path(name)
    return path.resolve() if (path / CARD_FILE).is_file() else load_settings().weights_dir.resolve() / name


def _say(text: object) -> None:
    print(text, flush=True)
