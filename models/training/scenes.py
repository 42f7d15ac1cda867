"""Examples that are people in whole scenes: cut once to disk, then read into batches of clips or of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from models.data.batches.input_pipeline import epoch_order
from models.data.manifest import ClipRecord, Dataset
from models.data.tracks.scene_store import LabelledScenes, Progress, SceneRecord, cut_scenes
from models.training.config import SCENE_RATE_HZ, Mode, TrainConfig
from models.training.data import Batch, FeatureSource
from models.training.feature_cache import Counted, FeatureSet, short_key
from models.weights.cards import ModelInput

FOLDER = "scenes"  # in the cache


def cut(scenes: LabelledScenes, config: TrainConfig, cache: Path, progress: Progress) -> Dataset:
    """→ the examples of a training; the pictures lie in ``cache``. Raises DatasetError, OSError as ``cut_scenes``."""
    seen = config.input
    dataset = cut_scenes(scenes, scene_shape(config), seen.hop, cache / FOLDER, progress, seen.shortest)
    at_speed_1 = dataset.info.input.model_copy(update={"rate_hz": SCENE_RATE_HZ})  # as data sets of crops say it
    return replace(dataset, info=dataset.info.model_copy(update={"input": at_speed_1}))


def scene_shape(config: TrainConfig) -> ModelInput:
    """→ clips as the configuration wants them, sampled with ``SCENE_RATE_HZ / window.speed``."""
    window, (height, width) = config.input.window, config.input.size_hw
    rate_hz = SCENE_RATE_HZ / window.speed
    return ModelInput(kind="scene", frames=window.length, height=height, width=width, rate_hz=rate_hz)


@dataclass(frozen=True, slots=True)
class Scenes:
    """The examples of networks that read whole scenes and a box."""

    config: TrainConfig

    def problems(self, dataset: Dataset) -> Iterator[str]:
        if dataset.info.input.kind != "scene":
            yield (
                f"network.kind {self.config.network.kind!r} reads whole scenes and the boxes of people in them, which "
                f"data sets of crops such as {dataset.folder} do not hold; the working folder of `actoscope dataset "
                "extract` and `label` does"
            )

    def source(self, records: Sequence[ClipRecord], targets: Sequence[int], classes: int) -> SceneSource:
        return SceneSource(_scenes(records), targets, classes, self.config.batch_size, self.config.seed)

    def reader(self, stream: Mode) -> SceneReader:
        return SceneReader((self.config.input.window.length, *self.config.input.size_hw, 3))

    def feature_source(
        self, features: Mapping[Mode, FeatureSet], records: Sequence[ClipRecord], targets: Sequence[int], classes: int
    ) -> FeatureSource:
        boxes = np.array([record.box for record in _scenes(records)], np.float32)
        return SceneFeatureSource(features, targets, classes, self.config.batch_size, self.config.seed, boxes)


def _scenes(records: Sequence[ClipRecord]) -> Sequence[SceneRecord]:
    """What ``problems`` has found to be scenes."""
    return cast("Sequence[SceneRecord]", records)


@dataclass(frozen=True, slots=True)
class SceneSource:
    """Batches of scenes: dict(clip float32 (B, T, H, W, 3) in [-1, 1], boxes float32 (B, 4)). Memory holds one."""

    records: Sequence[SceneRecord]
    targets: Sequence[int]
    classes: int
    batch: int
    seed: int

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        order = epoch_order(len(self.targets), None if epoch is None else self.seed, epoch or 0)
        one_hot = np.eye(self.classes, dtype=np.float32)[np.asarray(self.targets)]
        for start in range(0, len(order), self.batch):
            picked = order[start : start + self.batch]
            shown = [self.records[index] for index in picked]
            clips = np.stack([scaled(record.read()) for record in shown])
            yield {"clip": clips, "boxes": np.array([record.box for record in shown], np.float32)}, one_hot[picked]


@dataclass(frozen=True, slots=True)
class SceneFeatureSource(FeatureSource):
    """As ``FeatureSource`` for the features of scenes: inputs are dict(features=…, boxes=float32 (B, 4))."""

    boxes: NDArray[np.float32]  # (N, 4)

    def _inputs(self, picked: NDArray[np.int64], draws: NDArray[Any]) -> Any:
        (features,) = self.features.values()
        return {"features": self._load(features, picked, draws), "boxes": self.boxes[picked]}

    def part(self, first: int, last: int) -> SceneFeatureSource:
        kept, boxes = FeatureSource.part(self, first, last), self.boxes[first:last]
        return SceneFeatureSource(kept.features, kept.targets, self.classes, self.batch, self.seed, boxes)


@dataclass(frozen=True, slots=True)
class SceneReader:
    """Scenes for the cache of features (a ``ClipReader``): people of one clip share a name, and so its features."""

    shape: tuple[int, int, int, int]

    def names(self, record: ClipRecord, draws: int) -> list[str]:
        """There is one draw: scenes are learnt from as they are."""
        (scene,) = _scenes([record])
        return [f"{scene.video}-{short_key(scene.file.parent.name, repr(scene.pictures))}"] * draws

    def read(self, record: ClipRecord, draw: int) -> Counted:
        (scene,) = _scenes([record])
        return scaled(scene.read()), len(scene.pictures)


def scaled(clip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 → float32 in [-1, 1]."""
    return clip.astype(np.float32) / np.float32(127.5) - np.float32(1)
