"""``actoscope annotate``: one video file → an overlay video and its messages."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from service.budget.plan import QUICK_FILE
from service.commands.exit_status import EXIT_FAILED, EXIT_INTERRUPTED
from service.commands.options import model_folder, positive
from service.commands.printing import say
from service.commands.progress import ProgressBar
from service.commands.runtime_option import add_runtime
from service.configuration import EngineConfig, StagesConfig
from service.offline.annotate import AnnotateJob, annotate
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("video", type=Path)
    parser.add_argument("--output", type=Path, help="overlay video (MP4); default: VIDEO.actoscope.mp4 beside it")
    parser.add_argument("--events", type=Path, help="messages of the websocket, one JSON object a line")
    parser.add_argument("--model", help="folder name in the weights directory, or a folder")
    parser.add_argument(
        "--tier",
        choices=("full", "light"),
        default="full",
        help="which of the model's networks: its own, or the lighter one with fewer detections (default: full)",
    )
    add_runtime(parser)
    parser.add_argument("--hop", type=positive, help="crops between two classified clips (default: ACTOSCOPE_CLIP_HOP)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    done = annotate(_job(arguments), ProgressBar("frame", arguments.quiet))
    note = " (interrupted)" if done.interrupted else ""
    say(f"{done.frames} frames{note} → {', '.join(map(str, done.written)) or 'nothing written'}")
    if done.problem is not None:
        print(f"actoscope: {done.problem}; the files hold what came before", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_INTERRUPTED if done.interrupted else 0


def _job(arguments: argparse.Namespace) -> AnnotateJob:
    video: Path = arguments.video
    output = arguments.output or video.with_name(f"{video.stem}.actoscope.mp4")
    settings = load_settings()
    model = None if arguments.model is None else str(model_folder(settings, arguments.model))
    engine = EngineConfig.from_settings(settings, model=model, runtime=arguments.runtime)
    light = arguments.tier == "light"
    stages = StagesConfig.from_settings(settings, engine.model_dir, hop=arguments.hop, with_light=light)
    if not light:
        return AnnotateJob(video, output, arguments.events, engine, stages)
    stages = stages.lighter()
    return AnnotateJob(
        video,
        output,
        arguments.events,
        replace(engine, model=str(engine.model_dir.parent / stages.model)),
        stages,
        QUICK_FILE,
    )
