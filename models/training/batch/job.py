"""One job from beginning to end: restored, trained, measured, kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data.manifest import ClipRecord, Dataset, Split
from models.data.tracks.scene_store import LabelledScenes
from models.store.protocol import Store
from models.store.trees import push, put_file, survey
from models.training.batch.halt import Halt, Terminated
from models.training.batch.remote_state import PREDICTIONS_FILE, RemoteState
from models.training.batch.share import Share
from models.training.config import TrainConfig
from models.training.run.cross_validation import grouped_folds
from models.training.run.distil import Lessons, labelled_part
from models.training.run.log import CSV_FILE, write_csv
from models.training.run.loop import Network, Splits, TrainingHalted, config_key, predict
from models.training.run.scores import scores
from models.training.run.state import Checkpoint
from models.training.run.train import Job, Keeper, Places, Teller, checked, final_records
from models.training.run.weights_folder import Trained, write_folder

Records = tuple[ClipRecord, ...]


@dataclass(frozen=True, slots=True)
class BatchJob:
    """``data``: what names the data set, such as its address. ``store``: opened where the run's objects lie.
    ``places``: folders of this machine, none of which has to last.
    """

    config: TrainConfig
    share: Share
    data: str
    store: Store
    places: Places
    command: str

    def remote(self, tell: Callable[[str], None]) -> RemoteState:
        """The state of this very training, known before its data set is here."""
        key = config_key(self.config, f"{self.data} {self.share}")
        return RemoteState(self.store, self.share.name, key, tell)

    def run(self, data: Dataset | LabelledScenes, remote: RemoteState, teller: Teller, halt: Halt) -> dict[str, float]:
        """→ the metrics that ``DONE`` says.

        Raises TrainingError, DatasetError, StoreError, OSError; Terminated, once the batch that it is in is kept.
        """
        config = replace(self.config, folds=self.share.folds if self.share.is_fold else 0)
        whole = checked(config, data, self.places, teller)
        dataset = labelled_part(whole, config.distil.unlabelled) if config.distil else whole
        lessons = Lessons(config, whole, self.places.weights, self.places.cache, teller.step) if config.distil else None
        learnt, judged = records_of(self.share, config, dataset)
        folder = self.places.run / self.share.name
        shutil.rmtree(folder, ignore_errors=True)  # the store knows better than what an earlier attempt left here
        job = Job(config, dataset, self.places, teller, folder, self.share.is_fold, lessons)
        network, splits = job.prepare(learnt, judged)
        start = remote.restore(folder)
        teller.line(f"{self.share.name}: {f'goes on after {start}' if start else 'starts'}")
        keeper = Keeper(lambda epochs: remote.save(folder, epochs), lambda: halt.asked)
        with halt.after_the_batch():
            try:
                state = job.fit(network, splits, keeper)
            except TrainingHalted as halted:
                if halted.steps:  # else the epoch is kept already
                    remote.save(folder, halted.epochs, halted.steps)
                raise Terminated from halted
        return self._keep(dataset, (network, splits, state), judged, remote, teller)

    def _keep(
        self,
        dataset: Dataset,
        trained: tuple[Network, Splits, Checkpoint],
        judged: Sequence[ClipRecord],
        remote: RemoteState,
        teller: Teller,
    ) -> dict[str, float]:
        network, splits, state = trained
        folder, model = self.places.run / self.share.name, ""
        metrics = {name: value for name, value in _best(state).items() if name.startswith("val_")}
        write_csv(folder / CSV_FILE, state.history)
        put_file(self.store, f"{self.share.name}/{CSV_FILE}", folder / CSV_FILE)
        if self.share.is_fold and splits.val is not None:
            logits = predict(network.model, splits.val)
            metrics = scores(logits, splits.val.targets)
            self._put_predictions(folder, dataset, judged, logits)
        else:
            model = self._put_model(network, dataset, metrics)
        done = {"share": self.share.name, "epochs": state.epochs, "metrics": metrics, "model": model}
        remote.finish(done)
        teller.line(f"{self.share.name}: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
        return metrics

    def _put_predictions(
        self, folder: Path, dataset: Dataset, judged: Sequence[ClipRecord], logits: NDArray[np.float32]
    ) -> None:
        rows = [
            {
                "path": record.path.relative_to(dataset.folder).as_posix(),
                "label": record.label,
                "group": record.group,
                "logits": [round(float(value), 5) for value in row],
            }
            for record, row in zip(judged, logits, strict=True)
        ]
        path = folder / PREDICTIONS_FILE
        path.write_text(json.dumps({"labels": dataset.labels, "rows": rows}), "utf-8")
        put_file(self.store, f"{self.share.name}/{PREDICTIONS_FILE}", path)

    def _put_model(self, network: Network, dataset: Dataset, metrics: dict[str, float]) -> str:
        """→ the key below which the weights folder lies."""
        write_folder(self.places.output, network.streams, self.config, dataset, Trained(metrics, self.command))
        output = self.places.output
        return push(self.store, f"{self.share.name}/model", output, survey(output), lambda done, total: None)


def _best(state: Checkpoint) -> dict[str, Any]:
    return dict(state.history[state.best_epoch - 1])


def records_of(share: Share, config: TrainConfig, dataset: Dataset) -> tuple[Records, Records]:
    """→ what is learnt from, and what is measured on (of the final network: chosen by, where there is anything).

    The same division as of ``actoscope train`` with ``folds``.
    """
    if not share.is_fold:
        return final_records(config, dataset)
    records = (*dataset.of(Split.TRAIN), *dataset.of(Split.VAL))
    held_out = grouped_folds(records, dataset.targets(records), share.folds, config.seed)[share.index]
    inside = np.setdiff1d(np.arange(len(records)), held_out)
    return tuple(records[i] for i in inside), tuple(records[i] for i in held_out)
