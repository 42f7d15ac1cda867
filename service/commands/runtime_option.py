"""The option ``--runtime`` of the commands that run networks."""

from __future__ import annotations

import argparse

from models.errors import RuntimeUnavailableError
from models.runtimes.runner import parse_runtime


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Adds ``--runtime NAME[:PRECISION]``."""
    parser.add_argument(
        "--runtime",
        type=_runtime,
        metavar="NAME[:PRECISION]",
        help="how networks are run: auto (measures what is installed), tensorflow, tensorflow-xla, openvino, onnx, "
        "litert or savedmodel, with a precision if wanted, as in openvino:int8 (default: ACTOSCOPE_RUNTIME or auto)",
    )


def _runtime(text: str) -> str:
    try:
        parse_runtime(text)
    except RuntimeUnavailableError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
