"""Networks that read optical flow, behind the interface of those that read pictures.

The flow is computed from a clip's crops with the code that training uses (``models.data.batches.flow``, DIS, ±20
pixels) and laid beside the colours as two more channels of bytes, (T, H, W, 3 + 2), or alone, (T, H, W, 2). A byte is
``round(flow · 127) + 128``: the steps that training's flow cache keeps, 0.16 pixels. So every runtime and every export
takes one uint8 array; the graph takes it apart again (``models.networks.packed_clip``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data.batches.flow import flow_fields
from models.runtimes.runner import Clips, Floats, Runner
from models.weights.cards import ModelCard
from models.weights.network_input import FLOW_CHANNELS, channels

_ZERO, _STEPS = 128, 127


def packed(card: ModelCard, clips: Clips) -> Clips:
    """uint8 (N, T, H, W, 3) RGB → uint8 (N, T, H, W, channels) for the card's network; RGB networks' as they are.

    Raises DatasetError for pictures below 16 pixels.
    """
    count = channels(card)
    if count == clips.shape[-1]:
        return clips
    arrays = np.empty((*clips.shape[:-1], count), np.uint8)
    for array, clip in zip(arrays, clips, strict=True):
        array[..., -FLOW_CHANNELS:] = flow_bytes(clip)
        if count > FLOW_CHANNELS:
            array[..., :3] = clip
    return arrays


def flow_bytes(clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (T, H, W, 3) RGB → uint8 (T, H, W, 2): 128 is no motion, 1 and 255 are 20 pixels a picture."""
    return np.asarray(np.rint(flow_fields(clip) * _STEPS) + _ZERO, np.uint8)


@dataclass(slots=True)
class FlowRunner:
    """A runner of packed clips as a runner of RGB clips. A clip of 64 × 224² costs some 0.1 s more of one core."""

    inner: Runner
    card: ModelCard
    description: str

    shares_clips = False

    @property
    def preferred_batch(self) -> int:
        return self.inner.preferred_batch

    def __call__(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        return self.inner(packed(self.card, clips), boxes)


def for_pictures(runner: Runner, card: ModelCard) -> Runner:
    """→ ``runner``, which takes what the card's network is given, as one that takes RGB clips."""
    if channels(card) == 3:
        return runner
    return FlowRunner(runner, card, f"{runner.description}, optical flow (DIS) from the crops")
