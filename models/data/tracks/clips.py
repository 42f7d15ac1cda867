"""``actoscope dataset clips``: examples → a data set to train on, with ``trainlist.txt`` and ``vallist.txt``.

Of each example the first 64 samples become a clip, and where it is longer, the last 64 as well; a shorter one is played
back and forth. With ``whole`` an example becomes one clip as long as it is, in which training moves its window.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.data.balance import refuse_balanced
from models.data.class_names import unify
from models.data.clip_file import Clip, ClipFormat, clip_name, write_clip
from models.data.folder_names import FolderNames
from models.data.imports.motchallenge import raise_problems
from models.data.manifest import (
    DATASET_FILE,
    MANIFEST_FILE,
    ClipRecord,
    Dataset,
    DatasetInfo,
    Split,
    class2label,
    read_dataset,
    write_dataset,
)
from models.data.tracks.group import Example
from models.data.tracks.track_folders import safe_name
from models.errors import DatasetError
from models.weights.cards import ModelInput
from pipeline.clips import back_and_forth
from pipeline.files import write_atomically

_LOG = logging.getLogger(__name__)
DATASET_FOLDER, CLIPS_FOLDER = "dataset", "clips"
LIST_FILES = {Split.TRAIN: "trainlist.txt", Split.VAL: "vallist.txt", Split.TEST: "testlist.txt"}
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class LabelledExample:
    """An example with what is needed to make clips of it. ``read``: → its ``samples``, uint8 (T, S, S, 3) RGB."""

    example: Example
    samples: int
    filled: int  # of them real, not repeated by back-and-forth play
    changed_at: float  # Unix time at which its pixels last changed
    read: Callable[[], Clip]


@dataclass(frozen=True)
class ClipsConfig:
    """What is written. ``classes``: their order; empty takes an earlier run's, or the alphabet's."""

    input: ModelInput = field(default_factory=ModelInput)
    whole: bool = False
    format: ClipFormat = ClipFormat.H264
    classes: tuple[str, ...] = ()
    description: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """One clip to write: which samples of which example, and its row."""

    source: LabelledExample
    indices: tuple[int, ...]
    record: ClipRecord


def make_clips(
    examples: Sequence[LabelledExample],
    folder: Path,
    config: ClipsConfig,
    report: Progress,
    failed: list[str],
    unread: Collection[str] = (),
) -> Dataset:
    """Write the clips that are not there yet, then the lists and both files of the data set → the data set.

    Examples that cannot be read are added to ``failed``; what an earlier run made of them, and of the videos and
    examples named ``unread``, stays as it was.
    Raises DatasetError listing what does not fit: classes in another order than before, a group in two splits; or what
    failed, where no clip can be made.
    """
    before = _before(folder, config)
    examples = _one_name_each(examples, config.classes or (before.labels if before else ()))
    if not examples:
        raise_problems(failed)
        raise DatasetError("there is no labelled example: fill the table of `actoscope dataset label`, or sort by hand")
    folders = _folders(folder, before)
    parts = _with_old_splits([part for item in examples for part in _parts(item, folders, folder, config)], before)
    kept = _kept(before, unread, parts, config)
    info = DatasetInfo(
        class2label=_classes({record.label for record in (*kept, *(part.record for part in parts))}, config, before),
        input=config.input,
        description=config.description or (before.info.description if before else ""),
    )
    raise_problems(_problems(parts, kept))
    folders.save()
    made, lost = _write_all(parts, config, report, failed)
    if not made:
        raise_problems(failed)
    dataset = Dataset(folder, info, (*made, *kept, *_older(before, lost, info)))
    write_dataset(dataset)
    write_lists(dataset)
    _sweep(before, dataset)
    return dataset


def _write_all(
    parts: Sequence[_Part], config: ClipsConfig, report: Progress, failed: list[str]
) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """→ the rows of the clips that are there now, and of those that could not be made, which ``failed`` tells of."""
    made, lost = list[ClipRecord](), list[ClipRecord]()
    for number, part in enumerate(parts):
        report("clips", number, len(parts))
        try:
            _write(part, config)
            made.append(part.record)
        except DatasetError as error:
            failed.append(str(error))
            lost.append(part.record)
    report("clips", len(parts), len(parts))
    return made, lost


def _kept(
    before: Dataset | None, unread: Collection[str], parts: Iterable[_Part], config: ClipsConfig
) -> list[ClipRecord]:
    """The rows of an earlier run for what cannot be read now; a group that others are in lies where these lie now.

    Raises DatasetError when all clips are to have another form.
    """
    names = set(unread)
    rows = [row for row in before.records if {row.video, _example_name(row.path)} & names] if before else []
    if before is None or not rows:
        return []
    if before.info.input != config.input:
        raise DatasetError(f"{len(rows)} clips cannot be made anew: {', '.join(sorted(names))} cannot be read")
    splits = {part.record.group: part.record.split for part in parts}
    labels = unify((row.label for row in rows), config.classes or before.labels).names
    return [
        replace(row, label=labels.get(row.label, row.label), split=splits.get(row.group, row.split)) for row in rows
    ]


def _example_name(clip: Path) -> str:
    return clip.stem.removesuffix("_first").removesuffix("_last")


def _older(before: Dataset | None, lost: Iterable[ClipRecord], info: DatasetInfo) -> list[ClipRecord]:
    """What an earlier run made of the same samples, with its label, in the group and split of now."""
    if before is None or before.info.input != info.input:
        return []
    labels = unify((row.label for row in before.records), info.labels).names
    known = {
        row.path.stem: replace(row, label=labels[row.label])
        for row in before.records
        if labels.get(row.label) in info.class2label and row.path.exists()
    }
    return [replace(known[row.path.stem], group=row.group, split=row.split) for row in lost if row.path.stem in known]


def _one_name_each(examples: Sequence[LabelledExample], known: Sequence[str]) -> list[LabelledExample]:
    """The classes have the names ``known`` where they are among these, else one name each (``class_names``).

    Without those whose label is nothing that the eye sees.
    """
    unified = unify((item.example.label for item in examples), known)
    for note in unified.notes:
        _LOG.warning("%s", note)
    named = [(item, unified.names.get(item.example.label, "")) for item in examples]
    return [replace(item, example=replace(item.example, label=label)) for item, label in named if label]


def _before(folder: Path, config: ClipsConfig) -> Dataset | None:
    """What an earlier run left. Raises DatasetError when its clips were cut in another way."""
    if not (folder / DATASET_FILE).is_file() or not (folder / MANIFEST_FILE).is_file():
        return None
    refuse_balanced(folder)
    before = read_dataset(folder)
    if before.info.input != config.input and not config.overwrite:
        raise DatasetError(
            f"{folder} was made with {before.info.input}, now {config.input}: take another folder, or --overwrite"
        )
    return before


def _with_old_splits(parts: Sequence[_Part], before: Dataset | None) -> list[_Part]:
    """Clips that the labels put in no split follow their group of an earlier run: `dataset split` has placed it."""
    splits = {record.group: record.split for record in before.records} if before else {}
    return [
        replace(part, record=replace(part.record, split=splits.get(part.record.group, Split.NONE)))
        if part.record.split is Split.NONE
        else part
        for part in parts
    ]


def _classes(labels: set[str], config: ClipsConfig, before: Dataset | None) -> Mapping[str, int]:
    """Class name → index. The order, once given, only changes when a person asks for another one."""
    if config.classes:
        _check_known(labels, config.classes)
        return class2label(config.classes)
    if before is None:
        return class2label(sorted(labels))
    if set(before.labels) != labels:
        raise DatasetError(
            f"the data set knows the classes {','.join(before.labels)}, the examples have {','.join(sorted(labels))}: "
            "fix their order anew with --classes, or leave some out with --exclude"
        )
    return before.info.class2label


def _check_known(labels: set[str], classes: Sequence[str]) -> None:
    unknown, unused = sorted(labels - set(classes)), sorted(set(classes) - labels)
    raise_problems(
        [f"label {label!r} is not among --classes {','.join(classes)} (--exclude leaves it out)" for label in unknown]
        + [f"class {label!r} has no example" for label in unused]
    )


def _folders(folder: Path, before: Dataset | None) -> FolderNames:
    """The classes' folders; without a file that names them, those where the clips of an earlier run lie."""
    held = ((record.path.parent.name, record.label) for record in (before.records if before else ()))
    return FolderNames.with_clips(folder / CLIPS_FOLDER, safe_name, held)


