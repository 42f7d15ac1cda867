"""Public layouts → a data set: every video cut into clips, one manifest, what was left out in ``left_out.csv``.

Resumable: ``prepare.jsonl`` notes each video when all its clips are whole on disk. A video that cannot be used is
looked at again by the next run, for it may have been repaired. ``dataset.json`` and ``manifest.csv`` are written last.
"""

from __future__ import annotations

import csv
import io
import itertools
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from models.data.balance import refuse_balanced
from models.data.clip_file import ClipFormat, clip_name, write_clip
from models.data.folder_names import FolderNames
from models.data.journal import Journal
from models.data.layouts.whole_frame import Piece
from models.data.leaks import LeakError, leaking
from models.data.manifest import (
    DATASET_FILE,
    MANIFEST_FILE,
    ClipRecord,
    Dataset,
    DatasetInfo,
    class2label,
    read_dataset,
    write_dataset,
)
from models.data.source_video import Layout, LeftOut, SourceVideo, folder_name, is_file, no_videos
from models.errors import DatasetError, UnreadableFileError
from models.weights.cards import ModelInput
from pipeline.files import write_atomically

JOURNAL_FILE, LEFT_OUT_FILE, CLIPS_FOLDER = "prepare.jsonl", "left_out.csv", "clips"
SCRATCH_FOLDER = "scratch.part"  # a cutter may use it; removed at the end
_WAITING_PER_JOB = 2
_EDITION = "edition"  # no video's key: those hold a stroke
_Outcome = tuple[ClipRecord, ...] | LeftOut

Progress = Callable[[int, int], None]  # videos done, videos in all


class Cutter(Protocol):
    """One video → its clips: whole frames, or one person after the other."""

    @property
    def input(self) -> ModelInput: ...

    def describe(self) -> dict[str, Any]:
        """Everything that all clips depend on, as JSON values."""

    def stamp(self, path: Path) -> str:
        """What changes when the clips of this video would. Raises FileNotFoundError."""

    def cut(self, path: Path) -> Iterator[Piece]:
        """Raises DatasetError, whose text says why the video cannot be used."""


