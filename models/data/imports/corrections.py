"""Corrections: what people said of events, each with the clip that it is about, as the service keeps them.

    FOLDER/<id>/clip.mp4     crops of one person from a clean recording, 64 of them and a second on either side
    FOLDER/<id>/label.json   ``CorrectionFacts``

A folder is written under another name and renamed when both files are there, so one that exists is whole; of
``label.json`` only ``superseded_by`` changes later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import DatasetError
from pipeline.files import write_atomically

CLIP_FILE, LABEL_FILE = "clip.mp4", "label.json"


class CorrectionFacts(BaseModel):
    """The content of ``label.json``. ``…_s`` is media time, ``started_at`` (of the event) and ``at`` RFC 3339.

    ``said``: what the network said; ``label``: what it was. ``split`` audit: nothing may be trained on it. No ``group``
    may be torn apart. ``model_version``: the network as events name it; ``model``: which of its versions whatever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    id: str
    event_id: str
    stream_id: str
    stream_name: str
    track_id: int
    group: str
    start_s: float
    end_s: float
    started_at: str
    label: str = Field(pattern=r"\S")
    said: str
    verdict: Literal["right", "wrong"]
    by: str
    at: str
    model: str | None
    model_version: str | None
    split: Literal["train", "audit"]
    near_threshold: bool
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the clip
    superseded_by: str | None = None


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
    """Raises DatasetError naming the file."""
    path = folder / LABEL_FILE
    try:
        return CorrectionFacts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def read_corrections(root: Path) -> Iterator[StoredCorrection]:
    """Every finished folder, in the order of their names. Raises DatasetError for one that is damaged, or no folder."""
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder of corrections")
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        yield StoredCorrection(folder, read_facts(folder))
