"""One clip on disk: a video file of square crops, or a folder of numbered JPEGs.

Files are written under another name and renamed when complete, so a clip that exists is whole.
"""

from __future__ import annotations

import shutil
from enum import Enum
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import DatasetError, UnreadableFileError
from pipeline.files import naming

Clip = NDArray[np.uint8]  # (T, S, S, 3) RGB
CLIP_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm")
JPEG_QUALITY = 95


class ClipFormat(str, Enum):
    """How the pictures are stored."""

    H264 = "h264"  # .mp4, visually lossless (x264 crf 12, 4:4:4), some 1 MB for 64 crops
    FFV1 = "ffv1"  # .mkv, lossless, some 5 MB
    JPEG = "jpeg"  # a folder of pictures to sort and look at, quality 95


_CODECS = {
    ClipFormat.H264: ("libx264", "yuv444p", {"crf": "12", "preset": "veryfast"}),
    ClipFormat.FFV1: ("ffv1", "bgr0", {"level": "3"}),
}


def clip_name(stem: str, form: ClipFormat) -> str:
    """File (or folder) name of a clip called ``stem``."""
    return stem + {ClipFormat.H264: ".mp4", ClipFormat.FFV1: ".mkv", ClipFormat.JPEG: ""}[form]


def write_clip(path: Path, clip: Clip, rate_hz: float, form: ClipFormat = ClipFormat.H264) -> None:
    """Write uint8 (T, H, W, 3) RGB to ``path`` (a name from ``clip_name``), whole or not at all.

    Raises DatasetError for another dtype or shape, OSError where the disk fails.
    """
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or len(clip) == 0:
        raise DatasetError(f"expected a uint8 (T, H, W, 3) clip with pictures in it, got {clip.dtype} {clip.shape}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if form is ClipFormat.JPEG:
            _write_pictures(part, clip)
            shutil.rmtree(path, ignore_errors=True)
        else:
            _write_video(part, clip, rate_hz, form)
        part.replace(path)
    except BaseException:  # a full disk is not to be filled with halves
        shutil.rmtree(part, ignore_errors=True) if form is ClipFormat.JPEG else part.unlink(missing_ok=True)
        raise


def read_clip(path: Path) -> Clip:
    """→ uint8 (T, H, W, 3) RGB, every picture of a video file or of a folder in the order of its numbers.

    Raises UnreadableFileError naming the file when it is missing, damaged or empty.
    """
    files = sorted(path.glob("*.jpg")) if path.is_dir() else []
    pictures = [_read_picture(file) for file in files] if path.is_dir() else _read_video(path)
    if not pictures:
        raise UnreadableFileError(f"{path} holds no picture")
    if len({picture.shape for picture in pictures}) > 1:
        raise UnreadableFileError(f"{path} holds pictures of different sizes")
    return np.stack(pictures)


def encoder_settings(form: ClipFormat) -> tuple[str, str, dict[str, str]]:
    """→ codec, pixel format and options of a clip file."""
    return _CODECS[form]


def _read_video(path: Path) -> list[Clip]:
    try:
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (OSError, ValueError, IndexError) as error:  # PyAV's errors inherit these
        raise UnreadableFileError(f"{path} cannot be decoded: {error}") from error


def _read_picture(path: Path) -> Clip:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise UnreadableFileError(f"{path} cannot be decoded")
    return np.asarray(picture, np.uint8)


def _write_pictures(folder: Path, clip: Clip) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number, picture in enumerate(clip, 1):
        write_picture(folder / f"{number:06d}.jpg", picture)


def write_picture(path: Path, picture: Clip) -> None:
    """Write uint8 (H, W, 3) RGB as JPEG. Raises OSError, which says why, when it cannot be written."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(path.suffix, bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    with naming(path):
        path.write_bytes(encoded.tobytes())


def _write_video(path: Path, clip: Clip, rate_hz: float, form: ClipFormat) -> None:
    codec, pixels, options = encoder_settings(form)
    # Without it Matroska gets a random number, and equal clips would be different files: caches go by content.
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=max(1, round(rate_hz)), options=options)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
