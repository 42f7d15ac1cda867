"""Miniature trees of public layouts with real, decodable videos in them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.data.balance import read_whole
from models.data.clip_file import write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset


def scene(seed: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): soft random blobs, another picture for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def moving(seed: int, frames: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """uint8 (frames, H, W, 3): a scene that slides by a pixel every four pictures."""
    wide = scene(seed, height, width + frames // 4)
    return np.stack([wide[:, number // 4 : number // 4 + width] for number in range(frames)])


def write_video(path: Path, frames: int = 30, fps: int = 25, seed: int = 0, codec: str = "mpeg4") -> Path:
    """A video of ``moving`` at 64×48, in the container that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in moving(seed, frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_broken(path: Path) -> Path:
    """A file with a video's name and no video in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"this is no video " * 50)
    return path


def record(label: str, group: str, split: Split = Split.NONE, name: str = "", **more: object) -> ClipRecord:
    """A row that needs no file."""
    return ClipRecord(Path("clips", label, name or f"{group}.mp4"), label, group, split, **more)  # type: ignore[arg-type]


def write_data(folder: Path, clips: dict[str, tuple[str, str, Split, int]], frames: int = 8) -> Dataset:
    """A data set of real clips, 32 pixels wide: name → (label, group, split, seed of its scene)."""
    records = []
    for name, (label, group, split, seed) in clips.items():
        path = folder / "clips" / label / f"{name}.mp4"
        write_clip(path, moving(seed, frames, 32, 32), 25.0)
        records.append(ClipRecord(path, label, group, split, name, 0, 0.0, frames / 25, frames))
    labels = sorted({label for label, *_ in clips.values()})
    write_dataset(Dataset(folder, DatasetInfo(class2label=class2label(labels)), tuple(records)))
    return read_whole(folder)
