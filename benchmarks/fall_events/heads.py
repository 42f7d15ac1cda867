"""Output layers trained leaving one subject out, applied to recorded features: what each network would have said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord, Dataset, Split
from models.networks.i3d import HEAD_NORM, LOGITS_CONV
from models.training.config import TrainConfig
from models.training.run.distil import Lessons, labelled_part
from models.training.run.loop import predict
from models.training.run.train import Job, Places, Teller
from models.training.run.weights_folder import Trained, write_folder
from models.weights.cards import read_card
from models.weights.saved_network import load_network

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """``weights`` (F, C) and ``bias`` (C,) behind features that are brought to mean 0 and spread 1 where it asks."""

    weights: Floats
    bias: Floats
    mean: Floats
    spread: Floats

    def probabilities(self, features: NDArray[np.float16], temperature: float = 1.0) -> Floats:
        """(N, F or more) → (N, C); further features are left out."""
        known = features[:, : len(self.weights)].astype(np.float64)
        logits = ((known - self.mean) / self.spread @ self.weights + self.bias) / temperature
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def read_head(folder: Path) -> Head:
    """→ the output layer of the I3D in a weights folder."""
    model = load_network(read_card(folder))
    kernel, bias = (np.asarray(each, np.float64) for each in model.get_layer(LOGITS_CONV).get_weights())
    count = kernel.shape[-2]
    mean, spread = np.zeros(count), np.ones(count)
    if HEAD_NORM in {layer.name for layer in model.layers}:
        norm = model.get_layer(HEAD_NORM)
        mean, variance = (np.asarray(each, np.float64) for each in norm.get_weights())
        spread = np.sqrt(variance + norm.epsilon)
    return Head(kernel.reshape(count, -1), bias, mean, spread)


def fold_of(group: str, groups: Sequence[str], subjects: Sequence[str]) -> int:
    """→ the fold (from 0) that ``group`` is held out in: each subject has one, the other groups take turns."""
    if group in subjects:
        return subjects.index(group)
    return [each for each in sorted(groups) if each not in subjects].index(group) % len(subjects)


def divided(dataset: Dataset, fold: int, subjects: Sequence[str]) -> tuple[list[ClipRecord], list[ClipRecord]]:
    """→ what fold ``fold`` learns from, and what it holds out: one subject and a share of the other groups."""
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    groups = sorted({record.group for record in records})
    sides: tuple[list[ClipRecord], list[ClipRecord]] = ([], [])
    for record in records:
        sides[fold_of(record.group, groups, subjects) == fold].append(record)
    return sides


def train_fold(config: TrainConfig, dataset: Dataset, places: Places, fold: int, subjects: Sequence[str]) -> None:
    """Train without the fold's groups → the weights folder, and ``logits.npy`` of what is held out beside it."""
    teller = Teller(lambda *_: None, lambda _: None)
    unlabelled = config.distil.unlabelled if config.distil else ()
    known = labelled_part(dataset, unlabelled)
    lessons = Lessons(config, dataset, places.weights, places.cache, teller.step) if config.distil else None
    job = Job(config, known, places, teller, places.run, keep_last=True, lessons=lessons)
    network, splits = job.prepare(*divided(known, fold, subjects))
    job.fit(network, splits)
    write_folder(places.output, network.streams, config, known, Trained({}, "python benchmarks/falls.py"))
    if splits.val is not None:
        np.save(places.run / "logits.npy", predict(network.model, splits.val))
