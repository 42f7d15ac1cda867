"""Converting a network by a child process, and what the result depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.conversion.formats import FormatRow
from models.errors import CardError, ExportError
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from pipeline.errors import ChildError
from pipeline.files import file_sha256
from pipeline.python_child import run_python

WRITER_VERSION = "1"  # grows when a writer gives other files for the same network
TIMEOUT_S = 900.0
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}


def convert(row: FormatRow, precision: str, card: ModelCard, clip_shape: ClipShape, target: Path) -> None:
    """Write the card's network to ``target`` in a child process. Raises ExportError with the converter's words."""
    if not (card.folder / MODEL_FILE).is_file():
        raise CardError(f"{card.folder / MODEL_FILE} is missing")
    job = [row.format.value, precision, str(card.folder.resolve()), str(target.resolve()), *map(str, clip_shape)]
    try:
        run_python(["-m", "models.conversion.child", *job], timeout_s=TIMEOUT_S, environment=_QUIET)
    except ChildError as error:
        if error.timed_out:
            late = f"exporting {card.name} to {row.format.value} took more than {TIMEOUT_S:.0f} s"
            raise ExportError(late) from None
        raise ExportError(f"{card.name} cannot be exported to {row.format.value}: {error}") from None
    if not target.exists():
        raise ExportError(f"{card.name} cannot be exported to {row.format.value}: the converter wrote nothing")


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
