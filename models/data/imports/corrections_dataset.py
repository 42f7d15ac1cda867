"""A folder of corrections → a data set: those that stand and may be trained on, in the groups that they came in."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.clip_file import read_clip
from models.data.imports.corrections import StoredCorrection, find_corrections
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, class2label, write_dataset
from models.errors import DatasetError
from models.weights.cards import ModelInput
from pipeline.files import file_sha256

CLIPS = "clips"


@dataclass(frozen=True, slots=True)
class MadeOfCorrections:
    """``left_out``: reason → number of corrections."""

    dataset: Dataset
    left_out: Mapping[str, int]


def make_dataset(root: Path, target: Path, classes: Sequence[str] = (), description: str = "") -> MadeOfCorrections:
    """Copies the clips. ``classes``: in their order; none: those that occur, sorted; others are left out.

    Groups that have a correction of the audit sample are left out whole: what is measured on must not be known by a
    neighbour. Raises DatasetError for a damaged folder, an existing target, and where nothing is left; OSError.
    """
    if target.exists():
        raise DatasetError(f"{target} exists: expected the folder of a data set that is to be made")
    found = _all_of(root)
    left_out: Counter[str] = Counter()
    audited = {each.facts.group for each in found if each.facts.split == "audit"}
    kept = [each for each in found if _stays(each, audited, classes, left_out)]
    if not kept:
        raise DatasetError(f"{root} has no correction to train on ({_told(left_out) or 'it is empty'})")
    labels = classes or sorted({each.facts.label for each in kept})
    info = DatasetInfo(class2label=class2label(labels), input=_input_of(kept[0]), description=description)
    return MadeOfCorrections(_copied(target, info, kept), left_out)


def _all_of(root: Path) -> tuple[StoredCorrection, ...]:
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder of corrections")
    found = find_corrections(root)
    if found.unreadable:
        raise DatasetError("; ".join(found.unreadable[:3]))
    return found.corrections


def _stays(each: StoredCorrection, audited: set[str], classes: Sequence[str], left_out: Counter[str]) -> bool:
    reasons = {
        "superseded": each.facts.superseded_by is not None,
        "audit sample": each.facts.split == "audit",
        "beside one of the audit sample": each.facts.group in audited,
        f"class {each.facts.label}": bool(classes) and each.facts.label not in classes,
    }
    reason = next((words for words, holds in reasons.items() if holds), None)
    if reason is not None:
        left_out[reason] += 1
    return reason is None


def _input_of(each: StoredCorrection) -> ModelInput:
    """As long as the usual network reads; the side is that of the crops."""
    side = read_clip(each.clip).shape[1]
    return ModelInput(height=side, width=side)


def _copied(target: Path, info: DatasetInfo, kept: Sequence[StoredCorrection]) -> Dataset:
    try:
        dataset = Dataset(target, info, tuple(_copies(target / CLIPS, kept)))
        write_dataset(dataset)
    except BaseException:  # half a data set would be taken for a whole one
        shutil.rmtree(target, ignore_errors=True)
        raise
    return dataset


def _copies(folder: Path, kept: Sequence[StoredCorrection]) -> Iterator[ClipRecord]:
    folder.mkdir(parents=True)
    for each in kept:
        if file_sha256(each.clip) != each.facts.sha256:
            raise DatasetError(f"{each.clip} is not the clip that was stored: its checksum is another")
        path = folder / f"{each.facts.id}{each.clip.suffix}"
        shutil.copyfile(each.clip, path)
        yield _record(path, each)


def _record(path: Path, each: StoredCorrection) -> ClipRecord:
    facts = each.facts
    return ClipRecord(
        path,
        facts.label,
        facts.group,
        video=facts.stream_id,
        track_id=facts.track_id,
        start_s=facts.start_s,
        end_s=facts.end_s,
    )


def _told(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(left_out.items()))
