"""Training a Video Action Transformer on scenes, from Python (`actoscope train` trains networks of crops).

    rows = read_labels(work / "labels.csv")
    shape = ModelInput(kind="scene", frames=64, height=224, width=224)
    examples = list(scene_examples(work, rows, shape))
    trunk = read_start(find_weights("i3d-kinetics400")).weights
    config = SceneTraining(shape, provenance="own videos", licence="own")
    train_scenes(Path("weights/scene"), examples, trunk, config)

The trunk keeps the weights of an I3D, which scenes resemble: it was trained on whole pictures. The head learns, by
Adam with a falling rate. The folder is one that the service, ``actoscope annotate`` and ``evaluate`` over videos load.
No figures stand here: no scene network has been trained on enough scenes by this project yet.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.data.manifest import Split
from models.data.tracks.scene_examples import SceneExample
from models.errors import TrainingError
from models.networks.action_transformer import TRUNK_ENDPOINTS, load_trunk, make_action_transformer
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from models.weights.half_weights import halve
from pipeline.files import file_sha256

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SceneTraining:
    """How to train. ``options`` are the network's (``ActionTransformerConfig``)."""

    shape: ModelInput
    provenance: str
    licence: str
    epochs: int = 20
    batch: int = 8
    learning_rate: float = 1e-3
    train_trunk: bool = False
    seed: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)


def train_scenes(
    folder: Path,
    examples: Sequence[SceneExample],
    trunk: Mapping[str, NDArray[np.float32]] | None,
    config: SceneTraining,
) -> Mapping[str, float]:
    """Train on every example whose split is not val or test, write ``folder`` → accuracies, ``val/top1`` among them.

    ``trunk`` None starts at random. Labels are ordered by name. Raises TrainingError for too few labels or examples,
    or when ``folder`` exists.
    """
    labels = tuple(sorted({example.label for example in examples}))
    learnt = [example for example in examples if example.split in (Split.NONE, Split.TRAIN)]
    if folder.exists() or len(labels) < 2 or not learnt:
        got = f"{len(learnt)} examples, labels {', '.join(labels) or 'none'}"
        raise TrainingError(f"expected a new folder, examples and at least two labels; got {folder} and {got}")
    keras.utils.set_random_seed(config.seed)
    shape = config.shape
    clip_shape = (shape.frames, shape.height, shape.width, 3)
    model = make_action_transformer(len(labels), clip_shape, **config.options)
    if trunk is not None:
        load_trunk(model, trunk)
    _fit(model, learnt, labels, config)
    held_out = [example for example in examples if example.split is Split.VAL]
    metrics = {
        f"{name}/top1": accuracy(model, part, labels) for name, part in (("train", learnt), ("val", held_out)) if part
    }
    _write(folder, model, labels, config, metrics)
    return metrics


def _fit(model: Any, examples: Sequence[SceneExample], labels: tuple[str, ...], config: SceneTraining) -> None:
    trunk = {name for endpoint in TRUNK_ENDPOINTS for name in (endpoint, f"{endpoint}_se")}
    for layer in model.layers:
        if layer.name in trunk:
            layer.trainable = config.train_trunk
    steps = math.ceil(len(examples) / config.batch)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)  # XLA compiles this for minutes on a CPU
    order = np.random.default_rng(config.seed)
    for epoch in range(1, config.epochs + 1):
        turn = order.permutation(len(examples))
        losses = [
            float(model.train_on_batch(*_batch([examples[index] for index in part], labels)))
            for part in np.array_split(turn, steps)
        ]
        _LOG.info("epoch %d of %d: loss %.4f", epoch, config.epochs, np.mean(losses))


def _batch(examples: Sequence[SceneExample], labels: tuple[str, ...]) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """→ dict(clip float32 (B, T, H, W, 3) in [-1, 1], boxes float32 (B, 4)) and the labels' numbers (B,)."""
    clips = np.stack([example.stack() for example in examples]).astype(np.float32) / np.float32(127.5) - np.float32(1)
    boxes = np.stack([example.box for example in examples])
    return {"clip": clips, "boxes": boxes}, np.array([labels.index(example.label) for example in examples])


def accuracy(model: Any, examples: Sequence[SceneExample], labels: tuple[str, ...]) -> float:
    """→ the part of the examples whose label has the highest logit."""
    right = 0
    for example in examples:
        inputs, target = _batch([example], labels)
        right += int(np.argmax(keras.ops.convert_to_numpy(model(inputs, training=False))) == target[0])
    return right / len(examples)


def _write(
    folder: Path, model: Any, labels: tuple[str, ...], config: SceneTraining, metrics: Mapping[str, float]
) -> None:
    """Write the folder under another name, then rename it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as work:
        fresh = Path(work) / "fresh"
        fresh.mkdir()
        model.save(fresh / MODEL_FILE)
        halve(fresh / MODEL_FILE)
        (fresh / LABELS_FILE).write_text("\n".join(labels) + "\n", "utf-8")
        card = ModelCard(
            name=folder.name,
            kind="action_transformer",
            num_classes=len(labels),
            input=config.shape,
            metrics=dict(metrics),
            provenance=config.provenance,
            licence=config.licence,
            seed=config.seed,
            sha256={name: file_sha256(fresh / name) for name in (MODEL_FILE, LABELS_FILE)},
        )
        (fresh / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
        fresh.rename(folder)
