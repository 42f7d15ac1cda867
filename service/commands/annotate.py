"""``actoscope annotate``: a video file or a camera → an overlay video and its messages."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.entities import Zone
from pipeline.form.exercises import CHOICES
from pipeline.form.watch import FormConfig
from pipeline.sources.options import SNAPSHOT_S
from pipeline.sources.url import ALLOWED_SCHEMES, SourcePolicy, SourceUrl
from pipeline.sources.video_source import SourceOptions
from service.bodies import Zones
from service.budget.plan import QUICK_FILE
from service.catalogue import check_form
from service.commands.exit_status import EXIT_FAILED, EXIT_INTERRUPTED
from service.commands.options import model_folder, positive
from service.commands.printing import say
from service.commands.progress import ProgressBar
from service.commands.runtime_option import add_runtime
from service.configuration import EngineConfig, StagesConfig, read_form
from service.errors_base import InvalidRequest, Wrong, shown
from service.offline.annotate import AnnotateJob, annotate
from service.settings import Settings, load_settings

_NO_FILE_NAME = re.compile(r"[^\w.-]+")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", help="a file, or a URL that the service takes (rtsp, http, file, v4l2, usb)")
    parser.add_argument(
        "--output",
        type=Path,
        help="overlay video (MP4); default: VIDEO.actoscope.mp4 beside it, HOST.actoscope.mp4 here for a camera",
    )
    parser.add_argument("--events", type=Path, help="messages of the websocket, one JSON object a line")
    parser.add_argument(
        "--seconds", type=positive_seconds, default=float("inf"), help="end after so much of the video (default: all)"
    )
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp", help="of RTSP media (default: tcp)")
    parser.add_argument(
        "--snapshot-seconds",
        type=snapshot_seconds,
        default=1.0,
        help="between pictures of an HTTP camera that sends single ones (default: 1)",
    )
    parser.add_argument(
        "--no-tls-verify",
        action="store_true",
        help="take any certificate of a camera (tls_verify=false)",
    )
    parser.add_argument("--model", help="folder name in the weights directory, or a folder")
    parser.add_argument(
        "--tier",
        choices=("full", "light"),
        default="full",
        help="which of the model's networks: its own, or the lighter one with fewer detections (default: full)",
    )
    add_runtime(parser)
    parser.add_argument(
        "--hop",
        type=positive,
        help="the network's own crops between two clips (default: as ACTOSCOPE_CLIP_HOP says, 25 a second)",
    )
    parser.add_argument("--zones", type=Path, help="zones to draw and to name in the messages: JSON as for PUT …/zones")
    parser.add_argument(
        "--exercise", choices=CHOICES, help="count its repetitions; auto: of what each person's label names"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def positive_seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text}")
    return seconds


def snapshot_seconds(text: str) -> float:
    seconds = float(text)
    if not SNAPSHOT_S[0] <= seconds <= SNAPSHOT_S[1]:
        raise argparse.ArgumentTypeError(f"expected seconds from {SNAPSHOT_S[0]:g} to {SNAPSHOT_S[1]:g}, got {text}")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    done = annotate(_job(arguments), ProgressBar("frame", arguments.quiet), _complain)
    note = " (interrupted)" if done.interrupted else ""
    say(f"{done.frames} frames{note} → {', '.join(map(str, done.written)) or 'nothing written'}")
    if done.no_labels is not None:
        say(f"no labels: {done.no_labels}")
    if done.problem is not None:
        _complain(f"{done.problem}; the files hold what came before")
        return EXIT_FAILED
    return EXIT_INTERRUPTED if done.interrupted else 0


def _complain(what: str) -> None:
    print(f"actoscope: {what}", file=sys.stderr)


def _job(arguments: argparse.Namespace) -> AnnotateJob:
    settings = load_settings()
    source = source_of(arguments.video, settings)
    output = arguments.output or default_output(source, arguments.video)
    model = None if arguments.model is None else str(model_folder(settings, arguments.model))
    engine = EngineConfig.from_settings(settings, model=model, runtime=arguments.runtime)
    light = arguments.tier == "light"
    stages = StagesConfig.from_settings(settings, engine.model_dir, hop=arguments.hop, with_light=light)
    stages = replace(
        stages,
        adaptive=source.is_live or source.options.pace == "realtime",
        form=_form(arguments.exercise, settings),
    )
    options = SourceOptions(
        arguments.transport,
        max_pixels=settings.max_pixels,
        snapshot_s=arguments.snapshot_seconds,
        tls_verify=not arguments.no_tls_verify,
        ca_file=settings.camera_ca,
    )
    zones = () if arguments.zones is None else zones_of(arguments.zones)
    job = AnnotateJob(
        source, output, arguments.events, engine, stages, seconds=arguments.seconds, options=options, zones=zones
    )
    if not light:
        return job
    stages = stages.lighter()
    return replace(
        job, engine=replace(engine, model=str(engine.model_dir.parent / stages.model)), stages=stages, plan=QUICK_FILE
    )


def _form(exercise: str | None, settings: Settings) -> FormConfig | None:
    """Raises InvalidRequest where there is no pose network, before any video is read."""
    check_form(exercise, None, settings)
    return None if exercise is None else read_form(exercise, settings.exercise_rules, None)


def zones_of(path: Path) -> tuple[Zone, ...]:
    """Raises InvalidRequest for a file that holds no zones, OSError for one that cannot be read."""
    text = path.read_bytes()
    try:
        return Zones.model_validate_json(text).entities()
    except ValidationError as error:
        raise InvalidRequest([_wrong(path, item) for item in error.errors(include_url=False)]) from None


def _wrong(path: Path, item: ErrorDetails) -> Wrong:
    place, message = ".".join([path.name, *map(str, item["loc"])]), item["msg"]
    if item["type"] == "json_invalid":
        return Wrong(place, "JSON", message.removeprefix("Invalid JSON: "))
    expected = message.removeprefix("Value error, ").removeprefix("expected ").removeprefix("Input should be ")
    return Wrong(place, expected, shown(item.get("input")))


def source_of(text: str, settings: Settings) -> SourceUrl:
    """What a person at this machine names: a file wherever it lies, or a URL. Raises SourceUrlError."""
    if Path(text).exists() or ("://" not in text and text.partition(":")[0].lower() not in ALLOWED_SCHEMES):
        return SourceUrl.from_path(text)
    hosts = frozenset(settings.hls_hosts)
    return SourceUrl.parse(text, SourcePolicy((Path("/"),), hosts, settings.max_pixels))


def default_output(source: SourceUrl, named: str) -> Path:
    """Beside a file, under the name by which it was given; in the present folder for a camera."""
    if source.scheme == "file" and source.path is not None:
        video = source.path if named.lower().startswith("file:") else Path(named)
        return video.with_name(f"{video.stem}.actoscope.mp4")
    camera = source.place if source.path is None else source.path.name
    return Path(f"{_NO_FILE_NAME.sub('-', camera).strip('-')}.actoscope.mp4")
