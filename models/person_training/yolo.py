"""ultralytics' networks as torch modules: reading, writing and training them. The only file here that imports it.

A ``.pt`` of ultralytics is a pickle and runs code when read: read only files that you trust.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.errors import TrainingError
from models.person_training.surveillance_look import SurveillanceLook
from pipeline.files import write_atomically

Progress = Callable[[str], None]
Network = Any  # an ultralytics DetectionModel: torch.nn.Module with ``names``, ``yaml`` and ``model`` (its layers)


@dataclass(frozen=True)
class FineTuning:
    """How the network is trained. The first ``freeze`` layers (YOLO11: 11 = the backbone) and every batch
    normalisation keep their values; ``batch`` pictures of ``image_size`` make one step. ``epochs`` sets the schedule of
    the learning rate; ``stop_after`` ends it early (0: not).
    """

    epochs: int = 5
    stop_after: int = 0
    image_size: int = 640
    batch: int = 16
    learning_rate: float = 5e-4
    freeze: int = 11
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.image_size < 64 or self.image_size % 32:
            raise TrainingError(f"image size must be a multiple of 32 from 64 on, got {self.image_size}")
        wrong = [name for name in ("epochs", "batch", "learning_rate") if getattr(self, name) <= 0]
        if wrong:
            raise TrainingError(f"must be above 0: {', '.join(wrong)}")
        if not 0 <= self.stop_after <= self.epochs:
            raise TrainingError(f"stop_after must lie between 0 and {self.epochs} epochs, got {self.stop_after}")

    @property
    def last_epoch(self) -> int:
        return self.stop_after or self.epochs


def quiet(settings_dir: Path) -> None:
    """Keep ultralytics and albumentations to themselves: no downloads, installs, reports or update checks.

    Call it before anything imports them. Their settings are kept in ``settings_dir``.
    """
    settings_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "YOLO_AUTOINSTALL": "false",
            "YOLO_OFFLINE": "true",
            "YOLO_CONFIG_DIR": str(settings_dir),
            "YOLO_VERBOSE": "false",
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "ALBUMENTATIONS_OFFLINE": "1",
            "ALBUMENTATIONS_NO_TELEMETRY": "1",
        }
    )
    from ultralytics import settings  # noqa: PLC0415 -- after the environment above
    from ultralytics.utils.callbacks import base  # noqa: PLC0415 -- as above

    reporters = ("clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")
    settings.update({name: False for name in ("sync", *reporters) if name in settings})
    base.add_integration_callbacks = lambda _instance: None  # nobody outside hears of a training


def read_network(path: Path) -> Network:
    """The detection network in a ``.pt``, in float32 and evaluation mode. Raises TrainingError when it is none."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)  # the pickle holds the module itself
        network = (checkpoint.get("ema") or checkpoint["model"]).float().eval()
        head = network.model[-1]
    except FileNotFoundError:
        raise TrainingError(f"no network at {path}") from None
    except (OSError, KeyError, AttributeError, TypeError, RuntimeError, EOFError, ImportError, ValueError) as error:
        raise TrainingError(f"{path} is no detection network of ultralytics: {error}") from error
    except Exception as error:
        if type(error).__name__ != "UnpicklingError":
            raise
        raise TrainingError(f"{path} is no detection network of ultralytics: {error}") from error
    if not hasattr(head, "cv3") or not hasattr(network, "names"):
        raise TrainingError(f"{path} is no detection network of ultralytics: its last layer has no class branch")
    return network


def write_network(network: Network, path: Path, provenance: str) -> None:
    """Store the network in float16 as a ``.pt`` that ``YOLO(path)`` loads, with nothing in it about who made it where.

    Written under another name and renamed.
    """
    bare = copy.deepcopy(network).half().eval()
    for name in ("criterion", "pt_path", "class_weights"):
        if hasattr(bare, name):
            delattr(bare, name)
    arguments = {"task": "detect", "mode": "train", "imgsz": 640, "single_cls": False}
    bare.args, bare.task = arguments, "detect"
    bare.yaml = {**bare.yaml, "yaml_file": "yolo11n.yaml"}
    for parameter in bare.parameters():
        parameter.requires_grad = False
    checkpoint = {
        "epoch": -1,
        "model": bare,
        "ema": None,
        "optimizer": None,
        "train_args": arguments,
        "train_metrics": {},
        "version": version("ultralytics"),
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "provenance": provenance,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: torch.save(checkpoint, file))


