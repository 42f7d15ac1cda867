"""Reads and writes ``manifest.csv`` and ``group.json`` of the working folder's ``examples/``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.data.clip_file import ClipFormat
from models.data.tracks.track_folders import MANIFEST_FILE
from models.errors import DatasetError
from models.weights.cards import ModelInput
from pipeline.files import write_atomically

GROUP_FILE = "group.json"


class GroupFacts(BaseModel):
    """The content of ``group.json``. ``grouping``: the options of `group`, to compare."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: ModelInput
    grouping: str
    format: ClipFormat


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """One row of ``manifest.csv``. ``filled``: samples before oversampling."""

    name: str
    video: str
    track_id: int
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    filled: int


def read_group_facts(root: Path) -> GroupFacts:
    """Raises DatasetError."""
    try:
        return GroupFacts.model_validate_json((root / GROUP_FILE).read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"{root / GROUP_FILE} does not exist; `actoscope dataset group` makes it") from None
    except (OSError, ValidationError) as error:
        raise DatasetError(f"{root / GROUP_FILE} cannot be read: {error}") from error


def read_rows(root: Path) -> tuple[ExampleRow, ...]:
    """Raises DatasetError naming file and line."""
    path = root / MANIFEST_FILE
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            return tuple(_parsed(cells, f"{path}:{reader.line_num}") for cells in reader)
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist; `actoscope dataset group` makes it") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _parsed(cells: Mapping[str, str], where: str) -> ExampleRow:
    try:
        track_id, start, end = (int(cells[name]) for name in ("track_id", "start_frame", "end_frame"))
        times_s = float(cells["start_s"]), float(cells["end_s"])
        return ExampleRow(cells["name"], cells["video"], track_id, start, end, *times_s, int(cells["filled"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{where}: expected {', '.join(_COLUMNS)}: {error}") from error


_COLUMNS = tuple(field.name for field in fields(ExampleRow))


def write_rows(root: Path, rows: Iterable[ExampleRow]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(astuple(row) for row in rows)
    write_atomically(root / MANIFEST_FILE, text.getvalue())
