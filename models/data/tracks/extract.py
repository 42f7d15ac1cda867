"""``actoscope dataset extract``: videos → one folder a video, in it the crops of every person, numbered by frame.

People come from the serving pipeline's detector and tracker or from given tracks; the crops are those of
``pipeline.crops``, which the service cuts too. Crops are written as they come. A video whose folder exists is finished.
"""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from models.data.clip_file import ClipFormat
from models.data.imports.motchallenge import raise_problems
from models.data.source_video import LeftOut, is_file, is_folder, videos_below
from models.data.tracks.people import People, PeopleSource
from models.data.tracks.track_folders import (
    MANIFEST_FILE,
    TRACKS_FOLDER,
    VideoFacts,
    finished_folders,
    read_facts,
    read_video,
    safe_name,
)
from models.data.tracks.track_writer import TrackWriter
from models.errors import DatasetError
from pipeline.crops import crop_person
from pipeline.entities import Frame
from pipeline.errors import SourceError, SourceUrlError
from pipeline.sources.url import SourceUrl
from pipeline.sources.video_source import SourceOptions, VideoSource

_LOG = logging.getLogger(__name__)
Report = Callable[[str, int, int | None], None]  # what is worked on, how much of it is done, of how many


@dataclass(frozen=True)
class ExtractConfig:
    """How people are cut out: squares of ``size`` pixels with ``margin`` around the box's longer side."""

    margin: float = 0.2
    size: int = 224
    format: ClipFormat = ClipFormat.JPEG
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.size < 32 or self.margin < 0:
            raise DatasetError(f"expected crops of 32 pixels or more and a margin >= 0, got {self.size}, {self.margin}")


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of one video. ``failed``: nothing could be read of it; ``note``: what is worth telling."""

    video: str
    frames: int
    people: int
    crops: int
    note: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class FoundVideos:
    """``videos``: absolute paths, each once. ``problems``: a line for each that is not there."""

    videos: tuple[Path, ...]
    problems: tuple[str, ...]


def find_videos(paths: Iterable[Path], work: Path | None = None) -> FoundVideos:
    """Files, and every video below folders. Raises DatasetError listing what is missing where there is no video at all.

    What lies in the working folder ``work`` is left out: crops may be stored there as clip files.
    """
    own = work.resolve() if work is not None else None
    found: list[Path] = []
    problems: list[str] = []
    for path in paths:
        closed: list[LeftOut] = []
        opens = is_folder(path)
        below = list(videos_below(path, closed)) if opens else [path] if is_file(path) else []
        problems += [f"{path / item.what}: {item.reason}" for item in closed]
        problems += [f"{video}: {_no_file(video)}" for video in below if not is_file(video)]
        absolute = [video.resolve() for video in below if is_file(video)]
        found.extend(video for video in absolute if own is None or not video.is_relative_to(own))
        if not below and not closed:
            problems.append(f"{path}: {'a folder without videos' if opens else _no_file(path)}")
    if not found:
        raise_problems(problems)
    return FoundVideos(tuple(dict.fromkeys(found)), tuple(problems))


def _no_file(path: Path) -> str:
    try:
        path.stat()
    except PermissionError:
        return "no permission to look at it"
    except OSError:
        if path.is_symlink():
            return f"a link to {path.readlink()}, which is not there"
        return "there is no such file"
    return "it is no file"


def name_videos(work: Path, videos: Sequence[Path]) -> dict[Path, str]:
    """A folder name for every video, unique in ``work``: its stem, with more of its path where stems are equal.

    A video that was extracted before keeps its name.
    """
    taken = _names_taken(work)
    names = {video: name for name, facts in taken.items() for video in videos if facts and _is_same(video, facts)}
    groups: dict[str, list[Path]] = defaultdict(list)
    for video in videos:
        if video not in names:
            groups[safe_name(video.stem).lower()].append(video)
    used = {name.lower() for name in taken}
    for group in groups.values():
        for video, name in zip(group, _distinct(group, used), strict=True):
            names[video] = name
            used.add(name.lower())
    return {video: names[video] for video in videos}


def _names_taken(work: Path) -> dict[str, VideoFacts | None]:
    """Of the finished videos; None for one of which nobody can tell which video it was."""
    return {folder.name: _facts_of(folder) for folder in finished_folders(work / TRACKS_FOLDER)}


def _facts_of(folder: Path) -> VideoFacts | None:
    try:
        return read_facts(folder)
    except DatasetError as error:
        _LOG.warning("%s; its video is extracted again", error)
        return None


def _is_same(video: Path, facts: VideoFacts) -> bool:
    """The same file, or one that was moved since: same name and size, and nothing at the old place."""
    source = Path(facts.source)
    if video == source:
        return True
    return source.name == video.name and _is_gone(source) and facts.size_bytes == _size(video)


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _size(video: Path) -> int | None:
    """None for one that is gone, which ``extract`` tells of."""
    with suppress(OSError):
        return video.stat().st_size
    return None


def _distinct(videos: Sequence[Path], used: set[str]) -> list[str]:
    """Names that differ from each other and from ``used``, made of as little of the paths as will do."""
    depth = max(len(video.parts) for video in videos)
    for suffix, parents in itertools.product((False, True), range(depth)):  # a suffix tells clip.avi from clip.mp4
        names = [_path_name(video, parents, suffix) for video in videos]
        lowered = {name.lower() for name in names}
        if len(lowered) == len(videos) and not lowered & used:
            return names
    return [_numbered(safe_name(video.name), used) for video in videos]


def _path_name(video: Path, parents: int, suffix: bool) -> str:
    last = video.name if suffix else video.stem
    return safe_name("-".join([*video.parts[:-1][len(video.parts) - 1 - parents :], last]))


def _numbered(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate.lower() in used:
        number += 1
        candidate = f"{name}-{number}"
    used.add(candidate.lower())
    return candidate


def extract(
    videos: Sequence[Path], work: Path, people: PeopleSource, config: ExtractConfig, report: Report
) -> Iterator[Extracted]:
    """Extract each video that is not finished yet → what came of it, one after the other.

    Those that cannot be read, or have no tracks, come as failed ones, the known ones first. Raises DatasetError at once
    when finished videos were cut in another way than asked for now (unless ``config.overwrite``), and OSError when the
    disk fails.
    """
    names = name_videos(work, videos)
    failed: dict[Path, Extracted] = {}
    wanted: dict[Path, VideoFacts] = {}
    for video, name in names.items():
        try:
            wanted[video] = _facts(video, people, config)
        except (OSError, DatasetError) as error:
            failed[video] = Extracted(name, 0, 0, 0, str(error), failed=True)
    usable = {video: name for video, name in names.items() if video in wanted}
    done = {} if config.overwrite else _finished(work, usable, wanted)
    runs = (
        done[video] if video in done else _extract(video, work / TRACKS_FOLDER / name, people, wanted[video], report)
        for video, name in usable.items()
    )
    return itertools.chain(failed.values(), runs)


def _facts(video: Path, people: PeopleSource, config: ExtractConfig) -> VideoFacts:
    return VideoFacts(
        source=str(video),
        size_bytes=video.stat().st_size,
        tracks_from=people.describe(video),
        margin=config.margin,
        size=config.size,
        format=config.format,
    )


def _finished(work: Path, names: dict[Path, str], wanted: dict[Path, VideoFacts]) -> dict[Path, Extracted]:
    """Videos that need no work. Raises DatasetError listing those that were cut otherwise."""
    done: dict[Path, Extracted] = {}
    problems: list[str] = []
    for video, name in names.items():
        folder = work / TRACKS_FOLDER / name
        before = _facts_of(folder) if is_file(folder / MANIFEST_FILE) else None
        if before is None:
            continue
        differences = [
            f"{field} {getattr(before, field)}, now {getattr(wanted[video], field)}"
            for field in ("tracks_from", "margin", "size", "format")
            if getattr(before, field) != getattr(wanted[video], field)
        ]
        if differences:
            problems.append(f"{folder} was extracted with {'; '.join(differences)}")
        elif before.size_bytes == wanted[video].size_bytes:  # else the video changed, and is extracted again
            try:
                done[video] = _summary(folder)
            except DatasetError as error:
                _LOG.warning("%s; its video is extracted again", error)
    if problems:
        problems.insert(0, "take another working folder, or --overwrite:")
    raise_problems(problems)
    return done


def _summary(folder: Path) -> Extracted:
    tracks = read_video(folder)
    crops = sum(len(track.frames) for track in tracks.tracks)
    note = f"already there; {tracks.facts.problem}" if tracks.facts.problem else "already there"
    return Extracted(folder.name, tracks.facts.frames, len(tracks.tracks), crops, note)


def _extract(video: Path, folder: Path, given: PeopleSource, facts: VideoFacts, report: Report) -> Extracted:
    """One video from its first frame to its last, or to where it is damaged: the folder holds what came before."""
    try:  # it may have vanished since it was found
        source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
        people = given.open(video)
    except (SourceUrlError, DatasetError) as error:
        return Extracted(folder.name, 0, 0, 0, str(error), failed=True)
    frames, problem = 0, ""
    report(folder.name, 0, None)
    with closing(iter(source)) as pictures:  # type: ignore[type-var]  # a generator
        try:
            first = next(pictures, None)
        except SourceError as error:
            return Extracted(folder.name, 0, 0, 0, error.message, failed=True)
        if first is None:
            return Extracted(folder.name, 0, 0, 0, "the video has a track, but no picture in it", failed=True)
        with TrackWriter(folder, facts.format, _rate_hz(source)) as writer:
            try:
                for frame in _with(first, pictures):
                    _write_people(frame, people, writer, facts)
                    frames = frame.index + 1
                    report(folder.name, frames, source.stats().frame_count)
            except SourceError as error:
                problem = error.message
            writer.finish(facts.model_copy(update={"frames": frames, "problem": problem}))
    return Extracted(folder.name, frames, writer.people, writer.crops, problem)


def _with(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


def _rate_hz(source: VideoSource) -> float:
    """The video's declared rate; 25 where it declares none."""
    stats = source.stats()
    return stats.frame_count / stats.duration_s if stats.frame_count and stats.duration_s else 25.0


def _write_people(frame: Frame, people: People, writer: TrackWriter, facts: VideoFacts) -> None:
    for person in people.at(frame):
        crop = crop_person(frame.image, person.box_xyxy, facts.size, facts.margin)
        writer.add(person.track_id, frame.index + 1, frame.time_s, crop, person.box_xyxy, person.coasting_s)
    for track_id in writer.open_tracks:
        if people.is_gone(track_id, frame):
            writer.retire(track_id)
