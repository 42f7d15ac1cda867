"""A light I3D: the first half of the published one, its wide convolutions split in space and time.

Nearly all of what I3D costs lies before its second half, in a few wide 3-D convolutions. Each is replaced by one in
space and one in time ((2+1)D, Tran et al. 2018, without the ReLU between), whose kernels are the closest to the
published ones of their rank (``models.layers.unit3d.factored``): no training is needed for it. The network ends behind
``Mixed_4c``, whose features tell these few classes as well, and reads small, sparse clips: 16 pictures of 96².
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.networks.i3d import MIN_FRAMES, I3DConfig, build_i3d

LAST = "Mixed_4c"
RANKS: Mapping[str, tuple[int, ...]] = {
    "Conv3d_1a_7x7": (24,),
    "Conv3d_2c_3x3": (112,),
    "Mixed_3b": (112, 0),
    "Mixed_3c": (160, 0),
}


def make_i3d_light(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """→ the light I3D for clips of (T, H, W, channels); ``options`` are ``I3DConfig``'s. The clip length stays open.

    Raises ValueError for fewer than ``MIN_FRAMES`` pictures.
    """
    frames, height, width, channels = clip_shape
    if frames < MIN_FRAMES:
        raise ValueError(f"clip_shape must have at least {MIN_FRAMES} frames, got {frames}")
    return build_i3d(light_config(num_classes, size_hw=(height, width), channels=channels, **options))


def light_config(num_classes: int, **options: Any) -> I3DConfig:
    """→ ``I3DConfig`` of the light network; ``options`` win."""
    plain: dict[str, Any] = {"gate": None, "last": LAST, "ranks": RANKS, "head_norm": True}
    return I3DConfig(num_classes=num_classes, **{**plain, **options})
