"""Corrections: what people said of events, each with the clip that it is about, as the service keeps them.

    FOLDER/<id>/clip.mp4     crops of one person from a clean recording, 64 of them and a second on either side
    FOLDER/<id>/label.json   ``CorrectionFacts``

A folder is written under another name and renamed when both files are there, so one that exists is whole; of
``label.json`` only ``superseded_by`` changes later. Whoever writes such folders himself, such as a benchmark, writes
all fields too: there is one reader, and no second form of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import DatasetError
from pipeline.files import write_atomically

CLIP_FILE, LABEL_FILE = "clip.mp4", "label.json"
_MOMENT = TypeAdapter[datetime](AwareDatetime)


def _moment(text: str) -> str:
    """Kept as it was written: a file that is written anew stays the same but for what changed."""
    try:
        _MOMENT.validate_python(text)
    except ValidationError:
        raise ValueError(f"expected a time with its offset, such as 2026-05-04T03:02:01Z, got {text}") from None
    return text


Moment = Annotated[str, AfterValidator(_moment)]


class CorrectionFacts(BaseModel):
    """The content of ``label.json``. ``…_s`` is media time, ``started_at`` (of the event) and ``at`` RFC 3339.

    ``said``: what the network said; ``label``: what it was. ``split`` audit: nothing may be trained on it. No ``group``
    may be torn apart. ``model_version``: the network as events name it; ``model``: which of its versions whatever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")  # becomes a file's name
    event_id: str
    stream_id: str
    stream_name: str
    track_id: int
    group: str
    start_s: float
    end_s: float
    started_at: Moment
    label: str = Field(pattern=r"\S")
    said: str
    verdict: Literal["right", "wrong"]
    by: str
    at: Moment
    model: str | None
    model_version: str | None
    split: Literal["train", "audit"]
    near_threshold: bool
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the clip
    superseded_by: str | None = None

    @property
    def began(self) -> float:
        """When the event began, Unix seconds."""
        return _MOMENT.validate_python(self.started_at).timestamp()


@dataclass(frozen=True, slots=True)
class StoredCorrection:
    """One folder."""

    folder: Path
    facts: CorrectionFacts

    @property
    def clip(self) -> Path:
        return self.folder / CLIP_FILE


def write_facts(folder: Path, facts: CorrectionFacts) -> None:
    """Whole or not at all. Raises OSError."""
    write_atomically(folder / LABEL_FILE, facts.model_dump_json(indent=2) + "\n")


def read_facts(folder: Path) -> CorrectionFacts:
    """Raises DatasetError naming the file, and the first field that is not as expected."""
    path = folder / LABEL_FILE
    try:
        return CorrectionFacts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise DatasetError(f"{path} cannot be read: {field}{': ' if field else ''}{first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Found:
    """``corrections`` in the order of their folders' names; ``unreadable``: a line for every folder that is none."""

    corrections: tuple[StoredCorrection, ...]
    unreadable: tuple[str, ...] = ()


def find_corrections(root: Path) -> Found:
    """Every finished folder of ``root``; none where there is no such folder. Hidden ones are half written."""
    folders = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    found, unreadable = [], []
    for folder in sorted(path for path in folders if path.is_dir()):
        try:
            found.append(StoredCorrection(folder, read_facts(folder)))
        except DatasetError as error:
            unreadable.append(str(error))
    return Found(tuple(found), tuple(unreadable))
