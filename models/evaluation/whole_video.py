"""What a network says of a whole video, window by window: the rolling mean of its answers, and a GIF that shows it.

Networks that see whole pictures (trained on ``actoscope dataset prepare``) need no tracks: the central square is cut as
in training. A window ends every half of its length; each answer is the mean of the last few (their probabilities), so
that one odd window changes little.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.data.batches.clip_window import WindowConfig, window_indices
from models.data.clip_file import Clip
from models.data.layouts.whole_frame import WholeFrameCutter
from models.errors import EvaluationError
from models.weights.cards import ModelCard

Floats = NDArray[np.float32]
PIECE_S = 10.0  # of a long video that is held at once
GIF_SIDE, GIF_STEP_S, BAND = 192, 0.08, 24  # pixels, seconds, pixels of the line below a picture
_INK, _PAPER = (28, 28, 30), (255, 255, 255)


class Network(Protocol):
    """The part of ``models.classifier.ActionClassifier`` that is needed."""

    card: ModelCard
    labels: tuple[str, ...]

    def predict(self, clips: NDArray[np.uint8]) -> Floats:
        """uint8 (N, T, H, W, 3) RGB → float32 (N, C) probabilities."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``pictures`` uint8 (n, S, S, 3) RGB: new since the answer before. ``chances`` float32 (C,): the rolling mean."""

    pictures: Clip
    chances: Floats


def answers(network: Network, video: Path, last: int) -> Iterator[Answer]:
    """One answer a window, each the mean of the ``last`` ones. A video under one window is played back and forth.

    Raises EvaluationError for a network that sees scenes, or pictures that are not square; DatasetError for a video
    that cannot be read.
    """
    cutter = _cutter(network.card)
    said: deque[Floats] = deque(maxlen=last)
    for piece in cutter.cut(video):
        for clip, new in windows(piece.clip, network.card.input.frames):
            said.append(network.predict(clip[None])[0])
            yield Answer(new, np.mean(said, axis=0))


def windows(clip: Clip, length: int) -> Iterator[tuple[Clip, Clip]]:
    """→ windows of ``length`` pictures, one every half of that, and what each of them is the first to show.

    The last one ends with the clip.
    """
    ends = list(range(length, len(clip), max(1, length // 2)))
    shown = 0
    for end in [*ends, len(clip)]:
        part = clip[max(0, end - length) : end]
        yield part[window_indices(len(part), WindowConfig(length))], clip[shown:end]
        shown = end


def gif(found: Iterable[Answer], labels: Sequence[str], rate_hz: float) -> bytes:
    """→ an endless GIF at the video's own speed, some 12 pictures a second, below each what was said then."""
    step = max(1, round(GIF_STEP_S * rate_hz))
    pictures = [_told(picture, answer, labels) for answer in found for picture in answer.pictures[::step]]
    data = io.BytesIO()
    pause_ms = max(20, round(1000 * step / rate_hz))
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=pause_ms, loop=0)
    return data.getvalue()


def _told(picture: Clip, answer: Answer, labels: Sequence[str]) -> Image.Image:
    """The picture with the likeliest class below it."""
    best = int(answer.chances.argmax())
    page = Image.new("RGB", (GIF_SIDE, GIF_SIDE + BAND), _PAPER)
    page.paste(Image.fromarray(cv2.resize(picture, (GIF_SIDE, GIF_SIDE), interpolation=cv2.INTER_AREA)))
    text = f"{labels[best]} {answer.chances[best]:.0%}"
    ImageDraw.Draw(page).text((4, GIF_SIDE + 3), text, fill=_INK, font=ImageFont.load_default(15))
    return page.quantize(128)


def _cutter(card: ModelCard) -> WholeFrameCutter:
    """Raises EvaluationError where the network sees no central squares."""
    seen = card.input
    if seen.kind != "crops" or seen.height != seen.width:
        raise EvaluationError(
            f"{card.name} sees {seen.kind} of {seen.height}×{seen.width}: expected a network of square pictures"
        )
    return WholeFrameCutter(seen.height, round(seen.height * 256 / 224), seen.rate_hz, piece_s=PIECE_S)
