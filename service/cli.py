"""The command ``actoscope``: serve, annotate, weights, dataset, train, evaluate, compare, export, settings …"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from service.commands import dataset as cli_dataset
from service.commands import evaluate as cli_evaluate
from service.commands import export as cli_export
from service.commands import runtime_option as cli_runtime
from service.commands import train as cli_train
from service.commands import train_person as cli_train_person
from service.errors_base import ServiceError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Parses and runs one command. → the exit status: 0 done, 1 failed with a message, 2 usage, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    from models.errors import ModelsError  # noqa: PLC0415 - commands load only what they need
    from pipeline.errors import PipelineError  # noqa: PLC0415

    try:
        return int(arguments.run(arguments))
    except (PipelineError, ModelsError, ServiceError, OSError) as error:
        print(f"actoscope: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ModuleNotFoundError as error:
        print(f"actoscope: this command needs more packages: pip install -e '.[train]' ({error})", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="actoscope", description="Says live, for every person in view of many cameras, what that person is doing."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_annotate(commands)
    _add_weights(commands)
    for part in (cli_dataset, cli_train, cli_train_person, cli_evaluate, cli_export):
        part.add(commands)
    settings = commands.add_parser("settings", help="print every setting, its default and its meaning")
    settings.set_defaults(run=_settings)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run the service")
    serve.add_argument("--host", help="address to listen on (default: ACTOSCOPE_HOST or 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: ACTOSCOPE_PORT or 8000)")
    cli_runtime.add(serve)
    serve.add_argument("--sample", action="store_true", help="start with the bundled sample video as a stream")
    serve.set_defaults(run=_serve)


def _add_annotate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    annotate = commands.add_parser("annotate", help="process one video file, every frame")
    annotate.add_argument("video", type=Path)
    annotate.add_argument("--output", type=Path, help="overlay video (MP4); default: VIDEO.actoscope.mp4 beside it")
    annotate.add_argument("--events", type=Path, help="messages of the websocket, one JSON object a line")
    annotate.add_argument("--model", help="folder name in the weights directory")
    cli_runtime.add(annotate)
    annotate.add_argument(
        "--hop", type=_positive, help="crops between two classified clips (default: ACTOSCOPE_CLIP_HOP)"
    )
    annotate.add_argument("--quiet", action="store_true", help="no progress bar")
    annotate.set_defaults(run=_annotate)


def _positive(text: str) -> int:
    """→ a whole number from 1 on. Raises what argparse turns into a usage error."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _add_weights(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    weights = commands.add_parser("weights", help="fetch and list networks").add_subparsers(required=True)
    pull = weights.add_parser("pull", help="fetch and convert a published network")
    pull.add_argument("name", help="for example i3d-kinetics400")
    pull.set_defaults(run=_weights_pull)
    listing = weights.add_parser("list", help="what is in the weights directory")
    listing.set_defaults(run=_weights_list)


def _serve(arguments: argparse.Namespace) -> int:
    from service.commands.serve import serve  # noqa: PLC0415 - fastapi and sqlalchemy are only needed here

    chosen = {
        key: getattr(arguments, key) for key in ("host", "port", "runtime") if getattr(arguments, key) is not None
    }
    return serve(chosen, sample=arguments.sample)


def _annotate(arguments: argparse.Namespace) -> int:
    from service.configuration import EngineConfig, StagesConfig  # noqa: PLC0415
    from service.offline.annotate import AnnotateJob, annotate  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    video: Path = arguments.video
    output = arguments.output or video.with_name(f"{video.stem}.actoscope.mp4")
    settings = load_settings()
    engine = EngineConfig.from_settings(settings, model=arguments.model, runtime=arguments.runtime)
    stages = StagesConfig.from_settings(settings, engine.model_dir, hop=arguments.hop)
    job = AnnotateJob(video, output, arguments.events, engine, stages)
    done = annotate(job, show_progress=not arguments.quiet)
    note = " (interrupted)" if done.interrupted else ""
    print(f"{done.frames} frames{note} → {', '.join(map(str, done.written)) or 'nothing written'}", flush=True)
    if done.problem is not None:
        print(f"actoscope: {done.problem}; the files hold what came before", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_INTERRUPTED if done.interrupted else 0


def _weights_pull(arguments: argparse.Namespace) -> int:
    from models.weights.pretrained import pull  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    folder = pull(arguments.name, load_settings().weights_dir, lambda text: print(text, flush=True))
    print(folder)
    return 0


def _weights_list(_arguments: argparse.Namespace) -> int:
    from models.weights.pretrained import list_models  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    folder = load_settings().weights_dir
    cards = list_models(folder)
    for card in cards:
        print(f"{card.name}\t{len(card.labels)} labels\t{card.kind}")
    if not cards:
        print(f"no networks in {folder}; `actoscope weights pull i3d-kinetics400` fetches one", file=sys.stderr)
    return 0


def _settings(_arguments: argparse.Namespace) -> int:
    from service.settings import settings_table  # noqa: PLC0415

    print(settings_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
