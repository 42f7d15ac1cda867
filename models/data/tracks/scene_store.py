"""Labelled scenes on disk, so that a training takes any clip in any order while memory holds a batch.

    ROOT/<video>-<key>/pictures.rgb   the sampled pictures, each once: uint8 (N, H, W, 3) RGB, one after the other
    ROOT/<video>-<key>/clips.json     what each example is: its labelled range, its T pictures by number, its box

People of one clip, and clips that overlap, share pictures: at 224² and 25 a second they take 4 MB a second of video.
``<key>`` stands for the source video, its tracks, the labelled ranges and the clips' shape; labels, groups and splits
are read from the table each time. A folder is written under another name and renamed when all of it is there.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.data.tracks.labels_csv import LABELS_FILE, LabelRow, read_labels, rows_by_clip
from models.data.tracks.scene_examples import SceneExample, examples_of
from models.data.tracks.track_folders import MANIFEST_FILE, list_videos, read_facts, track_stem
from models.errors import DatasetError, UnreadableFileError
from models.weights.cards import ModelInput
from pipeline.entities import Image

PICTURES_FILE, CLIPS_FILE = "pictures.rgb", "clips.json"
Progress = Callable[[str, int, int], None]  # what, done, of how many
_Range = tuple[int, int, int]  # track, start and end as the table says them


@dataclass(frozen=True, slots=True)
class SceneRecord(ClipRecord):
    """One person in one whole scene. ``path`` names the crop that the clip ends with, and is not read.

    ``pictures``: file and the T numbers of pictures in it, each uint8 ``size_hw`` RGB.
    """

    file: Path = Path()
    pictures: tuple[int, ...] = ()
    range: _Range = (0, 0, 0)  # the labelled one
    size_hw: tuple[int, int] = (0, 0)
    box: tuple[float, ...] = ()  # x1 y1 x2 y2 in 0..1 of picture T // 2

    def read(self) -> NDArray[np.uint8]:
        """→ uint8 (T, H, W, 3) RGB. Raises UnreadableFileError where the file is gone or too short."""
        try:
            held = np.memmap(self.file, np.uint8, "r").reshape(-1, *self.size_hw, 3)
            return np.asarray(held[list(self.pictures)])
        except (OSError, ValueError, IndexError) as error:
            raise UnreadableFileError(
                f"{self.file} cannot be read: {error}; remove its folder to have it cut anew"
            ) from error


@dataclass(frozen=True, slots=True)
class LabelledScenes:
    """A working folder whose people have labels: what ``cut_scenes`` needs. Nothing is decoded yet."""

    work: Path
    rows: tuple[LabelRow, ...]  # those with a label

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by name."""
        return tuple(sorted({row.label for row in self.rows}))


def read_scenes(work: Path) -> LabelledScenes:
    """Read the table of a working folder. Raises DatasetError for one without extracted videos or labels."""
    known = {folder.name for folder in list_videos(work)}
    table = work / LABELS_FILE
    if not table.is_file():
        raise DatasetError(f"{table} does not exist; `actoscope dataset label {work}` makes it, and you fill it in")
    rows = tuple(row for row in read_labels(table) if row.label)
    foreign = sorted({row.clip for row in rows} - known)
    if not rows or foreign:
        found = f"labels of videos that are not extracted: {', '.join(foreign)}" if foreign else "no row with a label"
        raise DatasetError(f"{table} has {found}")
    return LabelledScenes(work, rows)


def cut_scenes(
    scenes: LabelledScenes, shape: ModelInput, hop: int, root: Path, progress: Progress, shortest: int = 0
) -> Dataset:
    """→ every clip of every labelled person, as the service cuts them, with ``root`` holding their pictures.

    ``shortest``: people seen in so few pictures have clips, too, played back and forth; 0: whole clips only.

    Videos that are there already are not decoded again. A row without a split is for training. Raises DatasetError for
    a video that cannot be read, OSError for a full disk.
    """
    records: list[ClipRecord] = []
    labelled = rows_by_clip(scenes.rows)
    folders = [folder for folder in list_videos(scenes.work) if folder.name in labelled]
    for done, folder in enumerate(folders):
        progress("cutting scenes", done, len(folders))
        rows = labelled[folder.name]
        kept = root / f"{folder.name}-{_key(folder, rows, shape, hop, shortest)}"
        if not kept.is_dir():
            _keep(examples_of(folder, rows, shape, hop, shortest), kept)
        records += _records(kept, folder, rows, shape)
    progress("cutting scenes", len(folders), len(folders))
    info = DatasetInfo(class2label=class2label(scenes.labels), input=shape)
    return Dataset(scenes.work, info, tuple(records))


