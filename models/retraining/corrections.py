"""Corrections as a training looks at them: ``models.data.imports.corrections`` reads the files.

One damaged folder must not keep a training from the others: such are left out, and told. (The import into a data set
refuses them instead: whoever makes one can mend the folder first.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.imports.corrections import StoredCorrection, find_corrections
from models.weights.version_names import split_version

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Correction:
    """One verdict with its clip. ``at``: when the action began, Unix seconds. ``audit``: of the random sample that is
    only ever measured on. ``model``: the alias of the network that was corrected, empty where nobody knows. ``clip``: a
    file, which may be gone.
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
    clip: Path

    @property
    def day(self) -> int:
        return int(self.at // DAY_S)

    @property
    def person(self) -> tuple[str, int]:
        return self.stream_id, self.track_id


@dataclass(frozen=True, slots=True)
class Readable:
    """``unreadable``: a line for every folder that is none of a correction."""

    corrections: tuple[Correction, ...]
    unreadable: tuple[str, ...] = ()


def read_corrections(folder: Path) -> Readable:
    """All of a folder, the oldest first. One that does not exist holds none."""
    found = find_corrections(folder)
    corrections = sorted(map(_correction, found.corrections), key=lambda each: (each.at, each.id))
    return Readable(tuple(corrections), found.unreadable)


def cameras(corrections: Sequence[Correction]) -> dict[str, str]:
    """→ the newest name of each camera by its id."""
    return {each.stream_id: each.camera for each in corrections}


def _correction(stored: StoredCorrection) -> Correction:
    facts = stored.facts
    return Correction(
        id=facts.id,
        stream_id=facts.stream_id,
        camera=facts.stream_name or facts.stream_id,
        track_id=facts.track_id,
        group=facts.group,
        at=facts.began,
        start_s=facts.start_s,
        end_s=facts.end_s,
        label=facts.label,
        verdict=facts.verdict,
        audit=facts.split == "audit",
        near_threshold=facts.near_threshold,
        sha256=facts.sha256,
        superseded=facts.superseded_by is not None,
        model=split_version(facts.model or "")[0],
        clip=stored.clip,
    )
