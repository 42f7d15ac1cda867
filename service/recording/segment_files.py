"""Recorded segments as files: their names, how one is committed, recovered after a crash, and chosen for deletion.

``20260131T123456789Z.mp4`` is a finished segment that began at that time (UTC, milliseconds), the ``.jsonl`` beside
it holds its messages. While being written both end in ``.part``. Commit order: finish → fsync → rename the sidecar,
then the video → fsync of the directory → database row; so a video without ``.part`` is complete, always.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from service.storage.segment import Segment

PART = ".part"
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
    return path.with_suffix(".jsonl")


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
    part, sidecar = part_of(path), sidecar_of(path)
    segment = read_segment(part)  # before the rename: a name without .part promises that the file plays
    sync_file(part)
    if part_of(sidecar).exists():
        sync_file(part_of(sidecar))
        part_of(sidecar).rename(sidecar)
    part.rename(path)
    sync_directory(path.parent)
    return replace(segment, path=path, events_path=sidecar if sidecar.exists() else None)


def discard(path: Path) -> None:
    """Removes a segment's files, finished or not: the video first, so that no row can be made for what is left."""
    for file in (path, part_of(path), sidecar_of(path), part_of(sidecar_of(path))):
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
            start_s = _start_of(container.metadata.get("comment", ""))
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"{path.name} cannot be read: {type(error).__name__}") from error
    if not times:
        raise ValueError(f"{path.name} holds no frame")
    length = max(pts + duration for pts, duration in times) - min(pts for pts, _ in times)
    sidecars = [file for file in (sidecar_of(final), part_of(sidecar_of(final))) if file.exists()]
    return Segment(
        path=path,
        events_path=sidecars[0] if sidecars else None,
        started_at=started_at_of(final),
        start_s=start_s,
        duration_s=float(length * unit),
        frames=len(times),
        bytes=path.stat().st_size + sum(file.stat().st_size for file in sidecars[:1]),
        size_hw=size_hw,
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


def describe_start(start_s: float) -> str:
    """→ the text that carries a segment's media time inside the video file (its ``comment``)."""
    return json.dumps({"start_s": round(start_s, 6)})


def _start_of(comment: str) -> float:
    try:
        return float(json.loads(comment)["start_s"])
    except (ValueError, TypeError, KeyError):
        return 0.0


def salvage(path: Path) -> Segment | None:
    """Makes a finished segment of the ``.part`` that a crash or a full disk left; None when it holds no whole fragment.

    Copies the packets into an orderly file; where there is no room for a copy, cuts the file after its last whole
    fragment instead, which plays as well but has no index. Raises OSError when even that fails.
    """
    part, sidecar_part = part_of(path), part_of(sidecar_of(path))
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
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
    for sidecar in (*folder.glob("*.jsonl"), *folder.glob(f"*.jsonl{PART}")):
        video = sidecar.with_name(sidecar.name.removesuffix(PART)).with_suffix(".mp4")
        if not video.exists() and not part_of(video).exists():
            sidecar.unlink(missing_ok=True)
    return [segment for segment in segments if segment is not None]


def _inspect_or_none(path: Path) -> Segment | None:
    try:
        return inspect(path, "")
    except (OSError, ValueError) as error:
        _LOG.error("cannot recover %s: %s", path.name, error)
        return None


def began(segment: Segment) -> Any:
    """What segments are ordered by: when they began, as they say."""
    return segment.started_at, str(segment.path)


def enforce_retention(
    segments: Sequence[Segment],
    max_age_s: float | None,
    max_bytes: int | None,
    now: float,
    order: Callable[[Segment], Any] = began,
) -> list[Segment]:
    """→ the segments to delete, oldest first: all that ended more than ``max_age_s`` before ``now`` (Unix time), and
    the oldest of the others until what remains takes at most ``max_bytes``. None means no limit. Deletes nothing.

    ``order``: what the oldest has least of.
    """
    oldest_first = sorted(segments, key=order)
    doomed = [item for item in oldest_first if max_age_s is not None and now - item.ended_at > max_age_s]
    kept = [item for item in oldest_first if item not in doomed]
    excess = 0 if max_bytes is None else sum(item.bytes for item in kept) - max_bytes
    for item in kept:
        if excess <= 0:
            break
        doomed.append(item)
        excess -= item.bytes
    return doomed
