"""Examples that are crops of one person: how a training tells them apart, reads them and puts them into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.data.batches.input_pipeline import InputConfig, read_counted, read_flow
from models.data.clip_file import Clip, read_clip
from models.data.manifest import ClipRecord, Dataset
from models.training.config import CHANNELS, Mode, TrainConfig
from models.training.data import ClipSource, FeatureSource, SequenceSource, Source, input_config
from models.training.feature_cache import Counted, FeatureSet, short_key
from pipeline.files import file_sha256


@dataclass(frozen=True, slots=True)
class Crops:
    """The examples of networks that read crops. ``sequences``: their features are rows, one a picture, with a mask."""

    config: TrainConfig
    sequences: bool = False

    def problems(self, dataset: Dataset) -> Iterator[str]:
        if dataset.info.input.kind != "crops":
            yield f"network.kind {self.config.network.kind!r} reads crops, {dataset.folder} holds whole scenes"
        if self.config.input.width:
            yield f"input.width is for whole scenes: crops are square, input.size ({self.config.input.size}) is enough"

    def source(self, records: Sequence[ClipRecord], targets: Sequence[int], classes: int) -> Source:
        return ClipSource(records, targets, replace(input_config(self.config, classes), seed=self.config.seed))

    def reader(self, stream: Mode) -> CropReader:
        return CropReader(input_config(self.config, 1), stream)

    def feature_source(
        self, features: Mapping[Mode, FeatureSet], records: Sequence[ClipRecord], targets: Sequence[int], classes: int
    ) -> FeatureSource:
        kind = SequenceSource if self.sequences else FeatureSource
        return kind(features, targets, classes, self.config.batch_size, self.config.seed)


@dataclass(frozen=True, slots=True)
class CropReader:
    """Clips of one stream for the cache of features (a ``ClipReader``), augmented as ``config`` says.

    The clip that was read last is kept as it was decoded, which costs most of a read: its other draws come next.
    """

    config: InputConfig
    stream: Mode
    _last: dict[Path, Clip] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.config.window.length, self.config.size, self.config.size, CHANNELS[self.stream]

    def names(self, record: ClipRecord, draws: int) -> list[str]:
        clip = short_key(clip_key(record.path))
        return [f"{clip}-{self._draw(draw)}" for draw in range(draws)]

    def read(self, record: ClipRecord, draw: int) -> Counted:
        """→ float (T, S, S, 3) RGB or (T, S, S, 2) flow in [-1, 1], and how many pictures are no repetition."""
        number = draw or None  # 0 is the plain clip, which ``read_counted`` calls None
        if self.stream is Mode.FLOW:
            return read_flow(record, self.config, number), self.config.window.length
        clip, real = read_counted(record, self.config, number, self._decoded(record.path))
        return clip.astype(np.float32) / np.float32(127.5) - np.float32(1), real

    def _decoded(self, path: Path) -> Clip:
        if path not in self._last:
            clip = read_clip(path)
            self._last.clear()
            self._last[path] = clip
        return self._last[path]

    def _draw(self, draw: int) -> str:
        """→ name of a draw: draw 0 depends on no augmentation, so that every training shares it."""
        parts = [repr(self.config.window), str(self.config.size)]
        if self.stream is Mode.FLOW:
            parts += [self.config.flow_method.value, self.config.flow_precision.value]
        if draw == 0:
            return f"plain-{short_key(*parts)}"
        return f"{draw:02d}-{short_key(*parts, repr(self.config.augment), str(self.config.seed))}"


def clip_key(path: Path) -> str:
    """→ sha256 of a clip's content, whatever its name: of the file, or of all pictures of a folder."""
    if not path.is_dir():
        return file_sha256(path)
    return short_key(*(f"{file.name} {file_sha256(file)}" for file in sorted(path.glob("*.jpg"))))