def _parts(item: LabelledExample, folders: FolderNames, folder: Path, config: ClipsConfig) -> Iterator[_Part]:
    for suffix, indices in clip_indices(item.samples, config.input.frames, whole=config.whole):
        example = item.example
        name = clip_name(example.name + suffix, config.format)
        path = folder / CLIPS_FOLDER / folders.folder_of(example.label) / name
        filled = min(item.filled, len(indices))
        record = ClipRecord(
            path,
            example.label,
            example.group,
            example.split,
            example.video,
            example.track_id,
            *_times(item, indices),
            filled,
        )
        yield _Part(item, tuple(indices), record)


def clip_indices(samples: int, length: int, *, whole: bool) -> list[tuple[str, list[int]]]:
    """Which samples of an example make which clip → (suffix of its name, indices) of each."""
    if whole:
        return [("", list(range(samples)))]
    if samples <= length:
        return [("_first", back_and_forth(samples, length))]
    return [("_first", list(range(length))), ("_last", list(range(samples - length, samples)))]


def _times(item: LabelledExample, indices: Sequence[int]) -> tuple[float, float]:
    """Media time of the part's first and last sample; an example's samples are evenly spread over its time."""
    example = item.example
    step_s = (example.end_s - example.start_s) / max(1, item.samples - 1) if item.samples == item.filled else 0.0
    if not step_s:
        return example.start_s, example.end_s
    return example.start_s + min(indices) * step_s, example.start_s + max(indices) * step_s


