"""A data set of per-person clips on disk: ``dataset.json``, ``manifest.csv`` and the clip files beside them.

``dataset.json`` fixes the classes and their order once (``class2label``) and the form of every clip; training copies
both into the model, so that neither can drift. ``manifest.csv`` has one row a clip, its path relative to the folder.
"""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models.data.class_names import unify
from models.data.spreadsheet import TableRow, read_table
from models.errors import DatasetError
from models.weights.cards import ModelInput
from pipeline.files import write_atomically

_LOG = logging.getLogger(__name__)
DATASET_FILE, MANIFEST_FILE = "dataset.json", "manifest.csv"


class Split(str, Enum):
    """Which part of the work a clip serves. ``NONE``: not decided yet."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = ""


_SPLIT_WORDS = {
    "": Split.NONE,
    **dict.fromkeys(("train", "training"), Split.TRAIN),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), Split.VAL),
    **dict.fromkeys(("test", "testing"), Split.TEST),
}


def split_named(text: str) -> Split:
    """The split that people mean by a word, in any case. Raises ValueError for another word."""
    found = _SPLIT_WORDS.get(text.strip().casefold())
    if found is None:
        raise ValueError(f"expected the split train, val or test, got {text!r}")
    return found


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One row of ``manifest.csv``: one labelled clip of one person.

    ``path`` is absolute in memory and relative to the data set's folder on disk. ``group`` names what clips share
    (source video, camera, person): no group may lie in two splits. ``start_s`` and ``end_s`` are media time in
    ``video``. ``filled`` counts the real crops, before back-and-forth play.
    """

    path: Path
    label: str
    group: str
    split: Split = Split.NONE
    video: str = ""
    track_id: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    filled: int = 0


class DatasetInfo(BaseModel):
    """The content of ``dataset.json``. ``class2label`` maps class name → index of its logit: 0 … C-1, each once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    class2label: Mapping[Annotated[str, Field(pattern=r"\S")], int]
    input: ModelInput = ModelInput()
    description: str = ""  # origin and licence of the videos, for the model's card

    @field_validator("class2label")
    @classmethod
    def _complete(cls, value: Mapping[str, int]) -> Mapping[str, int]:
        if sorted(value.values()) != list(range(len(value))):
            raise ValueError(f"class2label must number the classes 0 to {len(value) - 1}, each once; got {dict(value)}")
        return value

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return tuple(sorted(self.class2label, key=self.class2label.__getitem__))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in memory: what its files say, paths absolute. Pixels stay on disk."""

    folder: Path
    info: DatasetInfo
    records: tuple[ClipRecord, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.info.labels

    def of(self, split: Split) -> tuple[ClipRecord, ...]:
        return tuple(record for record in self.records if record.split is split)

    def targets(self, records: Sequence[ClipRecord]) -> list[int]:
        """→ class index of each record."""
        return [self.info.class2label[record.label] for record in records]


def class2label(labels: Iterable[str]) -> dict[str, int]:
    """Class names in the order wanted → index by name. Raises DatasetError when one is repeated or empty."""
    names = list(labels)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 or not name.strip())
    if repeated:
        raise DatasetError(f"class names must be unique and not empty, got {', '.join(map(repr, repeated))}")
    return {name: index for index, name in enumerate(names)}


def read_dataset(folder: Path, manifest_file: str = MANIFEST_FILE) -> Dataset:
    """Read both files and check them. Raises DatasetError naming the file, the line and what was expected."""
    path = folder / DATASET_FILE
    try:
        info = DatasetInfo.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: {folder} is no data set (`actoscope dataset` makes one)") from None
    except (OSError, ValidationError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    manifest = folder / manifest_file
    required = ("path", "label", "group", "split")
    records = tuple(_record(row, folder) for row in read_table(manifest, _COLUMNS, required, exact=True))
    return Dataset(folder, info, _known_labels(records, info, manifest))


def write_dataset(dataset: Dataset) -> None:
    """Write both files, each whole or not at all, rows in the order given. Raises DatasetError for a foreign path."""
    dataset.folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for record in dataset.records:
        writer.writerow(_row(record, dataset.folder))
    write_atomically(dataset.folder / DATASET_FILE, dataset.info.model_dump_json(indent=2) + "\n")
    write_atomically(dataset.folder / MANIFEST_FILE, text.getvalue())


_COLUMNS = tuple(field.name for field in fields(ClipRecord))


def _record(row: TableRow, folder: Path) -> ClipRecord:
    """Names of files, videos and groups stay as they are written."""
    path = row.cells["path"]
    if not path:
        raise DatasetError(f"{row.where}: path is empty")
    try:
        return ClipRecord(
            folder / path,
            row.cells.get("label", "").strip(),
            row.cells.get("group", ""),
            split_named(row.cells.get("split", "")),
            row.cells.get("video", ""),
            row.whole_number("track_id", empty=0),
            row.number("start_s", empty=0),
            row.number("end_s", empty=0),
            row.whole_number("filled", empty=0),
        )
    except ValueError as error:
        raise DatasetError(f"{row.where}: {error}") from error


def _known_labels(records: tuple[ClipRecord, ...], info: DatasetInfo, manifest: Path) -> tuple[ClipRecord, ...]:
    """The labels as ``info`` writes them. Raises DatasetError for those that it has not."""
    foreign = [record.label for record in records if record.label and record.label not in info.class2label]
    if not foreign:
        return records
    unified = unify(foreign, info.labels)
    unknown = sorted(set(unified.names.values()) - set(info.class2label))
    if unknown:
        raise DatasetError(f"{manifest} has labels that {DATASET_FILE} does not: {', '.join(unknown)}")
    for note in unified.notes:
        _LOG.warning("%s: %s", manifest, note)
    names = {**{label: label for label in info.labels}, **unified.names}  # a label that nobody sees is none
    return tuple(replace(record, label=names.get(record.label, "")) for record in records)


def _row(record: ClipRecord, folder: Path) -> tuple[object, ...]:
    try:
        path = record.path.relative_to(folder).as_posix()
    except ValueError:
        raise DatasetError(f"{record.path} does not lie in the data set's folder {folder}") from None
    times = (round(record.start_s, 3), round(record.end_s, 3))
    head = (path, record.label, record.group, record.split.value, record.video)
    return (*head, record.track_id, *times, record.filled)
