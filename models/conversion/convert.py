"""Converting a network for a runtime: by a child process, once, the result kept on disk.

What a runtime opens is the export in the weights folder (``actoscope export``) where there is one for these clips, else
a conversion in the cache, made at the first start under a key of everything that it depends on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.conversion.formats import FORMATS, FormatRow
from models.errors import CardError, ExportError, RuntimeUnavailableError
from models.runtimes.runner import ClipShape, Precision, RuntimeOptions
from models.weights.cards import MODEL_FILE, ModelCard
from models.weights.export_record import ExportFormat, ExportRecord, read_exports
from pipeline.files import file_sha256

WRITER_VERSION = "1"  # grows when a writer gives other files for the same network
TIMEOUT_S = 900.0
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}


@dataclass(frozen=True, slots=True)
class Converted:
    """What a runtime opens, and the precision it was written in."""

    path: Path
    precision: str


def ready(card: ModelCard, format: ExportFormat, clip_shape: ClipShape, options: RuntimeOptions) -> Converted:
    """→ an export or a conversion of the card's network, made now where there is none.

    ``auto`` is the fastest export that may be used by default, as measured when it was exported, else the format's
    first precision. Raises RuntimeUnavailableError, CardError, and ExportError when an export is damaged.
    """
    row = FORMATS[format]
    found = _export(card, row, clip_shape, options.precision)
    if found is not None:
        found.verify()
        return Converted(found.path, found.precision)
    precision = _precision(row, options.precision)
    cache_dir = options.cache_dir or card.folder / "converted"
    name = f"{card.name}-{row.format.value}-{precision}-{cache_key(card, clip_shape, row.packages)}"
    folder = kept(cache_dir, name, row.file, lambda fresh: convert(row, precision, card, clip_shape, fresh / row.file))
    return Converted(folder / row.file, precision)


def convert(row: FormatRow, precision: str, card: ModelCard, clip_shape: ClipShape, target: Path) -> None:
    """Write the card's network to ``target`` in a child process. Raises ExportError with the converter's words."""
    if not (card.folder / MODEL_FILE).is_file():
        raise CardError(f"{card.folder / MODEL_FILE} is missing")
    arguments = [row.format.value, precision, str(card.folder.resolve()), str(target.resolve())]
    command = [sys.executable, "-m", "models.conversion.child", *arguments, *map(str, clip_shape)]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, **_QUIET, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"exporting {card.name} to {row.format.value} took more than {TIMEOUT_S:.0f} s") from None
    if result.returncode != 0 or not target.exists():
        last = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
        raise ExportError(f"{card.name} cannot be exported to {row.format.value}: {last}")


def kept(cache_dir: Path, name: str, file: str, make: Callable[[Path], None]) -> Path:
    """→ ``cache_dir/name``, filled by ``make(folder)`` unless it holds ``file`` already.

    The folder appears by one rename; of two processes the slower one uses the faster one's. Raises
    RuntimeUnavailableError when it cannot be made or written.
    """
    folder = cache_dir / name
    if (folder / file).exists():
        return folder
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=cache_dir) as work:
            fresh = Path(work) / "fresh"
            fresh.mkdir()
            make(fresh)
            _publish(fresh, folder, file)
    except ExportError as error:
        raise RuntimeUnavailableError(str(error)) from error
    except OSError as error:
        raise RuntimeUnavailableError(f"cannot keep the converted network in {cache_dir}: {error}") from error
    return folder


def cache_key(card: ModelCard, clip_shape: ClipShape, packages: Iterable[str]) -> str:
    """Short hash of all that a conversion depends on: network, clip shape, our writers and the packages' versions."""
    path = card.folder / MODEL_FILE
    if not path.is_file():
        raise CardError(f"{path} is missing")
    parts = [file_sha256(path), "x".join(map(str, clip_shape)), WRITER_VERSION]
    parts += [f"{package}={found}" for package, found in versions(packages).items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """By package: its version, or ``none`` where it is not installed."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a machine that only runs what was converted elsewhere
            found[package] = "none"
    return found


def _export(card: ModelCard, row: FormatRow, clip_shape: ClipShape, wanted: Precision) -> ExportRecord | None:
    exports = [each for each in read_exports(card) if each.format is row.format and each.clip_shape == clip_shape]
    if wanted is not Precision.AUTO:
        return next((each for each in exports if each.precision == wanted.value), None)
    usable = [each for each in exports if each.usable_by_default and each.parity is not None]
    return min(usable, key=lambda each: each.parity.latency_ratio if each.parity else 1.0, default=None)


def _precision(row: FormatRow, wanted: Precision) -> str:
    if wanted is Precision.AUTO:
        return row.precisions[0]
    if wanted.value not in row.precisions:
        raise RuntimeUnavailableError(
            f"runtime {row.runtime} computes in {', '.join(row.precisions)}; got {wanted.value!r}"
        )
    return str(wanted.value)


def _publish(fresh: Path, folder: Path, file: str) -> None:
    """Move the finished conversion into place; when another process was first, its equal one stays."""
    try:
        fresh.rename(folder)
    except OSError:
        if not (folder / file).exists():
            raise
