"""The same real clips for every network, each cut to the network's own length and size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.models.clips import read_clip, read_video

Clip = NDArray[np.uint8]  # (T, H, W, 3) RGB


def read_clips(folder: Path, sample: Path) -> dict[str, Clip]:
    """By name: uint8 (64, 224, 224, 3). Every .mp4 and .gif of ``folder``, and the sample that every checkout has."""
    clips = {path.stem: read_clip(path) for path in sorted(folder.glob("*.mp4"))}
    clips.update({path.stem: read_video(path)[0][:64] for path in sorted(folder.glob("*.gif"))})
    clips[sample.stem] = read_clip(sample)
    return clips


def windows(clip: Clip) -> dict[str, Clip]:
    """Five overlapping windows of a clip, 144 of 224 pixels wide: more real pictures from few videos."""
    side = clip.shape[1] * 9 // 14
    far = clip.shape[1] - side
    corners = {"tl": (0, 0), "tr": (0, far), "bl": (far, 0), "br": (far, far), "c": (far // 2, far // 2)}
    return {name: clip[:, y : y + side, x : x + side] for name, (y, x) in corners.items()}


def fitted(clip: Clip, shape: tuple[int, ...]) -> Clip:
    """→ uint8 ``shape`` (T, H, W, 3): pictures evenly spaced in time, resized by area or cubic interpolation."""
    frames, height, width = shape[:3]
    index = np.round(np.linspace(0, len(clip) - 1, frames)).astype(int)
    if clip.shape[1:3] == (height, width):
        return np.ascontiguousarray(clip[index])
    smaller = height * width < clip.shape[1] * clip.shape[2]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.stack([np.asarray(cv2.resize(clip[i], (width, height), interpolation=how), np.uint8) for i in index])
