"""Verdicts of people as they lie on disk: ``<corrections>/<id>/label.json`` and the clip beside it.

Whoever writes them writes a folder whole or not at all; what lies there half is told and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.data.clip_file import CLIP_SUFFIXES
from models.data.imports.corrections import LABEL_FILE
from models.weights.version_names import split_version

CLIP_STEM = "clip"
DAY_S = 86_400.0


class _Form(BaseModel):
    """``label.json``; fields that training has no use for are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]  # becomes a file's name
    stream_id: str
    stream_name: str = ""
    track_id: int = 0
    group: str
    started_at: AwareDatetime
    start_s: float = 0.0
    end_s: float = 0.0
    label: str | None = None
    verdict: Literal["right", "wrong", "unsure"]
    split: Literal["train", "audit"]
    near_threshold: bool = False
    sha256: str
    superseded_by: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """One verdict with its clip. ``at``: when the action began, Unix seconds. ``audit``: of the random sample that is
    only ever measured on. ``model``: the alias of the network that was corrected, empty where nobody knows. ``clip``: a
    file, or a folder of pictures; None where there is none.
    """

    id: str
    stream_id: str
    camera: str
    track_id: int
    group: str
    at: float
    start_s: float
    end_s: float
    label: str
    verdict: str
    audit: bool
    near_threshold: bool
    sha256: str
    superseded: bool
    model: str
    clip: Path | None

    @property
    def day(self) -> int:
        return int(self.at // DAY_S)

    @property
    def person(self) -> tuple[str, int]:
        return self.stream_id, self.track_id


@dataclass(frozen=True, slots=True)
class Found:
    """``unreadable``: a line for every folder that is none of a correction."""

    corrections: tuple[Correction, ...]
    unreadable: tuple[str, ...] = ()


def read_corrections(folder: Path) -> Found:
    """All of a folder, the oldest first. One that does not exist holds none."""
    if not folder.is_dir():
        return Found(())
    found, unreadable = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            form = _Form.model_validate_json((path / LABEL_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            unreadable.append(f"{path.name}: {_first_words(error)}")
            continue
        found.append(_correction(form, path))
    return Found(tuple(sorted(found, key=lambda each: (each.at, each.id))), tuple(unreadable))


def cameras(corrections: Sequence[Correction]) -> dict[str, str]:
    """→ the newest name of each camera by its id."""
    return {each.stream_id: each.camera for each in corrections}


def _correction(form: _Form, folder: Path) -> Correction:
    return Correction(
        id=form.id,
        stream_id=form.stream_id,
        camera=form.stream_name or form.stream_id,
        track_id=form.track_id,
        group=form.group,
        at=form.started_at.timestamp(),
        start_s=form.start_s,
        end_s=form.end_s,
        label=(form.label or "").strip(),
        verdict=form.verdict,
        audit=form.split == "audit",
        near_threshold=form.near_threshold,
        sha256=form.sha256,
        superseded=form.superseded_by is not None,
        model=split_version(form.model or "")[0],
        clip=_clip_in(folder),
    )


def _clip_in(folder: Path) -> Path | None:
    names = [folder / f"{CLIP_STEM}{suffix}" for suffix in CLIP_SUFFIXES]
    files = [path for path in names if path.is_file()]
    pictures = folder / CLIP_STEM
    return files[0] if files else pictures if pictures.is_dir() else None


def _first_words(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or LABEL_FILE}: {first['msg']}"
