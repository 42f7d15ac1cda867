"""A data set whose classes are colours, and a classifier that looks at colours: answers can be worked out by hand.

The clips are real files: pieces of the bundled street video, tinted.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.data.clip_file import ClipFormat, clip_name, write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, write_dataset
from models.weights.cards import LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from tests.support.places import STREET

LABELS = ("Red", "Green", "Blue")
SIZE, FRAMES = 32, 16


@cache
def street(count: int = 24) -> NDArray[np.uint8]:
    """uint8 (count, 32, 32, 3): the middle of the street video."""
    with av.open(str(STREET)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]
    height, width = frames[0].shape[:2]
    top, left = height // 2, width // 2
    return np.stack([frame[top : top + SIZE, left : left + SIZE] for frame in frames])


def coloured_clip(colour: int, length: int = FRAMES) -> NDArray[np.uint8]:
    clip = street()[:length] // 4
    clip[..., colour] += 150
    return clip


def write_coloured(folder: Path, shown: list[tuple[str, str, Split]], length: int = FRAMES) -> Dataset:
    """``shown``: (label, colour that the clip really has, split); two clips that follow each other share a group."""
    records = []
    for number, (label, colour, split) in enumerate(shown):
        path = folder / "clips" / label / clip_name(f"clip-{number:02d}", ClipFormat.H264)
        write_clip(path, coloured_clip(LABELS.index(colour), length), 25.0)
        group = f"{split.value}-{number // 2}"
        records.append(ClipRecord(path, label, group, split, f"video{number}", 1, 0.0, length / 25, length))
    form = ModelInput(frames=FRAMES, height=SIZE, width=SIZE)
    dataset = Dataset(folder, DatasetInfo(class2label=class2label(LABELS), input=form), tuple(records))
    write_dataset(dataset)
    return dataset


def perfect(split: Split = Split.VAL, each: int = 2) -> list[tuple[str, str, Split]]:
    return [(label, label, split) for label in LABELS for _ in range(each)]


class ColourClassifier:
    """Logits are the mean colours over 25: the strongest colour wins. Its classes stand in another order."""

    def __init__(self, labels: tuple[str, ...] = ("Blue", "Red", "Green"), frames: int = FRAMES, rate_hz: float = 25.0):
        self.labels = labels
        form = ModelInput(frames=frames, height=SIZE, width=SIZE, rate_hz=rate_hz)
        sums = {MODEL_FILE: "0" * 64, LABELS_FILE: "0" * 64}
        self.card = ModelCard(
            name="colours",
            kind="se_i3d",
            num_classes=len(labels),
            provenance="test",
            licence="none",
            sha256=sums,
            input=form,
        )
        self.preferred_batch = 4
        self.asked: list[int] = []  # clips in each call

    def logits(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert clips.dtype == np.uint8 and clips.shape[1:] == self.card.clip_shape
        self.asked.append(len(clips))
        means = clips.mean(axis=(1, 2, 3)) / 25  # (N, 3) red, green, blue
        return means[:, [LABELS.index(label) for label in self.labels]].astype(np.float32)
