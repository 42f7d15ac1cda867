"""Networks of other libraries, for speed only: random weights, torch eager float32, their own usual clip sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.comparison.worker import Clip, Floats, Run


@dataclass(frozen=True, slots=True)
class Peer:
    """How it is built, and the clip it was published with: (T, size, size)."""

    build: Callable[[], Any]
    frames: int
    size: int


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


PEERS: Mapping[str, Peer] = {
    "torchvision s3d": Peer(_torchvision("s3d"), 64, 224),
    "torchvision r3d_18": Peer(_torchvision("r3d_18"), 16, 112),
    "torchvision swin3d_t": Peer(_torchvision("swin3d_t"), 32, 224),
    "pytorchvideo slowfast_r50": Peer(_slowfast, 32, 224),
    "pytorchvideo x3d_m": Peer(_x3d_m, 16, 224),
}


def load_peer(name: str, threads: int | None) -> tuple[Run, str, tuple[str, ...]]:
    """→ uint8 clip (T, S, S, 3) → logits, a description, no labels."""
    if threads is not None:
        torch.set_num_threads(threads)
    model = PEERS[name].build().eval()

    def run(clip: Clip) -> Floats:
        with torch.inference_mode():
            video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0  # (1, 3, T, S, S)
            return np.asarray(model(_pathways(name, video))[0].numpy(), np.float32)

    return run, f"torch {torch.__version__.partition('+')[0]} f32 eager, {torch.get_num_threads()} threads", ()


def _pathways(name: str, video: Any) -> Any:
    """SlowFast takes every fourth (at 8 of 32: alpha) picture and all of them; the others take the clip."""
    return [video[:, :, ::4], video] if "slowfast" in name else video


def parameters(name: str) -> int:
    return sum(int(weight.numel()) for weight in PEERS[name].build().parameters())
