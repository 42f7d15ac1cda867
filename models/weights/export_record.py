"""What is known about one export of a network: ``weights/NAME/exports/<format>-<precision>/export.json``.

The record stands beside the exported files and holds their checksums, the network that they were made from, and how
close the export comes to that network on real clips. Reading records imports no network library.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import ExportError
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard, Sha256
from pipeline.files import file_sha256

EXPORTS_FOLDER, RECORD_FILE = "exports", "export.json"
LEAST_AGREEMENT = 0.99  # share of clips with the reference's first choice below which nobody gets an export unasked
_LOG = logging.getLogger(__name__)


class ExportFormat(str, Enum):
    """What ``actoscope export`` writes."""

    OPENVINO = "openvino"
    OPENVINO_INT8 = "openvino-int8"
    ONNX = "onnx"
    LITERT = "litert"
    SAVEDMODEL = "savedmodel"
    COREML = "coreml"
    TENSORRT = "tensorrt"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parity(_Value):
    """An export held to the network in TensorFlow f32, on the same real clips in the same run.

    Differences are of logits, absolute. Accuracies are of the labelled clips, where there were some. Latencies are
    medians of one clip at a time, both networks measured in turn on ``host``.
    """

    clips: int = Field(ge=1)
    source: str  # where the clips are from
    max_logit_difference: float = Field(ge=0)
    mean_logit_difference: float = Field(ge=0)
    top1_agreement: float = Field(ge=0, le=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    reference_accuracy: float | None = Field(default=None, ge=0, le=1)
    latency_ms: float = Field(gt=0)
    reference_latency_ms: float = Field(gt=0)
    runner: str  # what ran the export: ``Runner.description``
    reference: str
    host: str

    @property
    def accuracy_change(self) -> float | None:
        """Below 0: the export is worse. None where no clip had a label."""
        if self.accuracy is None or self.reference_accuracy is None:
            return None
        return self.accuracy - self.reference_accuracy

    @property
    def latency_ratio(self) -> float:
        """Below 1: the export is faster."""
        return self.latency_ms / self.reference_latency_ms

    @property
    def passes(self) -> bool:
        return self.top1_agreement >= LEAST_AGREEMENT


class ExportRecord(_Value):
    """The content of ``export.json``. ``folder`` is added on reading.

    ``runtime`` is the name in ``models.runtimes.runner`` that loads the export, empty where nothing here does. ``file``
    is what that runtime opens, relative to ``folder`` (a folder for formats that are one). ``parity`` is None where the
    export cannot run on the machine that made it.
    """

    format_version: Literal[1] = 1
    format: ExportFormat
    precision: str = Field(min_length=1)  # of the weights on disk: f32, f16, int8
    runtime: str = ""
    file: str = Field(min_length=1)
    clip_shape: ClipShape
    batch: int | None = 1  # clips a call takes; None: any number
    model_sha256: Sha256  # of the model.keras that it was made from
    sha256: Annotated[Mapping[str, Sha256], Field(min_length=1)]  # of every file, by its path in ``folder``
    size_bytes: int = Field(ge=1)  # of all files together
    libraries: Mapping[str, str] = {}  # versions of what made it, by package
    parity: Parity | None = None
    usable_by_default: bool = False  # whether ``--runtime auto`` may choose it
    notes: tuple[str, ...] = ()  # for people
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _default_has_shown_parity(self) -> ExportRecord:
        if self.usable_by_default and not (self.parity is not None and self.parity.passes and self.runtime):
            raise ValueError(f"usable_by_default needs a runtime and a top-1 agreement of at least {LEAST_AGREEMENT}")
        return self

    @property
    def path(self) -> Path:
        """What the runtime opens."""
        return self.folder / self.file

    def verify(self) -> None:
        """Compare every file with its checksum. Raises ExportError naming the file, expected and actual sha256."""
        for name, expected in self.sha256.items():
            path = self.folder / name
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ExportError(f"{self.folder / RECORD_FILE}: sha256: {name!r} leads out of the folder")
            if not path.is_file():
                raise ExportError(f"{path} is missing: export it again")
            actual = file_sha256(path)
            if actual != expected:
                raise ExportError(f"{path} is damaged: sha256 {actual}, its record expects {expected}")


def read_export(folder: Path) -> ExportRecord:
    """Read ``export.json`` of one export. Raises ExportError with the file and what is wrong."""
    path = folder / RECORD_FILE
    try:
        record = ExportRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ExportError(f"{path}: {where}: {first['msg']}") from error
    return record.model_copy(update={"folder": folder})


def read_exports(card: ModelCard) -> list[ExportRecord]:
    """The exports in the card's folder that were made from its present network, by folder name.

    A broken or outdated one is logged and left out. Files are not hashed here: ``ExportRecord.verify`` is for whoever
    loads one.
    """
    return list(_usable(card))


def find_export(card: ModelCard, format: ExportFormat, precision: str, clip_shape: ClipShape) -> ExportRecord | None:
    """→ the card's export of this kind, its files verified; None where there is none.

    Raises ExportError when its files are damaged: whoever asked for it shall not get another in silence.
    """
    for record in read_exports(card):
        if (record.format, record.precision, record.clip_shape) == (format, precision, clip_shape):
            record.verify()
            return record
    return None


def _usable(card: ModelCard) -> Iterator[ExportRecord]:
    root = card.folder / EXPORTS_FOLDER
    folders = sorted(root.iterdir()) if root.is_dir() else []
    for folder in folders:
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            record = read_export(folder)
        except ExportError as error:
            _LOG.warning("export left out: %s", error)
            continue
        if record.model_sha256 == card.sha256[MODEL_FILE]:
            yield record
        else:
            _LOG.warning("export left out: %s was made from an earlier %s: export it again", folder, MODEL_FILE)
