"""Trials of a tuning by Ray Tune: which runs when and where, and ASHA, which stops those that fall behind.

What a trial tries is drawn by ``models.training.search``, its state is kept by the job that it is: Tune keeps nothing.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from models.store.address import Place
from models.store.opening import open_store
from models.training.batch.trials import best_of
from models.training.run.scores import HIGHER_IS_BETTER
from service.batch_jobs.job_process import JobProcess
from service.batch_jobs.order import Demand, Row
from service.batch_jobs.outcome import RayGone
from service.batch_jobs.ray_jobs import first_line, jobs_folder
from service.batch_jobs.trial_run import FAILED, TrialOrder, TrialRun
from service.batch_jobs.tuning import Halving, Listener

BEST, EPOCH, NUMBER, ENDED, ROW = "best", "epoch", "number", "ended", "row"
BY_ASHA = "stopped by ASHA"
# Tune's own files, of which nobody reads any, and its folder as the current one.
_TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """One trial on the machine that Ray has chosen; an epoch a step. Names begin with ``_trial``: others are Tune's."""

    def setup(
        self,
        config: dict[str, Any],
        orders: Sequence[TrialOrder] = (),
        output: Place | None = None,
        endpoint: str = "",
        monitor: str = "",
    ) -> None:
        if output is None:
            raise ValueError("expected the place of the tuning")
        order = orders[config[NUMBER]]
        job = f"ray-{ray.get_runtime_context().get_job_id()}-trial-{order.number}"
        root = jobs_folder()
        self._trial_monitor = monitor
        self._trial_rows: list[Row] = []
        self._trial_number = order.number
        self._trial_run = TrialRun(
            order, open_store(output, endpoint), lambda job_order, attempt: JobProcess(job_order, job, attempt, root)
        )

    def step(self) -> dict[str, Any]:
        row, ended = self._trial_run.next()
        self._trial_rows += [row] if row else []
        best, _ = best_of(self._trial_rows, self._trial_monitor)
        worst = float("-inf") if HIGHER_IS_BETTER[self._trial_monitor] else float("inf")
        return {
            NUMBER: self._trial_number,
            ROW: row or {},
            EPOCH: int(self._trial_rows[-1]["epoch"]) if self._trial_rows else 0,
            BEST: worst if best is None else best,
            ENDED: ended,
            "done": bool(ended),
        }

    def cleanup(self) -> None:
        self._trial_run.stop()


class Told(tune.Callback):  # type: ignore[misc]
    """What Tune hears, for our ``Listener``."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        if result.get(ROW):
            self._listener.epoch(result[NUMBER], dict(result[ROW]))
        if result.get(ENDED):
            self._listener.ended(result[NUMBER], result[ENDED])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._listener.ended(trial.config[NUMBER], BY_ASHA)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._listener.taken_up(trial.config[NUMBER], _why(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._listener.ended(trial.config[NUMBER], f"{FAILED}{_why(trial)}")


def _why(trial: Any) -> str:
    """→ the last line of what Tune was told, which is the error behind its traceback."""
    return (str(trial.get_error() or "").strip().splitlines() or ["its machine is gone"])[-1].strip()[:200]


def tune_trials(
    orders: Sequence[TrialOrder],
    place: tuple[Place, str],
    halving: Halving,
    demand: Demand,
    listener: Listener,
    monitor: str,
) -> None:
    """Runs them all; ``listener`` hears of each. ``place``: the store, and the endpoint that it is reached by.

    Ctrl-C ends it early: trials that are not done stay as they are in the store.
    """
    os.environ.update(_TUNE)
    for name in ("ray.tune", "ray.air"):  # tracebacks of what the listener tells in a line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    output, endpoint = place
    trainable = tune.with_parameters(
        TrialActor, orders=tuple(orders), output=output, endpoint=endpoint, monitor=monitor
    )
    most = max(order.epochs for order in orders)
    attempts = max(order.attempts for order in orders)
    # One epoch more than there are: a trial at its end is not cut off while its network is kept.
    scheduler = ASHAScheduler(
        time_attr=EPOCH, max_t=most + 1, grace_period=min(halving.grace, most), reduction_factor=halving.reduction
    )
    with tempfile.TemporaryDirectory(prefix="actoscope-tune-") as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": demand.cpus, "gpu": demand.gpus}),
            param_space={NUMBER: tune.grid_search([order.number for order in orders])},
            tune_config=tune.TuneConfig(
                metric=BEST,
                mode="max" if HIGHER_IS_BETTER[monitor] else "min",
                scheduler=scheduler,
                max_concurrent_trials=halving.parallel or None,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                name="trials",
                verbose=0,
                callbacks=[Told(listener)],
                failure_config=tune.FailureConfig(max_failures=attempts - 1),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except tune.TuneError as error:
            raise RayGone(f"{first_line(error)}; the same command goes on where the trials are") from error
