"""Makes one case: ``case.zip``, whole or not there. Runs in a process of its own (``export_process``)."""

from __future__ import annotations

import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline.files import file_sha256
from service.exports.annotations import write_annotations
from service.exports.camera_video import CameraVideo, Span, make_video
from service.exports.clock import local_text
from service.exports.job import CameraJob, CaseJob, Made
from service.exports.proof import FORMAT, MANIFEST, README, SUMS, VERSION, FileEntry, entry_of, sums_text
from service.exports.sidecar import read_lines
from service.exports.tables import as_json, events_csv
from service.local_time.zones import zone_named
from service.recording.segment_files import PART, sync_directory, sync_file
from service.wire_messages import rfc3339

CASE = "case.zip"
WORK = "work"

Tell = Callable[[float], None]  # hears which part of the work is done, 0..1


class NoRoom(OSError):
    """The disk has not enough of it."""


def write_case(job: CaseJob, tell: Tell) -> Made:
    """Raises OSError (NoRoom where the disk is full) and ValueError; nothing but ``job.folder`` is touched."""
    target, work = job.folder / CASE, job.folder / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    part = target.with_name(target.name + PART)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            _Case(job, archive, work, tell).write()
        sync_file(part)
        part.replace(target)
        sync_directory(job.folder)
    finally:
        part.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)
    return Made(target.stat().st_size, file_sha256(target))


class _Case:
    """The case that is being written."""

    def __init__(self, job: CaseJob, archive: zipfile.ZipFile, work: Path, tell: Tell) -> None:
        self._job, self._archive, self._work = job, archive, work
        self._progress = _CaseProgress(job, tell)
        self._span = Span(job.begin, job.end, zone_named(job.timezone))
        self._files: list[FileEntry] = []
        self._videos: dict[str, tuple[str, float]] = {}
        self._cameras: list[dict[str, Any]] = []

    def write(self) -> None:
        for camera in self._job.cameras:
            self._check_room()
            self._write_camera(camera)
            self._progress.camera_done(camera)
        self._write_events()
        self._put(README, _readme(self._job).encode("utf-8"))
        manifest = as_json(self._manifest())
        own = FileEntry(MANIFEST, len(manifest), entry_of(MANIFEST, io.BytesIO(manifest)).sha256)
        listed = sums_text([*self._files, own])
        self._put(MANIFEST, manifest)
        self._put(SUMS, listed)

    def _write_camera(self, camera: CameraJob) -> None:
        stem = f"cameras/{_file_name(camera.name)}-{camera.stream_id}"
        place = self._work / "video.mp4"
        video = make_video(camera, self._span, self._job.wish, place, lambda at: self._reached(camera, at))
        names: dict[str, str | None] = {"video": None, "lines": None, "cvat": None}
        if video.path is not None and video.first_at is not None:
            names["video"] = f"{stem}.mp4"
            self._put_file(f"{stem}.mp4", video.path)
            self._videos[camera.stream_id] = f"{stem}.mp4", video.first_at
            if self._job.wish.cvat:
                names["cvat"] = f"{stem}.cvat.xml"
                write_annotations(camera, video, self._work / "cvat.xml", Path(stem).name + ".mp4")
                self._put_file(f"{stem}.cvat.xml", self._work / "cvat.xml")
        if self._write_lines(camera, video, f"{stem}.jsonl"):
            names["lines"] = f"{stem}.jsonl"
        self._cameras.append({**_about(camera, video, self._job), **names})

    def _reached(self, camera: CameraJob, at: float) -> None:
        if self._progress.reached(camera, at):
            self._check_room()

    def _write_lines(self, camera: CameraJob, video: CameraVideo, name: str) -> bool:
        """What was said of the camera in the span, each line with its place in the video. → False where nothing was."""
        begins = self._job.begin if video.first_at is None else video.first_at
        lines = 0
        place = self._work / "lines.jsonl"
        with place.open("w", encoding="utf-8") as file:
            for at, message in _said(camera, self._job):
                file.write(_one_line({**message, "video_s": round(at - begins, 3)}))
                lines += 1
        if lines:
            self._put_file(name, place)
        return lines > 0

    def _write_events(self) -> None:
        names = {camera.stream_id: camera.name for camera in self._job.cameras}
        self._put("events.csv", events_csv(self._job.events, names, self._videos, self._span.zone))
        whole = {"events": list(self._job.events), "incidents": list(self._job.incidents)}
        self._put("events.json", as_json(whole))

    def _put(self, name: str, content: bytes) -> None:
        self._add(name, io.BytesIO(content), len(content))

    def _put_file(self, name: str, path: Path) -> None:
        """The file is gone then: no case needs the disk twice."""
        with path.open("rb") as file:
            self._add(name, file, path.stat().st_size)
        path.unlink()

    def _add(self, name: str, file: Any, size: int) -> None:
        info = zipfile.ZipInfo(name, time.gmtime(self._job.made_at)[:6])
        info.external_attr = 0o644 << 16
        info.file_size = size  # so that zipfile knows whether it needs ZIP64
        if not name.endswith(".mp4"):
            info.compress_type = zipfile.ZIP_DEFLATED
        with self._archive.open(info, "w", force_zip64=size >= ZIP64_FROM) as target:
            self._files.append(entry_of(name, file, target))

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._job.folder).free
        if free < self._job.min_free_bytes:
            least = self._job.min_free_bytes // 1_000_000
            raise NoRoom(f"the disk is full: {free // 1_000_000} MB free, at least {least} MB must stay")

    def _manifest(self) -> dict[str, Any]:
        job = self._job
        return {
            **{"format": FORMAT, "version": VERSION, "id": job.id, "name": job.name},
            **{"made_by": job.made_by, "made_at": rfc3339(job.made_at), "software": job.software},
            "timezone": job.timezone,
            **{"since": rfc3339(job.begin), "until": rfc3339(job.end)},
            **{f"{name}_local": local_text(at, self._span.zone) for name, at in self._ends()},
            "overlay": job.wish.overlay,
            "pixelate_others": job.wish.pixelate_others,
            "cameras": self._cameras,
            "events": len(job.events),
            "events_left_out": job.events_left_out,
            "incidents": [incident["id"] for incident in job.incidents],
            "files": [{"name": each.name, "bytes": each.bytes, "sha256": each.sha256} for each in self._files],
        }

    def _ends(self) -> tuple[tuple[str, float], ...]:
        return ("since", self._job.begin), ("until", self._job.end)


