"""One network of a version learns on: its parent's weights, the mixture's clips → a weights folder without a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation.figures.calibration import probabilities
from models.retraining.mixture import Mixture
from models.retraining.recipes import Clips, Recipe, recipe
from models.training.data import FeatureSource
from models.training.kinds.saved import before_output
from models.training.run.loop import Splits, predict
from models.training.run.train import Job, Places, Teller
from models.training.run.weights_folder import Trained, write_folder
from models.weights.cards import CARD_FILE, ModelCard, read_card
from models.weights.motion_head import MOTION_FILE
from models.weights.saved_network import load_network
from pipeline.files import file_sha256, write_atomically

_CARRIED = ("runtime", "evidence", "licence", "data", "limits", "temperature")  # of the parent's card


@dataclass(frozen=True, slots=True)
class Lesson:
    """``parent``: the card of the network that learns on. ``rate_hz``: of the clips. ``run``: checkpoints, logs."""

    parent: ModelCard
    mixture: Mixture
    configuration: str
    run: Path
    cache: Path

    @property
    def output(self) -> Path:
        return self.run / "weights"


@dataclass(frozen=True, slots=True)
class Learnt:
    card: ModelCard
    config_sha256: str


def learn(lesson: Lesson, teller: Teller, command: str) -> Learnt:
    """→ the card in ``lesson.output``. What is there already is taken as it is; a training that was killed goes on.

    Raises TrainingError, DatasetError, OSError.
    """
    how = _recipe(lesson)
    if not (lesson.output / CARD_FILE).is_file():
        dataset = lesson.mixture.dataset
        places = Places(lesson.output, lesson.run, lesson.cache, lesson.parent.folder.parent)
        records = (*lesson.mixture.base_train, *lesson.mixture.learnt)
        job = Job(how.config, dataset, places, teller, places.run / "final")
        network, splits = job.prepare(records, ())
        job.fit(network, told(network.model, splits, how, lesson.parent.temperature))
        write_folder(lesson.output, network.streams, how.config, dataset, Trained({}, command))
    if read_card(lesson.output).provenance != _provenance(lesson.parent):  # a kill may have come between the two
        _carry_over(lesson)
    return Learnt(read_card(lesson.output), how.sha256())


def told(model: Any, splits: Splits, how: Recipe, temperature: float) -> Splits:
    """→ the same, where a part of what is learnt of each clip is what the network says of it before it learns."""
    source = splits.train
    if not how.said or not isinstance(source, FeatureSource):
        return splits
    labels = np.eye(source.classes, dtype=np.float32)[np.asarray(source.targets)]
    said = probabilities(predict(model, source).astype(np.float64), temperature)
    soft = (how.said * said + (1 - how.said) * labels).astype(np.float32)
    return replace(splits, train=replace(source, soft=soft))


def _recipe(lesson: Lesson) -> Recipe:
    mixture = lesson.mixture
    count = len(mixture.learnt) + len(mixture.base_train)
    clips = Clips(count, mixture.dataset.info.input.rate_hz, with_base=bool(mixture.base_train))
    return recipe(lesson.configuration, lesson.parent, clips, before_output(load_network(lesson.parent)))


def _carry_over(lesson: Lesson) -> None:
    """What the parent's card says of the network holds on; what boxes say beside it comes along."""
    folder, parent = lesson.output, lesson.parent
    sums = {}
    if MOTION_FILE in parent.sha256:
        write_atomically(folder / MOTION_FILE, (parent.folder / MOTION_FILE).read_bytes())
        sums[MOTION_FILE] = file_sha256(folder / MOTION_FILE)
    card = read_card(folder)
    carried = {name: getattr(parent, name) for name in _CARRIED}
    update = {**carried, "provenance": _provenance(parent), "sha256": {**card.sha256, **sums}}
    write_atomically(folder / CARD_FILE, card.model_copy(update=update).model_dump_json(indent=2) + "\n")


def _provenance(parent: ModelCard) -> str:
    """→ what a card says once everything was carried over to it: it is written last."""
    return f"{parent.provenance} Then retrained on corrected labels."
