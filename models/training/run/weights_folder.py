"""A trained network → a weights folder that the service loads: model.keras (half precision), labels.txt, card.json."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from models.data.manifest import Dataset
from models.training.config import Mode, TrainConfig
from models.training.run.networks import join_streams, trainable
from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from models.weights.half_weights import halve
from pipeline.files import file_sha256


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training found out, for the card."""

    metrics: Mapping[str, float]
    command: str


def write_folder(
    folder: Path, streams: Mapping[Mode, Any], config: TrainConfig, dataset: Dataset, trained: Trained
) -> None:
    """Write ``folder`` whole, in the place of what it held. Raises OSError where the disk fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as work:
        fresh, old = Path(work) / "fresh", Path(work) / "old"
        fresh.mkdir()
        plain_network(streams, config, dataset.labels).save(fresh / MODEL_FILE)
        halve(fresh / MODEL_FILE)
        (fresh / LABELS_FILE).write_text("\n".join(dataset.labels) + "\n", "utf-8")
        card = _card(folder.name, fresh, config, dataset, trained)
        (fresh / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def plain_network(streams: Mapping[Mode, Any], config: TrainConfig, labels: tuple[str, ...]) -> Any:
    """→ the network in float32 with the weights of ``streams``, whatever precision and freezing they trained with."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        plain = {mode: trainable(config).build_bare(mode, labels) for mode in streams}
    finally:
        keras.config.set_dtype_policy(policy)
    for mode, model in streams.items():
        plain[mode].set_weights(model.get_weights())
    return join_streams(plain)


def _card(name: str, fresh: Path, config: TrainConfig, dataset: Dataset, trained: Trained) -> ModelCard:
    text, (height, width), window = config.card, config.input.size_hw, config.input.window
    shape = {
        "frames": window.length,
        "height": height,
        "width": width,
        "rate_hz": dataset.info.input.rate_hz / window.speed,
    }
    return ModelCard(
        name=name,
        kind=trainable(config).card_kind,
        num_classes=len(dataset.labels),
        input=ModelInput(**{**dataset.info.input.model_dump(), **shape}),
        metrics=dict(trained.metrics),
        provenance=text.provenance or f"trained from {_start(config)}",
        licence=text.licence or "not stated",
        data=text.data or dataset.info.description,
        command=trained.command,
        seed=config.seed,
        recipes=dict(text.recipes),
        limits=text.limits,
        sha256={file: file_sha256(fresh / file) for file in (LABELS_FILE, MODEL_FILE)},
    )


def _start(config: TrainConfig) -> str:
    """What the training began with, for people; a file by its name alone."""
    given = config.network.options.get("weights")
    return config.network.init or (f"the weights {Path(given).name}" if given else "random weights")