def _problems(parts: Sequence[_Part], kept: Sequence[ClipRecord]) -> list[str]:
    """Clips of one name, and groups that lie in several splits."""
    splits: dict[str, set[str]] = {}
    for record in (*(part.record for part in parts), *kept):
        splits.setdefault(record.group, set()).add(record.split.value or "none")
    leaks = [
        f"group {name!r} lies in the splits {', '.join(sorted(some))}" for name, some in splits.items() if len(some) > 1
    ]
    names = [part.record.path.stem for part in parts]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    return leaks + [f"{name}: two examples have this name" for name in twice]


def _write(part: _Part, config: ClipsConfig) -> None:
    """Write a clip unless it is there and newer than what it is made from."""
    path = part.record.path
    if not config.overwrite and path.exists() and path.stat().st_mtime >= part.source.changed_at:
        return
    clip = part.source.read()[list(part.indices)]
    write_clip(path, clip, config.input.rate_hz, config.format)


def write_lists(dataset: Dataset) -> None:
    """``trainlist.txt``, ``vallist.txt`` (and ``testlist.txt``, where there is a test split): path and class a line."""
    for split, name in LIST_FILES.items():
        records = dataset.of(split)
        path = dataset.folder / name
        if split is Split.TEST and not records:
            path.unlink(missing_ok=True)
            continue
        lines = zip(records, dataset.targets(records), strict=True)
        rows = (f"{record.path.relative_to(dataset.folder).as_posix()} {target}\n" for record, target in lines)
        write_atomically(path, "".join(rows))


def refresh_lists(dataset: Dataset) -> None:
    """Write the lists again where there are some, after a change of splits."""
    if (dataset.folder / LIST_FILES[Split.TRAIN]).is_file():
        write_lists(dataset)


def _sweep(before: Dataset | None, now: Dataset) -> None:
    """Remove clips that an earlier run wrote and this one does not have: their label or range was changed."""
    kept = {record.path for record in now.records}
    for path in {record.path for record in before.records} - kept if before else ():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
