"""Optical flow of a clip, as the flow stream of I3D expects it (Carreira & Zisserman 2017, arXiv:1705.07750).

Flow between neighbouring pictures in pixels, clipped to ±20 and scaled to [-1, 1]. A clip of T pictures gets T fields:
field t tells how the pixels came from picture t - 1 to picture t, and field 0, which has no picture before it, repeats
field 1 (zero for a single picture).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import DatasetError, FlowUnavailableError

LIMIT_PX = 20.0
Clip = NDArray[np.uint8]  # (T, H, W, 3) RGB
Flow = NDArray[np.float32]  # (T, H, W, 2) x, y in [-1, 1]: 1 is 20 pixels a picture


class FlowMethod(str, Enum):
    """How the flow is computed."""

    DIS = "dis"  # Kroeger et al. 2016, OpenCV's fast preset: 64 pictures of 224² in some 0.1 s of one core
    TVL1 = "tvl1"  # Zach et al. 2007, what I3D was trained on; needs OpenCV's contrib modules, some 100 times slower


def flow_fields(clip: Clip, method: FlowMethod = FlowMethod.DIS) -> Flow:
    """uint8 (T, H, W, 3) → float32 (T, H, W, 2) in [-1, 1].

    Raises DatasetError for another array or pictures below 16 pixels, FlowUnavailableError when OpenCV was built
    without the method.
    """
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8 or len(clip) == 0 or min(clip.shape[1:3]) < 16:
        raise DatasetError(f"expected a uint8 (T, H, W, 3) clip, H and W from 16 on, got {clip.dtype} {clip.shape}")
    solver = _solver(method)
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in clip]
    fields = np.zeros((*clip.shape[:3], 2), np.float32)
    for index in range(1, len(clip)):
        fields[index] = solver.calc(grey[index - 1], grey[index], None)
    if len(clip) > 1:
        fields[0] = fields[1]
    return np.asarray(np.clip(fields / LIMIT_PX, -1, 1, out=fields), np.float32)


def pick_fields(fields: Flow, indices: NDArray[np.intp]) -> Flow:
    """(T, H, W, 2) of a clip → (L, H, W, 2) of the clip that shows ``indices`` of its pictures.

    A step over several pictures adds their fields, a step backwards takes them away, no step is no motion. That holds
    as long as motion is small against what moves, and spares a computation for every window, speed and turning point.
    """
    picked = np.zeros((len(indices), *fields.shape[1:]), np.float32)
    for place in range(1, len(indices)):
        before, now = int(indices[place - 1]), int(indices[place])
        between = fields[min(before, now) + 1 : max(before, now) + 1].astype(np.float32)
        picked[place] = between.sum(axis=0) if now >= before else -between.sum(axis=0)
    if len(indices) > 1:
        picked[0] = picked[1]
    return np.asarray(np.clip(picked, -1, 1, out=picked), np.float32)


def _solver(method: FlowMethod) -> Any:
    if method is FlowMethod.DIS:
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    contrib: Any = getattr(cv2, "optflow", None)
    if not hasattr(contrib, "DualTVL1OpticalFlow_create"):
        raise FlowUnavailableError(
            f"optical flow tvl1 needs OpenCV's contrib modules, which this OpenCV {cv2.__version__} lacks: "
            "`pip uninstall opencv-python && pip install opencv-contrib-python`, or use the method dis"
        )
    return contrib.DualTVL1OpticalFlow_create()