def fine_tune(network: Network, pictures: Path, work: Path, config: FineTuning, progress: Progress) -> Network:
    """Train a one-class ``network`` on ``pictures`` (see ``models.person_training.pictures``) → the averaged network.

    The run's files go to ``work``; an interrupted run goes on with the epoch it was in. ``progress`` hears a line an
    epoch.
    """
    last = work / "weights" / "last.pt"
    checkpoint = _checkpoint(last) if last.is_file() else None
    if checkpoint is not None and checkpoint["epoch"] + 1 >= config.last_epoch:
        return checkpoint["ema"].float().eval()
    _leave_out_triton()
    trainer = _trainer_class()(overrides=_overrides(work, config))
    trainer.given = _Given(copy.deepcopy(network), pictures, config.seed, checkpoint)
    trainer.data = trainer.get_dataset()
    trainer.add_callback("on_train_epoch_end", lambda run: progress(_epoch_line(run)))
    trainer.add_callback("on_train_epoch_end", lambda run: setattr(run, "stop", run.epoch + 1 >= config.last_epoch))
    trainer.train()
    return trainer.ema.ema.float().eval()


def _leave_out_triton() -> None:
    """torch looks for triton when training, whose LLVM ends a process that has TensorFlow's; nothing here uses it."""
    if "triton" not in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]  # Python's way to say: not to be had


@dataclass(frozen=True)
class _Given:
    """What ultralytics' trainer would look for by itself."""

    network: Network
    pictures: Path
    seed: int
    checkpoint: dict[str, Any] | None


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=False))  # written by this very training
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise TrainingError(f"{path} is damaged ({error}); delete it to train from the start") from error


def _trainer_class() -> Any:
    from ultralytics.models.yolo.detect import DetectionTrainer  # noqa: PLC0415 -- after ``quiet``

    class Trainer(DetectionTrainer):  # type: ignore[misc]  # ultralytics has no types
        """ultralytics' own training without its searches for data and networks, validation and second augmentation."""

        given: Any = None  # a _Given, before training

        def get_dataset(self) -> dict[str, Any]:
            folder = self.given.pictures if self.given else Path()  # asked once before it is given
            folders = {split: str(folder / split / "images") for split in ("train", "val")}
            return {**folders, "nc": 1, "names": {0: "person"}, "channels": 3, "path": str(folder)}

        def setup_model(self) -> dict[str, Any] | None:
            self.model = self.given.network
            checkpoint: dict[str, Any] | None = self.given.checkpoint
            if checkpoint is not None:
                self.model.load_state_dict(checkpoint["ema"].float().state_dict())
                self.resume = True
            return checkpoint

        def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
            dataset = super().build_dataset(img_path, mode, batch)
            if mode == "train":
                begun = self.given.checkpoint["epoch"] + 1 if self.given.checkpoint else 0
                _spoil_pictures(dataset.transforms.transforms, np.random.default_rng((self.given.seed, begun)))
            return dataset

        def _model_train(self) -> None:
            super()._model_train()
            freeze_statistics(self.model)

        def validate(self) -> tuple[dict[str, float], float]:
            return {}, float(self.epoch)  # measured afterwards, by models.person_training.evaluation

        def final_eval(self) -> None:
            return

    return Trainer


def freeze_statistics(network: Network) -> None:
    """Put every batch normalisation in evaluation mode: batches here are too small, and too unlike COCO, to replace
    statistics of millions of pictures.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _spoil_pictures(transforms: list[Any], rng: np.random.Generator) -> None:
    """Put ``SurveillanceLook`` in the place of ultralytics' albumentations step (rare blur and grey)."""
    look = SurveillanceLook()

    def spoil(labels: dict[str, Any]) -> dict[str, Any]:
        labels["img"] = np.ascontiguousarray(look(labels["img"], rng))
        return labels

    places = [index for index, step in enumerate(transforms) if type(step).__name__ == "Albumentations"]
    if len(places) != 1:
        raise TrainingError("this version of ultralytics builds its training pictures in another way than 8.4")
    transforms[places[0]] = spoil


def _overrides(work: Path, config: FineTuning) -> dict[str, Any]:
    return {
        "task": "detect",
        "model": "person.pt",  # a name only: the network is given below
        "project": str(work.parent),
        "name": work.name,
        "exist_ok": True,
        "device": config.device,
        "epochs": config.epochs,
        "imgsz": config.image_size,
        "batch": config.batch,
        "nbs": config.batch,  # a step for every batch
        "optimizer": "AdamW",
        "lr0": config.learning_rate,
        "lrf": 0.05,
        "cos_lr": True,
        "warmup_epochs": 0.5,
        "warmup_bias_lr": 0.0,  # the head is trained already
        "weight_decay": 5e-4,
        "freeze": config.freeze,
        "seed": config.seed,
        "deterministic": True,
        "mosaic": 0.5,
        "close_mosaic": 0,
        "scale": 0.5,
        "translate": 0.1,
        "fliplr": 0.5,
        "hsv_h": 0.01,
        "hsv_s": 0.5,
        "hsv_v": 0.3,
        "amp": config.device != "cpu",
        "workers": 0 if config.device == "cpu" else 8,
        "val": False,
        "plots": False,
        "save": True,  # after each epoch: an interrupted run goes on
        "verbose": False,
    }


def _epoch_line(run: Any) -> str:
    losses = ", ".join(f"{name} {float(value):.3f}" for name, value in run.tloss.items())
    return f"epoch {run.epoch + 1} of {run.epochs}: {losses}"
