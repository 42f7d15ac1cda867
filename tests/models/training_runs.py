"""A tiny data set and tiny trainings on it, for tests and for the processes they start.

``python -m tests.models.training_runs FOLDER NAME…`` trains the configurations called so in ``configs``; with
``--kill-in-epoch N`` the process kills itself in the middle of that epoch.
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.data.batches.clip_window import WindowConfig
from models.data.clip_file import ClipFormat, clip_name, write_clip
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label, read_dataset, write_dataset
from models.training.config import (
    ClipInput,
    LossConfig,
    LossKind,
    Mode,
    NetworkConfig,
    OptimizerConfig,
    OptimizerKind,
    ScheduleConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)
from models.training.run.train import Places, Teller, train

SIZE, FRAMES = 32, 16
LABELS = ("dark", "bright")


def make_dataset(folder: Path, clips: int = 12) -> Dataset:
    """Noise, dark or bright: 2 in 3 clips for training, the others for validation, two clips a group."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(clips):
        label = LABELS[number % 2]
        path = folder / "clips" / label / clip_name(f"{number:02d}", ClipFormat.H264)
        noise = rng.integers(0, 60, (FRAMES + 4, SIZE, SIZE, 3), dtype=np.uint8)
        write_clip(path, noise + np.uint8(180 * (label == "bright")), 25.0)
        split = Split.TRAIN if number < clips * 2 // 3 else Split.VAL
        records.append(ClipRecord(path, label, f"group-{number // 2}", split))
    dataset = Dataset(folder, DatasetInfo(class2label=class2label(LABELS), description="noise"), tuple(records))
    write_dataset(dataset)
    return dataset


def tiny(name: str = "tiny", mode: Mode = Mode.RGB) -> TrainConfig:
    """From random weights, on cached features of two draws, with everything on that carries state over epochs."""
    return TrainConfig(
        name=name,
        mode=mode,
        network=NetworkConfig(init=""),
        input=ClipInput(window=WindowConfig(FRAMES), size=SIZE),
        transfer=TransferConfig(draws=2, unfreeze=(Unfreeze(0, "new"), Unfreeze(2, "Mixed_5c"))),
        loss=LossConfig(kind=LossKind.FOCAL, label_smoothing=0.05, l2=1e-5),
        optimizer=OptimizerConfig(OptimizerKind.RADAM, 3e-3, weight_decay=1e-3, lookahead=2, clip_norm=1.0),
        schedule=ScheduleConfig(warmup_epochs=1),
        epochs=4,
        batch_size=3,
        seed=7,
        mixup=0.2,
        weight_average=0.5,
    )


def on_clips(config: TrainConfig) -> TrainConfig:
    """The same without cached features, all layers learning at the end."""
    stages = TransferConfig(cache_at="", unfreeze=(Unfreeze(0, "Mixed_5b"), Unfreeze(1, "all")))
    return replace(config, transfer=stages, epochs=2)


def configs() -> dict[str, TrainConfig]:
    cached = tiny()
    ends = TransferConfig(cache_at="Mixed_5b", draws=1, unfreeze=(Unfreeze(0, "new"), Unfreeze(1, "Mixed_5c")))
    return {
        "cached": cached,
        "clips": on_clips(cached),
        "flow": replace(tiny(mode=Mode.FLOW), epochs=1),
        "fuse": replace(tiny(mode=Mode.FUSE), epochs=1),
        "fuse-clips": replace(on_clips(tiny(mode=Mode.FUSE)), epochs=1),
        "half": replace(cached, precision="mixed_bfloat16", epochs=1, optimizer=OptimizerConfig(accumulate=2)),
        "backend-cached": replace(cached, transfer=ends, epochs=2, batch_size=4),
        "backend-clips": replace(cached, transfer=replace(ends, cache_at=""), epochs=1, batch_size=4),
        "learns": replace(
            cached,
            input=replace(cached.input, augment=None),
            transfer=TransferConfig(unfreeze=(Unfreeze(0, "new"),)),
            optimizer=OptimizerConfig(learning_rate=1e-2),
            mixup=0.0,
            epochs=12,
            monitor="val_loss",
        ),
    }


def places(folder: Path, name: str) -> Places:
    return Places(folder / "weights" / name, folder / "runs" / name, folder / "features", folder / "weights")


def silent(what: str, done: int, total: int) -> None:
    """Progress for nobody."""


def quiet() -> Teller:
    return Teller(silent, lambda line: None)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--kill-in-epoch", type=int)
    arguments = parser.parse_args()

    def step(what: str, done: int, total: int) -> None:
        if what.startswith(f"epoch {arguments.kill_in_epoch} ") and done == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    dataset = read_dataset(arguments.folder / "data")
    for name in arguments.names:
        train(configs()[name], dataset, places(arguments.folder, name), Teller(step, lambda line: None))


if __name__ == "__main__":
    _main()
