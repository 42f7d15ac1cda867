"""Recorded segments as files: their names, how one is committed, and recovered after a crash.

``20260131T123456789Z.mp4`` is a finished segment that began at that time (UTC, milliseconds), the ``.jsonl.gz`` beside
it holds its messages: those of its time, and one of type ``tracks`` for every analysed frame. While being written they
are ``….mp4.part`` and ``….jsonl.part``, which is not compressed, so that a kill costs no line. Commit order: finish →
fsync → the sidecar, compressed, then rename the video → fsync of the directory → database row; so a video without
``.part`` is complete, always. Older versions left ``.jsonl``, and so does a disk that has no room for a copy.
"""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import re
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

import av

from service.storage.segment import Segment

PART = ".part"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REPAIR = ".repair"
_NAME = re.compile(r"(\d{8}T\d{9})Z\.mp4")
_LOG = logging.getLogger(__name__)

FRAGMENTED_MP4 = {"movflags": "hybrid_fragmented+frag_keyframe", "frag_duration": "500000", "flush_packets": "1"}
"""Muxer options. Whatever was written up to the last fragment plays after a kill, and one is written every half second
(in µs) or with the next keyframe; closing the file adds the ordinary index at its end, so that a finished one has a
duration and seeks by byte ranges in every browser."""


def new_segment_path(folder: Path, started_at: float) -> Path:
    """→ the path of a segment that began at Unix time ``started_at``; a millisecond later for each one in the way."""
    milliseconds = round(started_at * 1000)
    while True:
        moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
        path = folder / f"{moment:%Y%m%dT%H%M%S}{milliseconds % 1000:03d}Z.mp4"
        if not path.exists() and not part_of(path).exists():
            return path
        milliseconds += 1


def part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def sidecar_of(path: Path) -> Path:
    return path.with_suffix(".jsonl.gz")


def plain_sidecar_of(path: Path) -> Path:
    """Its place where it is not compressed; ``part_of`` this is where it is being written."""
    return path.with_suffix(".jsonl")


def video_of(sidecar: Path) -> Path:
    """→ the video that a sidecar belongs to, in whatever state it is."""
    return sidecar.with_name(sidecar.name.partition(".")[0] + ".mp4")


def _sidecars(path: Path) -> tuple[Path, ...]:
    """Where its messages may be, the best first."""
    plain = plain_sidecar_of(path)
    return sidecar_of(path), plain, part_of(plain)


def started_at_of(path: Path) -> float:
    """→ Unix time from a segment's name. Raises ValueError for any other name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"expected a segment named like 20260131T123456789Z.mp4, got {path.name!r}")
    digits = match.group(1)
    moment = datetime.strptime(digits[:15], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + int(digits[15:]) / 1000


def sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def commit(path: Path) -> Segment:
    """Turns the closed ``.part`` files of ``path`` into a finished segment that survives a power cut.

    Raises OSError when the disk fails, ValueError when the video holds no frame.
    """
    part = part_of(path)
    segment = read_segment(part)  # before the rename: a name without .part promises that the file plays
    sync_file(part)
    sidecar = _commit_sidecar(path)
    part.rename(path)
    part_of(plain_sidecar_of(path)).unlink(missing_ok=True)
    sync_directory(path.parent)
    size = path.stat().st_size + (0 if sidecar is None else sidecar.stat().st_size)
    return replace(segment, path=path, events_path=sidecar, bytes=size)


def _commit_sidecar(path: Path) -> Path | None:
    """→ the finished sidecar, if there is one. What was written stays beside it until the video is finished."""
    plain, packed = plain_sidecar_of(path), sidecar_of(path)
    lines = part_of(plain)
    if not lines.exists():
        return next((file for file in (packed, plain) if file.exists()), None)
    try:
        _compress(lines, packed)
        return packed
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        part_of(packed).unlink(missing_ok=True)
        sync_file(lines)
        lines.rename(plain)
        return plain


def _compress(lines: Path, packed: Path) -> None:
    part = part_of(packed)
    with lines.open("rb") as source, gzip.open(part, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    sync_file(part)
    part.rename(packed)


def discard(path: Path) -> None:
    """Removes a segment's files, finished or not: the video first, so that no row can be made for what is left."""
    for file in (path, part_of(path), *_sidecars(path), part_of(sidecar_of(path))):
        file.unlink(missing_ok=True)
    sync_directory(path.parent)


def read_segment(path: Path) -> Segment:
    """→ what a finished or ``.part`` file itself says, without decoding. ValueError when it holds no readable frame."""
    final = path.with_name(path.name.removesuffix(PART))
    try:
        with av.open(str(path), format="mp4") as container:
            stream = container.streams.video[0]
            times = [(packet.pts, packet.duration or 0) for packet in container.demux(stream) if packet.size]
            unit, size_hw = stream.time_base or Fraction(0), (stream.height, stream.width)
            start_s, overlay = _described(container.metadata.get("comment", ""))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read: {type(error).__name__}") from error
    if not times:
        raise ValueError(f"{path.name} holds no frame")
    length = max(pts + duration for pts, duration in times) - min(pts for pts, _ in times)
    sidecars = [file for file in _sidecars(final) if file.exists()]
    return Segment(
        path=path,
        events_path=sidecars[0] if sidecars else None,
        started_at=started_at_of(final),
        start_s=start_s,
        duration_s=float(length * unit),
        frames=len(times),
        bytes=path.stat().st_size + sum(file.stat().st_size for file in sidecars[:1]),
        size_hw=size_hw,
        overlay=overlay,
    )


