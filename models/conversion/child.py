"""One conversion, run as ``python -m models.conversion.child FORMAT PRECISION FOLDER TARGET T H W C``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from models.conversion.formats import FORMATS
from models.conversion.telemetry import silence
from models.weights.export_record import ExportFormat

_LINES = 3  # of a converter's message: the first say what is wrong, hundreds more where


def main(arguments: Sequence[str]) -> int:
    """→ exit status; what went wrong is the last line of stderr."""
    format, precision, folder, target, *shape = arguments
    frames, height, width, channels = map(int, shape)
    silence()
    try:
        writer = importlib.import_module(FORMATS[ExportFormat(format)].writer)
        writer.write(Path(folder), Path(target), (frames, height, width, channels), precision)
    except Exception as error:  # noqa: BLE001 - this process's outermost frame
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(f"{type(error).__name__}: {' | '.join(lines[:_LINES])}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
