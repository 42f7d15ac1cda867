"""The working folder's ``examples/``: what `group` writes, `oversample` extends, and a person sorts into classes.

    WORK/examples/<example>/000001.jpg …    or <example>.mp4, .mkv, as the tracks are: one picture a sample
    WORK/examples/<Class>/<example>…        sorted by hand (or by `group --sort`): the folder is the label
    WORK/examples/folders.json              which class a folder stands for, where `group --sort` made it
    WORK/examples/manifest.csv, group.json  which person and frames each example shows, and how they were cut

An example's name says where it comes from; it may be moved and deleted, not renamed.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import av

from models.data.class_names import same_class
from models.data.clip_file import CLIP_SUFFIXES, ClipFormat, clip_name, read_clip, write_clip
from models.data.folder_names import FolderNames
from models.data.imports.motchallenge import raise_problems
from models.data.tracks.clips import LabelledExample
from models.data.tracks.example_manifest import (
    GROUP_FILE,
    ExampleRow,
    GroupFacts,
    read_group_facts,
    read_rows,
    write_rows,
)
from models.data.tracks.group import Example, label_of
from models.data.tracks.labelled_examples import Collected
from models.data.tracks.labels_csv import LabelRow, rows_by_clip
from models.data.tracks.track_folders import MANIFEST_FILE, VideoTracks, picture_path, read_crops, safe_name
from models.errors import DatasetError
from pipeline.clips import back_and_forth
from pipeline.files import write_atomically

EXAMPLES_FOLDER = "examples"
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Grouped:
    """What `group` did: examples written, found from before, and removed since nothing asks for them any more."""

    rows: tuple[ExampleRow, ...]
    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an example lies; ``folder`` is the class folder's name, empty while it is not sorted."""

    path: Path
    folder: str


def write_examples(
    root: Path,
    plans: Sequence[tuple[VideoTracks, Example]],
    facts: GroupFacts,
    sort: bool,
    report: Progress,
    failed: list[str],
    unread: Collection[str] = (),
) -> Grouped:
    """Write the examples that are not there, wherever a person put them; ``sort``: labelled ones into class folders.

    Those whose crops cannot be read are added to ``failed``; what is there of them, and of the videos named ``unread``,
    stays. Raises DatasetError when examples are there that were cut in another way.
    """
    _check_facts(root, facts)
    root.mkdir(parents=True, exist_ok=True)
    write_atomically(root / GROUP_FILE, facts.model_dump_json(indent=1) + "\n")
    before = read_rows(root) if (root / MANIFEST_FILE).is_file() else ()
    rows = [_row(example) for _, example in plans]
    placed = locate(root, {row.name for row in (*before, *rows)})
    folders = _class_folders(root, [example.label for _, example in plans] if sort else ())
    written, lost = 0, set[str]()
    for number, (video, example) in enumerate(plans):
        report("examples", number, len(plans))
        folder = root / folders.get(example.label, "")
        place = placed.get(example.name)
        if place is None or _is_older(place.path, video):
            try:
                _write_example(folder if place is None else place.path.parent, video, example, facts)
                written += 1
            except DatasetError as error:
                failed.append(str(error))
                lost.add(example.name)
    report("examples", len(plans), len(plans))
    rows = [row for row in rows if row.name not in lost]
    kept = {row.name for row in rows} | lost | {row.name for row in before if row.video in unread}
    stale = [name for name, place in placed.items() if name not in kept and not place.folder]
    for name in stale:
        _remove(placed[name].path)
    wanted = {row.name for row in rows} | set(stale)
    from_before = [row for row in before if row.name not in wanted and row.name in placed]
    write_rows(root, [*rows, *from_before])
    return Grouped((*rows, *from_before), written, len(stale))


def _class_folders(root: Path, labels: Iterable[str]) -> dict[str, str]:
    """Class → its folder. They are written down before there is anything in one."""
    names = FolderNames(root, safe_name)
    found = {label: names.folder_of(label) for label in sorted(set(labels)) if label}
    names.save()
    return found


def _is_older(path: Path, video: VideoTracks) -> bool:
    """Whether the video was extracted again since."""
    return path.stat().st_mtime < (video.folder / MANIFEST_FILE).stat().st_mtime


def _check_facts(root: Path, facts: GroupFacts) -> None:
    if (root / GROUP_FILE).is_file() and read_group_facts(root) != facts:
        raise DatasetError(
            f"{root} was grouped with {read_group_facts(root).grouping} of {read_group_facts(root).input}, now "
            f"{facts.grouping} of {facts.input}: move the folder away to group anew"
        )


def _row(example: Example) -> ExampleRow:
    return ExampleRow(
        example.name,
        example.video,
        example.track_id,
        example.start_frame,
        example.end_frame,
        round(example.start_s, 3),
        round(example.end_s, 3),
        len(example.indices),
    )


def _write_example(folder: Path, video: VideoTracks, example: Example, facts: GroupFacts) -> None:
    track = video.track(example.track_id)
    if track is None:
        raise DatasetError(f"{video.folder} has no track {example.track_id}")
    folder.mkdir(exist_ok=True)
    path = folder / clip_name(example.name, facts.format)
    if facts.format is ClipFormat.JPEG:
        frames = (int(track.frames[index]) for index in example.indices)
        _link_pictures(path, [picture_path(video, track.track_id, frame) for frame in frames])
    else:
        write_clip(path, read_crops(video, track, example.indices), facts.input.rate_hz, facts.format)


