"""The answers of every voice to every labelled clip, each from a learner that saw nothing of its source video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tiers import FOLDS, SEED
from benchmarks.voice.features import read
from benchmarks.voice.networks import part
from benchmarks.voice.regression import Floats, Rows, Task, answers, together
from benchmarks.voice.rows import SKELETON, VIEWS, VOICES, Voice
from benchmarks.voice.skeletons import mirrored, sequence, statistics
from models.data.manifest import Dataset, Split
from models.data.tracks.ways import LabelledWay
from models.evaluation.figures.calibration import fit_temperature, log_probabilities
from models.evaluation.figures.predictions import Predictions
from models.motion_training import held_out, looks
from models.training.run.cross_validation import grouped_folds
from pipeline.motion import motion


class Study:
    """All voices over one data set. ``networks``: answers of trained networks, by name, in whatever order of clips.

    What was asked for once is kept.
    """

    def __init__(
        self,
        dataset: Dataset,
        people: Mapping[str, Sequence[LabelledWay]],
        cache: Path,
        networks: Mapping[str, Predictions],
    ) -> None:
        self.dataset = dataset
        self.records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
        known = {person.record.path: person for found in people.values() for person in found}
        self._people = [known[record.path] for record in self.records]
        self._cache, self._networks = cache, networks
        targets = dataset.targets(self.records)
        folds = grouped_folds(self.records, targets, FOLDS, SEED)
        self.task = Task(np.asarray(targets, np.int64), len(dataset.labels), folds)
        self._said: dict[str, Floats | None] = {}

    def predictions(self, logits: Floats) -> Predictions:
        return Predictions(self.dataset.labels, self.records, np.asarray(logits, np.float64), self.task.targets)

    def together(self, names: Sequence[str]) -> Predictions | None:
        """→ what the voices ``names`` say together; None where one of them is not there."""
        found = [self.said(name) for name in names]
        given = [each for each in found if each is not None]
        return self.predictions(together(given)) if len(given) == len(found) else None

    def said(self, name: str) -> Floats | None:
        """→ (N, C) log probabilities of one voice."""
        if name not in self._said:
            self._said[name] = self._voice(VOICES[name]) if name in VOICES else self._network(name)
        return self._said[name]

    def _network(self, name: str) -> Floats | None:
        found = self._networks.get(name)
        if found is None:
            return None
        at = {record.path: row for row, record in enumerate(found.records)}
        logits = found.logits[[at[record.path] for record in self.records]]
        return log_probabilities(logits, fit_temperature(logits, self.task.targets))

    def _voice(self, voice: Voice) -> Floats | None:
        if voice.head:
            ways = [person.way for person in self._people]
            return held_out([looks(way, seed) for seed, way in enumerate(ways)], self.dataset)
        rows = self._rows(voice)
        if rows is None:
            return None
        return together([answers(learner, rows, self.task) for learner in voice.learners])

    def _rows(self, voice: Voice) -> Rows | None:
        """→ of each clip (R, F): the parts of the voice side by side; a part of one row stands beside all."""
        parts: list[Rows] = []
        for view in voice.views:
            found = read(self._cache, view, self._people)
            if found is None:
                return None
            parts.append([part(rows if voice.looks else rows[:1], voice.endpoints) for rows in found])
        if voice.motion:
            parts.append([motion(person.way)[None] for person in self._people])
        if voice.joints:
            found = read(self._cache, SKELETON, self._people)
            if found is None:
                return None
            parts.append([_postures(rows[0].astype(np.float64), voice.in_time) for rows in found])
        return [_beside(each) for each in zip(*parts, strict=True)]


def _postures(joints: Floats, in_time: bool) -> Floats:
    """(T, 17, 3) → (2, F): of the skeleton and its mirror image."""
    speed = VIEWS[SKELETON].speed
    return np.stack([sequence(each) if in_time else statistics(each, speed) for each in (joints, mirrored(joints))])


def _beside(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    count = max(len(each) for each in parts)
    return np.concatenate([each if len(each) == count else each[:1].repeat(count, axis=0) for each in parts], axis=1)
