"""``actoscope train``: from a configuration and a data set to a weights folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.data.manifest import ClipRecord, Dataset, Split
from models.data.tracks.scene_store import LabelledScenes
from models.errors import TrainingError, UnreadableFileError
from models.training.config import CLASS_WEIGHTS, Mode, TrainConfig
from models.training.data import FeatureSource, Source
from models.training.feature_cache import features_of
from models.training.run.checks import check_config, check_training, data_problems, needs_start, refuse
from models.training.run.cross_validation import grouped_folds, write_predictions
from models.training.run.distil import Lesson, Lessons, labelled_part
from models.training.run.log import CURVES_FILE, TrainingLog, draw_curves
from models.training.run.loop import Network, Splits, Watcher, predict, run_epochs
from models.training.run.losses import balanced_class_weights
from models.training.run.networks import join_streams, trainable
from models.training.run.scores import scores
from models.training.run.state import LAST_FILE, Checkpoint, Row
from models.training.run.weights_folder import Trained, write_folder
from models.training.scenes import cut
from models.weights.start import find_weights, read_start
from pipeline.files import write_atomically


@dataclass(frozen=True, slots=True)
class Places:
    """``output``: the weights folder to write. ``run``: checkpoints, logs. ``cache``: features, for all trainings.
    ``weights``: the directory of the weights folders that a training may start from.
    """

    output: Path
    run: Path
    cache: Path
    weights: Path


@dataclass(frozen=True, slots=True)
class Teller:
    """Who is told. ``step``: (what, done, of how many). ``line``: one finished thing, for a person."""

    step: Callable[[str, int, int], None]
    line: Callable[[str], None]


def train(
    config: TrainConfig,
    data: Dataset | LabelledScenes,
    places: Places,
    teller: Teller,
    command: str = "",
    resume: bool = False,
) -> dict[str, float]:
    """Cross-validate where wanted, train, write the weights folder → the metrics on its card.

    Scenes are cut to clips first, after a look at the configuration. Raises TrainingError, before any work, with all
    that is wrong; DatasetError, OSError.
    """
    whole = checked(config, data, places, teller)
    dataset = labelled_part(whole, config.distil.unlabelled) if config.distil else whole
    if not resume and any(places.run.glob(f"**/{LAST_FILE}")):
        raise TrainingError(f"{places.run} holds a training already: resume it, or name another run folder")
    places.run.mkdir(parents=True, exist_ok=True)
    lessons = Lessons(config, whole, places.weights, places.cache, teller.step) if config.distil else None
    metrics = cross_validate(config, dataset, places, teller, lessons) if config.folds else {}
    fit_on, chosen_by = final_records(config, dataset)
    job = Job(config, dataset, places, teller, places.run / "final", lessons=lessons)
    network, sources = job.prepare(fit_on, chosen_by)
    state = job.fit(network, sources)
    if chosen_by:
        metrics |= {name: value for name, value in state.history[state.best_epoch - 1].items() if "val" in name}
    write_folder(places.output, network.streams, config, dataset, Trained(metrics, command))
    teller.line(f"{places.output}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    return metrics


def checked(config: TrainConfig, data: Dataset | LabelledScenes, places: Places, teller: Teller) -> Dataset:
    """→ clips that the training can start with. Raises TrainingError, DatasetError, OSError."""
    if isinstance(data, Dataset):
        check_training(config, data, places.weights, teller.step)
        return data
    check_config(config, places.weights)  # cutting may take minutes
    dataset = cut(data, config, places.cache, teller.step)
    refuse(config, data_problems(config, dataset))
    return dataset


def final_records(config: TrainConfig, dataset: Dataset) -> tuple[tuple[ClipRecord, ...], tuple[ClipRecord, ...]]:
    """→ what the shipped network learns from, and what its best epoch is chosen by (nothing: the last is kept)."""
    train, val = dataset.of(Split.TRAIN), dataset.of(Split.VAL)
    return ((*train, *val), ()) if config.refit_on == "train+val" else (train, val)


def cross_validate(
    config: TrainConfig, dataset: Dataset, places: Places, teller: Teller, lessons: Lessons | None = None
) -> dict[str, float]:
    """Grouped folds over train and val → scores of all held-out clips together, ``cv_…``.

    Each fold keeps its last epoch, as the final training on everything does: choosing the best one by the clips it is
    measured on would flatter. ``cv_predictions.csv`` and ``cv.json`` in the run folder hold the details.
    """
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    targets = np.asarray(dataset.targets(records))
    logits = np.zeros((len(records), len(dataset.labels)), np.float32)
    folds = grouped_folds(records, targets.tolist(), config.folds, config.seed)
    rows: list[dict[str, float]] = []
    for number, held_out in enumerate(folds, 1):
        inside = np.setdiff1d(np.arange(len(records)), held_out)
        job = Job(config, dataset, places, teller, places.run / f"fold-{number}", keep_last=True, lessons=lessons)
        network, sources = job.prepare([records[i] for i in inside], [records[i] for i in held_out])
        job.fit(network, sources)
        logits[held_out] = predict(network.model, sources.val) if sources.val else 0
        rows.append(scores(logits[held_out], targets[held_out].tolist()))
        teller.line(f"fold {number} of {config.folds}: " + ", ".join(f"{k} {v:.4f}" for k, v in rows[-1].items()))
    pooled = {f"cv_{name}": value for name, value in scores(logits, targets.tolist()).items()}
    write_predictions(places.run / "cv_predictions.csv", dataset, records, folds, logits)
    write_atomically(places.run / "cv.json", json.dumps({"pooled": pooled, "folds": rows}, indent=2) + "\n")
    teller.line("all folds: " + ", ".join(f"{name} {value:.4f}" for name, value in pooled.items()))
    return pooled


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps the run folder elsewhere. ``kept``: told, after each epoch, how many it holds. ``halts``: whether the
    training is to halt after the batch that it is in.
    """

    kept: Callable[[int], None] = lambda epochs: None
    halts: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Job:
    """One network on one division of the clips. ``keep_last``: its validation clips measure, but choose nothing.
    ``lessons``: of a teacher, where there is one.
    """

    config: TrainConfig
    dataset: Dataset
    places: Places
    teller: Teller
    folder: Path
    keep_last: bool = False
    lessons: Lessons | None = None

    def prepare(self, train: Sequence[ClipRecord], val: Sequence[ClipRecord]) -> tuple[Network, Splits]:
        """Build the network, compute features where they are cached."""
        self.folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(self.config.seed)
        streams = self._streams()
        weights = self._class_weights(train)
        if not self.config.transfer.cache_at:
            network = Network(join_streams(streams), streams)
            return network, Splits(self._clips(train), self._clips(val) if val else None, weights, self.keep_last)
        lesson = self.lessons.lesson(train, val, self.dataset) if self.lessons else None
        learnt = [*train, *(lesson.unlabelled if lesson else ())]
        source, model = self._features(streams, learnt, val, lesson)
        held_out = replace(source.part(len(learnt), len(source.targets)), soft=None) if val else None
        return Network(model, streams), Splits(source.part(0, len(learnt)), held_out, weights, self.keep_last)

    def fit(self, network: Network, splits: Splits, keeper: Keeper | None = None) -> Checkpoint:
        """Train from wherever the run folder is, with logs and curves.

        Raises TrainingError for a clip that has become unreadable and for a disk that fails: both can be mended.
        With a ``keeper`` TrainingHalted, too.
        """
        try:
            return self._fit(network, splits, keeper or Keeper())
        except (UnreadableFileError, OSError) as error:
            raise TrainingError(
                f"{error}; the training stopped: once that is mended, --resume goes on after its last whole epoch"
            ) from error

    def _fit(self, network: Network, splits: Splits, keeper: Keeper) -> Checkpoint:
        log = TrainingLog(self.folder)

        def epoch(history: Sequence[Row]) -> None:
            log(history)
            self.teller.line(" ".join(f"{name} {value:.4g}" for name, value in history[-1].items()))
            keeper.kept(len(history))

        watcher = Watcher(self.teller.step, epoch, keeper.halts)
        state = run_epochs(network, splits, self.config, self.folder, watcher)
        draw_curves(state.history, self.folder / CURVES_FILE, f"{self.config.name}, {self.folder.name}")
        return state

    def _streams(self) -> dict[Mode, Any]:
        config, streams = self.config, {}
        keras.config.set_dtype_policy(config.precision)
        try:
            for mode in config.mode.streams:
                name = needs_start(config, mode)
                start = read_start(find_weights(name, self.places.weights)) if name else None
                streams[mode] = trainable(config).build(mode, self.dataset.labels, start)
        finally:
            keras.config.set_dtype_policy("float32")
        return streams

    def _clips(self, records: Sequence[ClipRecord]) -> Source:
        targets, classes = self.dataset.targets(records), len(self.dataset.labels)
        return trainable(self.config).examples.source(records, targets, classes)

    def _features(
        self,
        streams: dict[Mode, Any],
        train: Sequence[ClipRecord],
        val: Sequence[ClipRecord],
        lesson: Lesson | None,
    ) -> tuple[FeatureSource, Any]:
        """→ features of ``train`` with all draws, then ``val`` with the plain one; the network behind them.

        What a lesson says of ``train`` is learnt instead of the labels.
        """
        network = trainable(self.config)
        draws = self.config.transfer.draws if self.config.input.augment else 1
        wanted = [*((record, draws) for record in train), *((record, 1) for record in val)]
        features, heads = {}, {}
        for mode, model in streams.items():
            frozen, reader = network.front(mode, model), network.examples.reader(mode)
            features[mode] = features_of(frozen, wanted, reader, self.places.cache, self.teller.step)
            heads[mode] = network.head(model, features[mode].shape)
        records = [record for record, _ in wanted]
        classes = len(self.dataset.labels)
        if lesson is None:
            targets, soft = self.dataset.targets(records), None
        else:
            plain = np.eye(classes, dtype=np.float32)[self.dataset.targets(val)]
            soft = np.concatenate([lesson.targets, plain])
            targets = soft.argmax(axis=1).tolist()
        source = network.examples.feature_source(features, records, targets, classes)
        return replace(source, soft=soft), join_streams(heads)

    def _class_weights(self, records: Sequence[ClipRecord]) -> list[float] | None:
        wanted = self.config.loss.class_weights
        if isinstance(wanted, str):
            power = CLASS_WEIGHTS[wanted]
            return balanced_class_weights(self.dataset.targets(records), len(self.dataset.labels), power)
        return [float(wanted.get(label, 1.0)) for label in self.dataset.labels]