def _link_pictures(folder: Path, pictures: Sequence[Path]) -> None:
    """A folder of these pictures, numbered from 1, whole or not at all; a picture is stored once however often shown.

    An older folder of that name is replaced; ``_recover`` puts it back after a kill between the two renamings.
    """
    part, old = folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for number, picture in enumerate(pictures, 1):
        try:
            os.link(picture, part / f"{number:06d}.jpg")
        except FileNotFoundError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise DatasetError(f"{picture} is missing: extract its video again with --overwrite") from error
        except OSError:  # a file system without links, or another one
            shutil.copyfile(picture, part / f"{number:06d}.jpg")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    for old in folder.glob(".*.old"):
        whole = old.with_name(old.name[1 : -len(".old")])
        if whole.exists():
            shutil.rmtree(old)
        else:
            old.rename(whole)


def locate(root: Path, names: Collection[str]) -> dict[str, Placed]:
    """Where each example lies now. Raises DatasetError listing what is no example, and what is there twice."""
    found: dict[str, Placed] = {}
    problems: list[str] = []
    for folder, path in _entries(root, names):
        name = _name_of(path)
        if name not in names:
            problems.append(f"{path} is no example that `group` made (examples may be moved and deleted, not renamed)")
        elif name in found:
            problems.append(f"{name} is there twice: {found[name].path} and {path}")
        else:
            found[name] = Placed(path, folder)
    raise_problems(problems)
    return found


def _entries(root: Path, names: Collection[str]) -> Iterator[tuple[str, Path]]:
    """→ class folder's name (empty: none) and path of everything that may be an example."""
    for path in _visible(root):
        if path.is_dir() and path.name not in names:
            yield from ((path.name, inner) for inner in _visible(path))
        elif path.is_dir() or path.suffix.lower() in CLIP_SUFFIXES:
            yield "", path


def _visible(folder: Path) -> list[Path]:
    _recover(folder)
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "Thumbs.db")


def _name_of(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def oversample(root: Path, length: int, report: Progress, failed: list[str]) -> tuple[int, int]:
    """Play every shorter example back and forth until it has ``length`` samples → (extended, all there are).

    Those that cannot be read are added to ``failed``.
    """
    facts, rows = read_group_facts(root), read_rows(root)
    placed = locate(root, {row.name for row in rows})
    extended = 0
    for number, place in enumerate(placed.values(), 1):
        try:
            count = count_samples(place.path)
            if count < length:
                _extend(place.path, back_and_forth(count, length), facts)
                extended += 1
        except DatasetError as error:
            failed.append(str(error))
        report("oversampling", number, len(placed))
    return extended, len(placed)


def _extend(path: Path, indices: Sequence[int], facts: GroupFacts) -> None:
    if path.is_dir():
        pictures = sorted(path.glob("*.jpg"))
        _link_pictures(path, [pictures[index] for index in indices])
    else:
        write_clip(path, read_clip(path)[list(indices)], facts.input.rate_hz, facts.format)


def count_samples(path: Path) -> int:
    """How many pictures an example has now, without decoding them. Raises DatasetError: none, or unreadable."""
    if path.is_dir():
        count = sum(1 for _ in path.glob("*.jpg"))
    else:
        try:
            with av.open(str(path)) as container:
                count = sum(packet.size > 0 for packet in container.demux(video=0))
        except (OSError, ValueError, IndexError) as error:  # PyAV's errors inherit these
            raise DatasetError(f"{path} cannot be read: {error}") from error
    if not count:
        raise DatasetError(f"{path} holds no picture")
    return count


def from_folders(root: Path, rows: Sequence[LabelRow], exclude: Collection[str]) -> Collected:
    """The examples as they lie there → with labels. A class folder wins over the table; contradictions are listed."""
    entries = {row.name: row for row in read_rows(root)}
    placed = locate(root, entries)
    by_clip, excluded = rows_by_clip(rows), {same_class(label) for label in exclude}
    folders, labels = FolderNames(root, safe_name), {row.label for row in rows if row.label}
    names = {place.folder: folders.name_of(place.folder, labels) for place in placed.values() if place.folder}
    left_out, conflicts = Counter({"removed by hand": len(entries) - len(placed)}), list[str]()
    found: list[LabelledExample] = []
    failed: dict[str, str] = {}
    for name, place in placed.items():
        example = _example(entries[name])
        row = label_of(example, by_clip.get(example.video, ()))
        by_hand = names.get(place.folder, "")
        label = by_hand or (row.label if row else "")
        if by_hand and row and same_class(by_hand) != same_class(row.label):
            conflicts.append(f"{name}: sorted as {by_hand}, the table says {row.label}")
        if not label or same_class(label) in excluded:
            left_out[f"excluded: {label}" if label else "no label"] += 1
            continue
        if row is not None:
            example = replace(example, group=row.group or example.video, split=row.split)
        try:
            found.append(_from_folder(replace(example, label=label), place.path, entries[name].filled))
        except DatasetError as error:
            failed[name] = str(error)
    return Collected(tuple(found), +left_out, tuple(conflicts), tuple(failed.values()), frozenset(failed))


def _example(row: ExampleRow) -> Example:
    head = (row.name, row.video, row.track_id, (), row.start_frame, row.end_frame, row.start_s, row.end_s)
    return Example(*head, group=row.video)


def _from_folder(example: Example, path: Path, filled: int) -> LabelledExample:
    count = count_samples(path)
    return LabelledExample(example, count, min(filled, count), path.stat().st_mtime, partial(read_clip, path))
