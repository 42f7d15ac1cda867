"""``actoscope export``: a network for another runtime, with a report of how close it comes and how fast it is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from models.conversion.formats import FORMATS, checked_precision
from models.data.manifest import Split, read_dataset
from models.errors import ExportError
from models.exports.export import ExportJob, describe, export
from models.exports.parity_clips import ParityClips, dataset_clips, video_clips
from models.exports.ship import ship
from models.weights.cards import ModelCard, read_card
from models.weights.export_record import LEAST_AGREEMENT, ExportFormat, ExportRecord, Parity
from models.weights.shipped_graph import GRAPH_FILE
from service.commands.exit_status import EXIT_NOT_CLOSE
from service.commands.options import model_folder, positive
from service.commands.printing import say, show_table
from service.commands.progress import ProgressBar
from service.commands.sample import SAMPLE
from service.configuration import EngineConfig
from service.engine import load_people_finder
from service.settings import load_settings

FROM_VIDEO, CALIBRATION = 32, 64  # clips, where nobody says how many


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Converts a network, compares it with the original in TensorFlow float32 on real clips, and keeps it in the "
        f"model's folder. Below {LEAST_AGREEMENT:.0%} equal first choices the service does not choose it by itself, "
        f"and the exit status is {EXIT_NOT_CLOSE}."
    )
    parser.add_argument("model", help="folder name in the weights directory, or a folder")
    parser.add_argument("--format", required=True, choices=[each.value for each in ExportFormat])
    parser.add_argument("--precision", help="openvino: f32, bf16; litert: f32, f16, int8; coreml: f16, f32")
    parser.add_argument("--data", type=Path, help="data set: its val split is compared, its train split calibrates")
    parser.add_argument("--video", type=Path, help="where there is no data set: a video of people (default: a sample)")
    parser.add_argument("--clips", type=positive, help=f"how many to compare (data: all, video: {FROM_VIDEO})")
    parser.add_argument("--output", type=Path, help="folder for the export's folder (default: exports in the model's)")
    parser.add_argument(
        "--ship",
        action="store_true",
        help="openvino: put the graph, weights in half precision, beside model.keras and name it on the card instead",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow starts: its remarks would break the bars
    settings = load_settings()
    card, form = read_card(model_folder(settings, arguments.model)), ExportFormat(arguments.format)
    checked_precision(FORMATS[form], arguments.precision)  # before clips are looked for
    clips, calibration = _clips(arguments, card, calibrated=form is ExportFormat.OPENVINO_INT8)
    threads = settings.threads or None
    job = ExportJob(card, form, clips, calibration, arguments.precision, arguments.output, threads)
    with ProgressBar("clip", arguments.quiet) as bar:
        if arguments.ship:
            return _shipped(*ship(job, bar.say, bar))
        record = export(job, bar.say, bar)
    show_table(describe(record), heading=False, least=(26,), gap="")
    say(record.folder)
    return _verdict(record)


def _shipped(card: ModelCard, parity: Parity) -> int:
    say(f"{card.folder / GRAPH_FILE}: {parity.top1_agreement:.2%} of {parity.clips} first choices are the network's")
    say(f"largest logit difference {parity.max_logit_difference:.2e}; the card names it")
    return 0


def _verdict(record: ExportRecord) -> int:
    """Says whether the service may choose the export by itself → exit status."""
    if record.parity is not None and not record.parity.passes:
        say(f"NOT USED BY DEFAULT: fewer than {LEAST_AGREEMENT:.0%} of the first choices are the network's")
        return EXIT_NOT_CLOSE
    say("may be used by default" if record.usable_by_default else "not used by default: the service does not run it")
    return 0


def _clips(arguments: argparse.Namespace, card: ModelCard, *, calibrated: bool) -> tuple[ParityClips, ParityClips]:
    """→ clips to compare on, and others to calibrate on."""
    if arguments.data is None:
        return _from_video(arguments, card, calibrated=calibrated)
    data = read_dataset(arguments.data)
    clips = dataset_clips(data, card, Split.VAL, arguments.clips)
    return clips, dataset_clips(data, card, Split.TRAIN, CALIBRATION) if calibrated else clips


def _from_video(arguments: argparse.Namespace, card: ModelCard, *, calibrated: bool) -> tuple[ParityClips, ParityClips]:
    video = arguments.video or SAMPLE
    if not video.is_file():
        raise ExportError(f"there is no video {video}: give --data or --video")
    wanted = arguments.clips or FROM_VIDEO
    finder = load_people_finder(EngineConfig.from_settings(load_settings()))
    clips = video_clips(video, finder, card, wanted * 2 if calibrated else wanted)
    if not calibrated:
        return clips, clips
    calibration, compared = clips.halves()
    return compared, calibration
