"""Writes one video's folder of ``tracks/`` crop by crop: nothing is held but the encoders of people in view."""

from __future__ import annotations

import csv
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import av
import numpy as np

from models.data.clip_file import Clip, ClipFormat, clip_name, encoder_settings, write_picture
from models.data.tracks.track_folders import CLIP_RATE_HZ, COLUMNS, MANIFEST_FILE, VIDEO_FILE, VideoFacts, track_stem
from pipeline.entities import Floats
from pipeline.files import naming


class TrackWriter:
    """``with TrackWriter(folder, facts, fps) as writer``: ``add`` crops, ``retire`` people, ``finish``.

    Works in a hidden folder beside ``folder``, which ``finish`` renames. Leaving the block without ``finish`` (Ctrl-C,
    a full disk) removes it; what a kill leaves is removed by the next writer.
    """

    def __init__(self, folder: Path, form: ClipFormat, fps: float) -> None:
        self._folder = folder
        self._part = folder.with_name(f".{folder.name}.part")
        self._form = form
        self._fps = fps
        self._open: dict[int, _CropSink] = {}
        self._manifest: IO[str] | None = None
        self._rows: Any = None
        self._people: set[int] = set()
        self.crops = 0

    @property
    def people(self) -> int:
        return len(self._people)

    def __enter__(self) -> TrackWriter:
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)
        self._manifest = (self._part / MANIFEST_FILE).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._manifest, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        return self

    def add(self, track_id: int, frame: int, time_s: float, crop: Clip, box_xyxy: Floats, coasting_s: float) -> None:
        """One crop, uint8 (S, S, 3) RGB. ``frame`` counts from 1 and rises for each person. Raises OSError."""
        sink = self._open.get(track_id)
        if sink is None:
            sink = self._open[track_id] = self._sink(track_id)
            self._people.add(track_id)
        sink.write(frame, crop)
        box = [round(float(value), 2) for value in box_xyxy]
        row = (self._folder.name, track_id, frame, round(time_s, 6), *box, round(self._fps, 3), round(coasting_s, 3))
        self._rows.writerow(row)
        self.crops += 1

    def retire(self, track_id: int) -> None:
        """This person does not come back: its file is closed, so that memory does not grow with their number."""
        self._open.pop(track_id).close()

    @property
    def open_tracks(self) -> tuple[int, ...]:
        return tuple(self._open)

    def finish(self, facts: VideoFacts) -> None:
        """Complete the folder and give it its name; an older one of that name is replaced."""
        for track_id in self.open_tracks:
            self.retire(track_id)
        self._close_manifest()
        (self._part / VIDEO_FILE).write_text(facts.model_dump_json(indent=1) + "\n", "utf-8")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._part.replace(self._folder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for close in (self._close_manifest, *(sink.abandon for sink in self._open.values())):
            with suppress(OSError):  # on a full disk closing fails as well, and the first error counts
                close()
        shutil.rmtree(self._part, ignore_errors=True)

    def _close_manifest(self) -> None:
        manifest, self._manifest = self._manifest, None
        if manifest is not None:
            with naming(self._part / MANIFEST_FILE):
                manifest.close()

    def _sink(self, track_id: int) -> _CropSink:
        path = self._part / clip_name(track_stem(track_id), self._form)
        return _PictureSink(path) if self._form is ClipFormat.JPEG else _VideoSink(path, self._form)


class _CropSink(Protocol):
    def write(self, frame: int, crop: Clip) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class _PictureSink:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def write(self, frame: int, crop: Clip) -> None:
        write_picture(self._folder / f"{frame:06d}.jpg", crop)

    def close(self) -> None:
        """Every picture is complete already."""

    abandon = close


class _VideoSink:
    """One clip file; the n-th crop is shown at n / CLIP_RATE_HZ."""

    def __init__(self, path: Path, form: ClipFormat) -> None:
        codec, self._pixels, options = encoder_settings(form)
        self._container = av.open(str(path), "w", container_options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream(codec, rate=CLIP_RATE_HZ, options=options)
        self._stream.codec_context.thread_count = 1

    def write(self, frame: int, crop: Clip) -> None:
        if not self._stream.codec_context.is_open:
            self._stream.height, self._stream.width = crop.shape[:2]
            self._stream.pix_fmt = self._pixels
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        self._container.close()
