"""What the rest of the system sees of the networks: clips of people in, action probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.errors import OverlapUnsupportedError
from models.runtimes.load import load_runner
from models.runtimes.overlap import Place, StemReuse
from models.runtimes.runner import Clips, Floats, Precision, Runner, RuntimeOptions
from models.weights.cards import ClipShape, ModelCard, read_card


class ActionClassifier:
    """A network with its labels, ready to run (the first inference is already done)."""

    def __init__(self, card: ModelCard, runner: Runner) -> None:
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self._runner = runner
        self.stems: StemReuse | None = None  # set by reuse_stems

    @classmethod
    def load(
        cls,
        folder: Path,
        runtime: str = "auto",
        cache_dir: Path | None = None,
        threads: int | None = None,
        precision: Precision | str = Precision.AUTO,
        measure: bool = False,
    ) -> ActionClassifier:
        """Load a weights folder on a runtime of ``RUNTIMES`` (``openvino``, ``openvino:int8``, …).

        ``cache_dir`` keeps converted networks (default: inside ``folder``). ``measure`` lets ``auto`` time what there
        is where nothing is known of this host yet: some seconds. Raises CardError for a folder that is
        incomplete or contradicts itself, RuntimeUnavailableError when the runtime cannot run it.
        """
        card = read_card(folder)
        options = RuntimeOptions(Precision(precision), threads, cache_dir, measure)
        return cls(card, load_runner(card, runtime, options))

    @property
    def clip_shape(self) -> ClipShape:
        """(T, H, W, 3)."""
        return self.card.clip_shape

    @property
    def runtime(self) -> str:
        """What runs where, for people."""
        return self._runner.description

    @property
    def preferred_batch(self) -> int:
        """How many clips a call should hold for the best throughput."""
        return self._runner.preferred_batch

    @property
    def sees_scenes(self) -> bool:
        """Whether a clip shows the whole scene and needs a box beside it, instead of showing one person."""
        return self.card.input.kind == "scene"

    def logits(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        """uint8 (N, T, H, W, 3) RGB → float32 (N, C).

        ``boxes`` float32 (N, 4), x1 y1 x2 y2 in 0..1, are for networks that see whole scenes: where the person is in
        picture T // 2. With one clip and N boxes, N people of that clip are judged, and the scene's features computed
        once. Raises ValueError for another dtype or shape, missing boxes, and boxes that the network has no use for.
        """
        self._check(clips)
        self._check_boxes(len(clips), boxes)
        if len(clips) == 0:
            return np.zeros((0, len(self.labels)), np.float32)
        if boxes is None:
            return self._runner(clips)
        if len(clips) < len(boxes) and not getattr(self._runner, "shares_clips", False):
            clips = np.broadcast_to(clips, (len(boxes), *clips.shape[1:]))  # no copy
        return self._runner(clips, boxes)

    def _check(self, clips: Clips) -> None:
        if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[1:] != self.clip_shape:
            expected = ", ".join(map(str, self.clip_shape))
            raise ValueError(f"clips must be uint8 (N, {expected}), got {clips.dtype} {clips.shape}")

    def reuse_stems(self, memory_bytes: int) -> None:
        """From now on ``predict_placed`` reuses what consecutive clips of a track share (``models.runtimes.overlap``).

        The features kept take ``memory_bytes`` at most. Raises OverlapUnsupportedError, and stays as it was, when the
        network or its runtime cannot.
        """
        if self.sees_scenes:
            raise OverlapUnsupportedError(f"{self.card.name} sees whole scenes, which its people share already")
        overlapping = getattr(self._runner, "overlapping", None)
        if overlapping is None:
            raise OverlapUnsupportedError(f"{self.runtime} cannot run the stem of a network by itself")
        self._runner = self.stems = overlapping(memory_bytes)

    def predict_placed(self, clips: Clips, places: Sequence[Place | None]) -> Floats:
        """As ``predict``; each clip with its place on its track, or None where it is provisional."""
        if self.stems is None or len(clips) == 0:
            return self.predict(clips)
        self._check(clips)
        return softmax(self.stems.run(clips, places) / np.float32(self.card.temperature))

    def predict(self, clips: Clips, boxes: Floats | None = None) -> Floats:
        """As ``logits`` → float32 (N, C) probabilities in the order of ``labels``; each row sums to 1.

        The logits are divided by the card's calibrated temperature first (Guo et al. 2017).
        """
        return softmax(self.logits(clips, boxes) / np.float32(self.card.temperature))

    def _check_boxes(self, count: int, boxes: Floats | None) -> None:
        if boxes is None:
            if self.sees_scenes:
                raise ValueError(f"{self.card.name} sees whole scenes: it needs boxes float32 ({count}, 4), got none")
            return
        if not self.sees_scenes:
            raise ValueError(f"{self.card.name} reads crops of people: it takes no boxes, got {boxes.shape}")
        fits = boxes.ndim == 2 and boxes.shape[1] == 4 and len(boxes) > 0 and count in (1, len(boxes))
        if boxes.dtype != np.float32 or not (fits or count == len(boxes) == 0):
            raise ValueError(f"boxes must be float32 ({count}, 4), got {boxes.dtype} {boxes.shape}")
        if not (np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= 1).all()):
            raise ValueError("boxes must be x1 y1 x2 y2 as parts of the picture, within 0..1")


def softmax(logits: Floats) -> Floats:
    """float32 (N, C) → float32 (N, C) probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float32)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