ZIP64_FROM = 1 << 31


_STEP = 0.005  # of the work


class _CaseProgress:
    """By what was recorded: a second of each camera is as long as any other."""

    def __init__(self, job: CaseJob, tell: Tell) -> None:
        self._job, self._tell = job, tell
        self._whole_s = sum(self._recorded_s(camera, job.end) for camera in job.cameras) or 1.0
        self._done_s = 0.0
        self._told = 0.0

    def _recorded_s(self, camera: CameraJob, until: float) -> float:
        begin, end = self._job.begin, min(until, self._job.end)
        return sum(max(0.0, min(end, each.ended_at) - max(begin, each.started_at)) for each in camera.pieces)

    def reached(self, camera: CameraJob, at: float) -> bool:
        """→ whether that was worth telling."""
        done = (self._done_s + self._recorded_s(camera, at)) / self._whole_s
        if done - self._told < _STEP:
            return False
        self._told = done
        self._tell(min(1.0, done))
        return True

    def camera_done(self, camera: CameraJob) -> None:
        self._done_s += self._recorded_s(camera, self._job.end)
        self._tell(min(1.0, self._done_s / self._whole_s))


def _said(camera: CameraJob, job: CaseJob) -> Iterator[tuple[float, dict[str, Any]]]:
    for piece in camera.pieces:
        for line in read_lines(piece):
            if job.begin <= line.at <= job.end:
                yield line.at, dict(line.message)


def _one_line(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")) + "\n"


def _about(camera: CameraJob, video: CameraVideo, job: CaseJob) -> dict[str, Any]:
    ends = None if video.first_at is None else video.moments[-1]
    about: dict[str, Any] = {
        "stream_id": camera.stream_id,
        "name": camera.name,
        "made": video.made,
        "why": video.why,
        "starts_at": None if video.first_at is None else rfc3339(video.first_at),
        "ends_at": None if ends is None else rfc3339(ends),
        "pictures": len(video.moments),
        "gaps": [
            {"since": rfc3339(gap.since), "until": rfc3339(gap.until), "seconds": round(gap.until - gap.since, 3)}
            for gap in video.gaps
        ],
        "unreadable": video.unreadable,
        "drawn_upon_when_recorded": video.drawn_already,
    }
    if job.wish.pixelate_others:
        about |= {
            "not_pixelated": list(camera.keep),
            "pictures_with_people_pixelated": video.hidden,
            "pictures_pixelated_whole": video.hidden_whole,
        }
    return about


def _file_name(name: str) -> str:
    """→ letters, digits and hyphens: a camera's name may hold what no file system takes."""
    kept = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    return kept[:40] or "camera"


def _readme(job: CaseJob) -> str:
    made = datetime.fromtimestamp(job.made_at, timezone.utc)
    return f"""{job.name}
Case {job.id}, made by {job.software} on {made:%Y-%m-%d %H:%M:%S} UTC for {job.made_by}.

cameras/       one MP4 a camera, and beside it as JSON lines what was known of each picture (video_s: its place there)
events.csv     what people did, for spreadsheets; events.json the same for programs, with incidents
manifest.json  who, when, which cameras, how each video was made, where nothing was recorded, SHA-256 of every file

Times are told in UTC and in {job.timezone}.

Has anything been changed since?  actoscope case verify FILE.zip
Without Actoscope, unpacked:      sha256sum -c SHA256SUMS
The SHA-256 of the ZIP itself stands in the service's audit (actoscope audit list --action exports:made).
"""
