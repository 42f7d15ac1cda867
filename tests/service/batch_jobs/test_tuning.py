"""What is heard of trials while they run."""

from __future__ import annotations

from models.training.batch.trials import trials_of
from models.training.config import TrainConfig
from models.training.search import SearchConfig, Uniform
from service.batch_jobs.tuning import UNFINISHED, Listener

TRIALS = trials_of(TrainConfig("gym", search=SearchConfig({"mixup": Uniform(0, 0.4)})), 2, 0)


def test_epochs_are_told_once_and_each_end_once() -> None:
    said: list[str] = []
    listener = Listener(TRIALS, "val_macro_f1", said.append)
    for epoch, value in ((1, 0.5), (2, 0.4), (1, 0.5), (2, 0.4), (3, 0.6)):  # it was taken up after two
        listener.epoch(1, {"epoch": float(epoch), "val_macro_f1": value})
    listener.ended(1, "all epochs")
    listener.ended(1, "stopped by ASHA")
    assert said == [
        "trial 1: epoch 1 val_macro_f1 0.5000, best 0.5000",
        "trial 1: epoch 2 val_macro_f1 0.4000, best 0.5000",
        "trial 1: epoch 3 val_macro_f1 0.6000, best 0.6000",
        "trial 1: all epochs after 3 epochs",
    ]
    assert not listener.is_whole
    first, second = listener.found()
    assert (first.epochs, first.best, first.ended) == (0, None, UNFINISHED)
    assert (second.epochs, second.best, second.best_epoch, second.ended) == (3, 0.6, 3, "all epochs")
    listener.ended(0, "failed: exit status 1")
    assert listener.is_whole
