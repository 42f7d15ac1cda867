"""Networks of other libraries, for speed only: random weights, torch eager float32, the clips of ``rows.PEERS``.

Imported by a row's own process alone: torch and TensorFlow cannot share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.comparison.worker import Clip, Floats, Loaded


def _torchvision(name: str) -> Callable[[], Any]:
    def build() -> Any:
        from torchvision.models import video  # noqa: PLC0415  # each process loads the one library it needs

        return getattr(video, name)(weights=None)

    return build


def _slowfast() -> Any:
    from pytorchvideo.models.slowfast import create_slowfast  # noqa: PLC0415

    return create_slowfast(slowfast_channel_reduction_ratio=(8,), model_num_class=400)


def _x3d_m() -> Any:
    from pytorchvideo.models.x3d import create_x3d  # noqa: PLC0415

    return create_x3d(input_clip_length=16, input_crop_size=224, model_num_class=400)


BUILDERS: Mapping[str, Callable[[], Any]] = {
    "torchvision s3d": _torchvision("s3d"),
    "torchvision r3d_18": _torchvision("r3d_18"),
    "torchvision swin3d_t": _torchvision("swin3d_t"),
    "pytorchvideo slowfast_r50": _slowfast,
    "pytorchvideo x3d_m": _x3d_m,
}


def load_peer(name: str, threads: int | None) -> Loaded:
    """→ uint8 clip (T, S, S, 3) → logits, a description, no labels, the number of parameters."""
    if threads is not None:
        torch.set_num_threads(threads)
    model = BUILDERS[name]().eval()

    def run(clip: Clip) -> Floats:
        with torch.inference_mode():
            video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0  # (1, 3, T, S, S)
            return np.asarray(model(_pathways(name, video))[0].numpy(), np.float32)

    description = f"torch {torch.__version__.partition('+')[0]} f32 eager, {torch.get_num_threads()} threads"
    return Loaded(run, description, (), sum(int(weight.numel()) for weight in model.parameters()))


def _pathways(name: str, video: Any) -> Any:
    """SlowFast takes every fourth (at 8 of 32: alpha) picture and all of them; the others take the clip."""
    return [video[:, :, ::4], video] if "slowfast" in name else video