def inspect(path: Path, stream_id: str) -> Segment | None:
    """A finished file, or the ``.part`` of one that nobody writes any more → the segment, which is finished then.

    None when it holds nothing that plays; such a ``.part`` is removed. Raises OSError when the disk fails.
    """
    if path.name.endswith(PART):
        segment = salvage(path.with_name(path.name.removesuffix(PART)))
    else:
        try:
            segment = read_segment(path)
        except ValueError as error:
            _LOG.error("%s", error)
            return None
    return None if segment is None else replace(segment, stream_id=stream_id)


def describe_start(start_s: float, overlay: bool) -> str:
    """→ what a video file's ``comment`` tells of a segment: its media time, and whether it was drawn upon."""
    return json.dumps({"start_s": round(start_s, 6), "overlay": overlay})


def _described(comment: str) -> tuple[float, bool]:
    """→ media time of the first frame, and whether boxes are drawn into the pictures: of old files they are."""
    try:
        described = json.loads(comment)
        return float(described["start_s"]), bool(described.get("overlay", True))
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0.0, True


def salvage(path: Path) -> Segment | None:
    """Makes a finished segment of the ``.part`` that a crash or a full disk left; None when it holds no whole fragment.

    Copies the packets into an orderly file; where there is no room for a copy, cuts the file after its last whole
    fragment instead, which plays as well but has no index. Raises OSError when even that fails.
    """
    part, sidecar_part = part_of(path), part_of(plain_sidecar_of(path))
    if sidecar_part.exists():
        _cut(sidecar_part, sidecar_part.read_bytes().rfind(b"\n") + 1)
    try:
        _cut(part, _whole_boxes(part))
        read_segment(part)
    except ValueError:
        discard(path)
        return None
    try:
        _repack(part)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _LOG.warning("no room to index %s, it is kept as it is", path.name)
    return commit(path)


def _cut(file: Path, size: int) -> None:
    if size < file.stat().st_size:
        os.truncate(file, size)


def _whole_boxes(path: Path) -> int:
    """→ the offset behind the last top-level MP4 box that is complete; of moof and mdat, both must be."""
    total, position, good, kind = path.stat().st_size, 0, 0, b""
    with path.open("rb") as file:
        while position + 8 <= total:
            file.seek(position)
            header = file.read(16)
            size, kind = int.from_bytes(header[:4], "big"), header[4:8]
            size = int.from_bytes(header[8:16], "big") if size == 1 else size
            if size < 8 or position + size > total:
                break
            position += size
            good = good if kind == b"moof" else position
    return good


def _repack(part: Path) -> None:
    """Rewrites a fragmented file with an ordinary index in front, packet by packet, and puts it in its place."""
    copy = part.with_name(part.name + _REPAIR)
    try:
        with (
            av.open(str(part), format="mp4") as source,
            av.open(str(copy), "w", format="mp4", options={"movflags": "faststart"}) as target,
        ):
            target.metadata.update({"comment": source.metadata.get("comment", "")})
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        sync_file(copy)
        copy.replace(part)
    finally:
        copy.unlink(missing_ok=True)


def recover(folder: Path) -> list[Segment]:
    """Brings a folder in order after a crash → all its finished segments, oldest first, for the store to compare.

    Finishes what was being recorded, removes what holds no picture, and sidecars whose video is gone. Nobody may be
    recording into the folder meanwhile. A file that cannot be dealt with is left alone and logged.
    """
    if not folder.is_dir():
        return []
    for leftover in folder.glob(f"*{_REPAIR}"):
        leftover.unlink(missing_ok=True)
    segments = [_inspect_or_none(path) for path in sorted((*folder.glob("*.mp4"), *folder.glob(f"*.mp4{PART}")))]
    remove_sidecars_without_video(folder)
    return [segment for segment in segments if segment is not None]


def remove_sidecars_without_video(folder: Path) -> None:
    """Also what was written of a sidecar that is finished. Nobody may be recording into the folder."""
    for sidecar in folder.glob("*.jsonl*"):
        video = video_of(sidecar)
        finished = video.exists() and sidecar.name.endswith(PART)
        if finished or not (video.exists() or part_of(video).exists()):
            sidecar.unlink(missing_ok=True)


def _inspect_or_none(path: Path) -> Segment | None:
    try:
        return inspect(path, "")
    except (OSError, ValueError) as error:
        _LOG.error("cannot recover %s: %s", path.name, error)
        return None