def _key(folder: Path, rows: Iterable[LabelRow], shape: ModelInput, hop: int, shortest: int) -> str:
    """Everything that the pictures and the choice of clips depend on."""
    source = Path(read_facts(folder).source)
    changed_ns = 0
    with suppress(OSError):  # a lost source is told of by who reads it
        changed_ns = source.stat().st_mtime_ns
    manifest = hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()
    parts: tuple[object, ...] = (
        str(source),
        changed_ns,
        manifest,
        sorted(_range(row) for row in rows),
        shape.model_dump_json(),
        hop,
    )
    if shortest:  # folders without short clips keep their names
        parts = (*parts, shortest)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def _range(row: LabelRow) -> _Range:
    return row.track, row.start, row.end


@dataclass(frozen=True, slots=True)
class _Kept:
    """One entry of ``clips.json``."""

    range: _Range
    frame: int
    pictures: tuple[int, ...]
    box: tuple[float, ...]


def _keep(examples: Iterable[SceneExample], folder: Path) -> None:
    """Write ``folder`` as its examples come; of their pictures two clips are in memory."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scenes-", dir=folder.parent) as work:
        fresh = Path(work) / "fresh"
        fresh.mkdir()
        kept = []
        with (fresh / PICTURES_FILE).open("wb") as stream:
            numbers = _Numbers(stream.write)
            for example in examples:
                box = tuple(float(side) for side in example.box)
                kept.append(_Kept(_range(example.row), example.frame, numbers(example.pictures), box))
        (fresh / CLIPS_FILE).write_text(json.dumps([asdict(clip) for clip in kept]), "utf-8")
        fresh.rename(folder)


class _Numbers:
    """Hands each new picture on to be written, and says which number it has.

    Clips come in the order of time: those of one moment show the newest pictures, more of them or fewer, and a picture
    that is older than two clips are long does not come again.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._held: dict[int, tuple[int, Image]] = {}  # by identity; holds the pictures, so that none is another's
        self._count = 0

    def __call__(self, pictures: Sequence[Image]) -> tuple[int, ...]:
        for picture in pictures:
            if id(picture) not in self._held:
                self._held[id(picture)] = self._new(picture)
        numbers = tuple(self._held[id(picture)][0] for picture in pictures)
        for old in list(self._held)[: -2 * len(pictures)]:
            del self._held[old]
        return numbers

    def _new(self, picture: Image) -> tuple[int, Image]:
        self._write(picture.tobytes())
        self._count += 1
        return self._count - 1, picture


def _records(kept: Path, video: Path, rows: Iterable[LabelRow], shape: ModelInput) -> list[SceneRecord]:
    """``video``: its folder of tracks."""
    by_range = {_range(row): row for row in rows}
    try:
        clips = [
            _Kept(tuple(cells["range"]), cells["frame"], tuple(cells["pictures"]), tuple(cells["box"]))
            for cells in json.loads((kept / CLIPS_FILE).read_text("utf-8"))
        ]
        return [_record(kept / PICTURES_FILE, video, by_range[clip.range], clip, shape) for clip in clips]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{kept / CLIPS_FILE} cannot be read: {error!r}; remove {kept} to have it cut anew"
        ) from error


def _record(file: Path, video: Path, row: LabelRow, clip: _Kept, shape: ModelInput) -> SceneRecord:
    return SceneRecord(
        path=video / track_stem(row.track) / f"{clip.frame:06d}",
        label=row.label,
        group=row.group or row.clip,
        split=Split.TRAIN if row.split is Split.NONE else row.split,
        video=row.clip,
        track_id=row.track,
        filled=shape.frames,
        file=file,
        pictures=clip.pictures,
        range=clip.range,
        size_hw=(shape.height, shape.width),
        box=clip.box,
    )