@dataclass(frozen=True, slots=True)
class PrepareConfig:
    """``jobs`` videos are read at the same time; each holds some 60 MB of pictures. ``drop_leaks``: as the CLI says."""

    form: ClipFormat = ClipFormat.H264
    jobs: int = 1
    description: str = ""
    drop_leaks: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data set as written and everything that did not get into it."""

    dataset: Dataset
    left_out: tuple[LeftOut, ...]


def prepare(layout: Layout, folder: Path, cutter: Cutter, config: PrepareConfig, progress: Progress) -> Prepared:
    """Cut all videos of ``layout`` into ``folder``/clips/<class>/ and write the data set's files.

    A second run goes on where the first was stopped, keeps the order of the classes, and the splits that were decided
    since. Raises DatasetError: other options than before, a group in two splits, nothing usable; OSError: disk full.
    """
    refuse_balanced(folder)
    videos, dropped = _without_leaks(layout.videos, config.drop_leaks)
    options = {**cutter.describe(), "format": config.form.value}
    with Journal(folder / JOURNAL_FILE, options) as journal:
        work = _Work(layout.root, folder, cutter, config.form, journal, _folders(layout, folder, journal))
        outcomes = list(_in_parallel(work.outcome, videos, config.jobs, progress))
        records = tuple(record for outcome in outcomes if not isinstance(outcome, LeftOut) for record in outcome)
        left_out = (*layout.left_out, *dropped, *(item for item in outcomes if isinstance(item, LeftOut)))
        write_left_out(folder / LEFT_OUT_FILE, left_out)
        _sweep(folder)
        if not records:
            raise no_videos(layout.root, "at least one that can be decoded", left_out)
        same_edition = journal.found(_EDITION, layout.edition) is not None
        dataset = _dataset(layout, folder, records, same_edition, (cutter.input, config.description))
        write_dataset(dataset)
        journal.note(_EDITION, layout.edition)
    return Prepared(dataset, left_out)


def _without_leaks(videos: Sequence[SourceVideo], drop: bool) -> tuple[list[SourceVideo], list[LeftOut]]:
    """Raises DatasetError for groups in two splits, or, with ``drop``, leaves out what the later split also has."""
    leaks = leaking((video.group, video.split) for video in videos)
    if leaks and not drop:
        raise LeakError(leaks, "--drop-leaks keeps such groups only in the last of their splits")
    keep = [video for video in videos if video.group not in leaks or video.split is leaks[video.group][-1]]
    kept = set(keep)
    reason = "its group also lies in a later split"
    return keep, [LeftOut(f"{video.label}/{video.path.name}", reason) for video in videos if video not in kept]


def _folders(layout: Layout, folder: Path, journal: Journal) -> dict[str, str]:
    """Class → the folder of its clips, one for each; kept beside them."""
    if (folder / MANIFEST_FILE).exists() and (folder / DATASET_FILE).exists():
        held = [(record.path.parent.name, record.label) for record in read_dataset(folder).records]
    else:  # a first run that was stopped
        clips = ((key, clip) for key, entry in journal.done.items() for clip in entry.get("clips", ()))
        held = [(Path(clip["path"]).parent.name, key.rpartition("/")[0]) for key, clip in clips]
    names = FolderNames.with_clips(folder / CLIPS_FOLDER, folder_name, held)
    found = {label: names.folder_of(label) for label in sorted({video.label for video in layout.videos})}
    names.save()
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """Cuts one video; called from several threads at the same time."""

    root: Path
    folder: Path
    cutter: Cutter
    form: ClipFormat
    journal: Journal
    folders: Mapping[str, str]  # class → its folder

    def outcome(self, video: SourceVideo) -> tuple[ClipRecord, ...] | LeftOut:
        """→ the records of its clips, or why there are none. Raises OSError when a clip cannot be written."""
        key = f"{video.label}/{video.name}"
        try:
            if not is_file(video.path):  # a link to nothing, or what a read would wait for without end
                return LeftOut(self._shown(video.path), "it is not there, or no file", bad=True)
            stamp = self.cutter.stamp(video.path)
            own = Path(CLIPS_FOLDER, self.folders[video.label])
            clips = self._known(key, stamp, own)
            if clips is None:
                before = self.journal.done.get(key, {}).get("clips", ())  # of a file that was another
                self._discard(clip for clip in before if Path(clip["path"]).parent == own)
                clips = self._write(video)
                self.journal.note(key, stamp, clips=clips)
        except DatasetError as error:
            return LeftOut(self._shown(video.path), str(error), isinstance(error, UnreadableFileError))
        except FileNotFoundError:
            return LeftOut(self._shown(video.path), "it is not there", bad=True)
        except PermissionError as error:
            if error.filename is None or Path(error.filename).is_relative_to(self.folder):
                raise  # a clip that cannot be written
            return LeftOut(self._shown(video.path), "no permission to read it", bad=True)
        return tuple(self._record(video, clip) for clip in clips)

    def _known(self, key: str, stamp: str, own: Path) -> list[dict[str, Any]] | None:
        """The clips of an earlier run where all lie in ``own``, the label's folder: elsewhere they may be others'."""
        clips = (self.journal.found(key, stamp) or {}).get("clips")
        if clips is None or not all(Path(clip["path"]).parent == own for clip in clips):
            return None
        return list(clips) if all((self.folder / clip["path"]).exists() for clip in clips) else None

    def _write(self, video: SourceVideo) -> list[dict[str, Any]]:
        """→ what the journal keeps of each clip. All or none: a video that breaks off leaves no clip behind."""
        clips: list[dict[str, Any]] = []
        try:
            for number, piece in enumerate(self.cutter.cut(video.path), 1):
                # No name holds a dot, so the second piece of one video cannot be another video's first.
                stem = video.name if number == 1 else f"{video.name}.{number}"
                path = Path(CLIPS_FOLDER, self.folders[video.label], clip_name(stem, self.form))
                write_clip(self.folder / path, piece.clip, self.cutter.input.rate_hz, self.form)
                times = {"start_s": piece.start_s, "end_s": piece.end_s}
                clips.append({"path": path.as_posix(), "track_id": piece.track_id, **times, "filled": len(piece.clip)})
        except BaseException:
            self._discard(clips)
            raise
        return clips

    def _discard(self, clips: Iterable[dict[str, Any]]) -> None:
        for clip in clips:
            _remove(self.folder / clip["path"])

    def _record(self, video: SourceVideo, clip: dict[str, Any]) -> ClipRecord:
        known = {**clip, "path": self.folder / clip["path"]}
        return ClipRecord(
            label=video.label, group=video.group, split=video.split, video=self._shown(video.path), **known
        )

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name


def _in_parallel(
    function: Callable[[SourceVideo], _Outcome], videos: Sequence[SourceVideo], jobs: int, progress: Progress
) -> Iterator[_Outcome]:
    """→ results in the order of ``videos``. No more than a few wait; an error stops what has not begun."""
    pool = ThreadPoolExecutor(max(1, jobs))
    waiting: deque[Future[_Outcome]] = deque()
    progress(0, len(videos))
    done = itertools.count(1)
    try:
        for video in videos:
            waiting.append(pool.submit(function, video))
            if len(waiting) > jobs * _WAITING_PER_JOB:
                yield waiting.popleft().result()
                progress(next(done), len(videos))
        while waiting:
            yield waiting.popleft().result()
            progress(next(done), len(videos))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _dataset(
    layout: Layout, folder: Path, records: tuple[ClipRecord, ...], same_edition: bool, form: tuple[ModelInput, str]
) -> Dataset:
    """Classes of which a clip exists, in the layout's order; after those of the data set that is there already."""
    before = read_dataset(folder) if (folder / MANIFEST_FILE).exists() and (folder / DATASET_FILE).exists() else None
    present = {record.label for record in records}
    old = before.labels if before is not None else ()
    labels = (*old, *(label for label in layout.labels if label in present and label not in old))
    if before is not None and same_edition:
        records = _with_old_splits(records, before.records)
    return Dataset(folder, DatasetInfo(class2label=class2label(labels), input=form[0], description=form[1]), records)


def _with_old_splits(records: Sequence[ClipRecord], before: Sequence[ClipRecord]) -> tuple[ClipRecord, ...]:
    """A new clip follows its group, so that what was split since stays split and leaks nothing."""
    groups = {record.path: record.group for record in before}
    splits = {record.group: record.split for record in before}
    grouped = (replace(record, group=groups.get(record.path, record.group)) for record in records)
    return tuple(replace(record, split=splits.get(record.group, record.split)) for record in grouped)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left half-written, and what the cutter left."""
    _remove(folder / SCRATCH_FOLDER)
    for path in list((folder / CLIPS_FOLDER).glob("*/.*.part*")):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_left_out(path: Path, left_out: Sequence[LeftOut]) -> None:
    """One row for each video or list entry that became no clip: what, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("what", "reason"))
    writer.writerows((item.what, item.reason) for item in left_out)
    write_atomically(path, text.getvalue())
