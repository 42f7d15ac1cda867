"""The forerunner's configuration file (``actoscope train --seed-config FILE``), key by key what it is here.

docs/training.md has the same as a table for people. What a file does not say stays as ``TrainConfig`` has it, but the
optimiser: the forerunner's was Adam, at a rate that stays, or falls in steps.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.data.batches.clip_window import WindowConfig
from models.errors import StoreError, TrainingError
from models.networks.registry import NETWORKS
from models.store.address import Address, Place, parse_place
from models.training.config import (
    ALL_LAYERS,
    NEW_LAYERS,
    ClipInput,
    NetworkConfig,
    OptimizerConfig,
    OptimizerKind,
    ScheduleConfig,
    TrainConfig,
    TransferConfig,
    Unfreeze,
)
from models.training.seed_file import Values, plain_name, read_seed_file

# Each key as we call it, and the other spellings that are understood.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "data_path": ("data", "dataset", "data_dir", "data_root", "dataset_path", "dataset_dir"),
    "train_path": ("train_data", "train_dir", "train_data_path"),
    "test_path": ("test_data", "test_dir", "test_data_path"),
    "weights_path": ("weights", "pretrained", "pretrained_path", "checkpoint", "checkpoint_path", "init"),
    "save_path": ("output", "output_path", "output_dir", "save_dir", "model_path", "model_dir"),
    "log_path": ("log_dir", "logs", "logs_path", "run_dir"),
    "classes": ("class_names", "labels", "class_list"),
    "num_classes": ("n_classes", "classes_num", "number_of_classes"),
    "epochs": ("epoch", "num_epochs", "n_epochs", "max_epochs"),
    "batch_size": ("batch",),
    "frames": ("num_frames", "n_frames", "frames_num", "clip_length", "sequence_length"),
    "learning_rate": ("lr", "initial_lr", "base_lr"),
    "scheduler_step": ("scheduler_step_size", "step_size", "lr_step", "lr_step_size", "step"),
    "scheduler_gamma": ("gamma", "lr_gamma"),
    "hidden_nodes": ("hidden", "n_hidden", "num_hidden", "hidden_units", "hidden_size", "nodes"),
    "freeze": ("freezing", "frozen", "freeze_layers", "freeze_base"),
    "unfreeze_epoch": ("unfreezing_epoch", "epoch_unfreeze", "epoch_of_unfreezing", "unfreeze_at"),
    "unfreeze_block": ("unfreezing_block", "block_unfreeze", "block_of_unfreezing", "unfreeze_from"),
    "train": ("do_train", "training", "is_train", "run_train"),
    "test": ("do_test", "testing", "is_test", "run_test"),
    "model_name": ("model", "name", "network", "arch"),
    "crop": ("crop_size", "size", "image_size", "img_size", "input_size"),
}
_KEY_OF: Mapping[str, str] = {each: key for key, others in SPELLINGS.items() for each in (key, *others)}

_BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")  # of I3D's Inception blocks, first to last
_I3D = ("i3d", "se_i3d", "se_i3d_time")
# Where features end when a block learns: at the stage before it.
_BEFORE = {
    "3b": "MaxPool3d_3a_3x3",
    "4b": "MaxPool3d_4a_3x3",
    "5b": "MaxPool3d_5a_2x2",
    **{later: f"Mixed_{earlier}" for earlier, later in itertools.pairwise(_BLOCKS) if earlier[0] == later[0]},
}


@dataclass(frozen=True, slots=True)
class SeedTraining:
    """``config``, and what a file says besides. Folders are None where it names none. ``labels`` empty, or
    ``count`` 0: the file does not say.
    """

    config: TrainConfig
    data: Place | None
    output: Place | None
    run: Path | None
    is_training: bool
    is_testing: bool
    labels: tuple[str, ...] = ()
    count: int = 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises TrainingError where the data set has other classes. Their order is the data set's."""
        if self.labels and sorted(self.labels) != sorted(labels):
            raise TrainingError(f"classes: the file has {_listed(self.labels)}, the data set {_listed(labels)}")
        if self.count and self.count != len(labels):
            raise TrainingError(f"num_classes: the file has {self.count}, the data set {len(labels)} classes")


def load_seed_config(path: Path) -> SeedTraining:
    """Raises TrainingError that lists every key that is not known, or the first value that cannot be."""
    found = _named(path, read_seed_file(path, _KEY_OF.__contains__))
    try:
        return _training(path, found)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from error


def _named(path: Path, values: Values) -> Values:
    """Values by our names for the keys."""
    unknown = [_told(key) for key in values if key not in _KEY_OF]
    if unknown:
        raise TrainingError(f"{path} has keys that are not known: {'; '.join(unknown)}")
    named: Values = {}
    for key, value in values.items():
        if _KEY_OF[key] in named:
            raise TrainingError(f"{path} says {_KEY_OF[key]} twice, once as {key}")
        if value is not None:
            named[_KEY_OF[key]] = value
    return named


def _told(key: str) -> str:
    close = difflib.get_close_matches(key, _KEY_OF, n=1, cutoff=0.6)
    return f"{key} (did you mean {close[0]}?)" if close else f"{key} (there are {', '.join(SPELLINGS)})"


def _training(path: Path, found: Values) -> SeedTraining:
    kind, name = _model(found.get("model_name"), path)
    labels, count = _classes(found)
    return SeedTraining(
        config=_config(found, kind, name),
        data=_data(found),
        output=_folder(found, "save_path"),
        run=_local(found, "log_path"),
        is_training=_switch(found, "train", default=True),
        is_testing=_switch(found, "test", default=False),
        labels=labels,
        count=count,
    )


def _config(found: Values, kind: str, name: str) -> TrainConfig:
    plain = TrainConfig(name=name)
    window = WindowConfig(_whole(found, "frames", 1, plain.input.window.length))
    size = _whole(found, "crop", 1, plain.input.size)
    return replace(
        plain,
        network=_network(found, kind),
        transfer=_transfer(found, kind),
        optimizer=OptimizerConfig(OptimizerKind.ADAM, _rate(found)),
        schedule=_schedule(found),
        input=ClipInput(window=window, size=size),
        epochs=_whole(found, "epochs", 1, plain.epochs),
        batch_size=_whole(found, "batch_size", 1, plain.batch_size),
        description="from a forerunner's configuration file",
    )


def _model(value: Any, path: Path) -> tuple[str, str]:
    """→ the network's kind, and the training's name: a name that is no network is the training's."""
    if value is None:
        return NetworkConfig().kind, path.stem
    kind = plain_name(value)
    kind = {"inception_i3d": "i3d", "seni3d": "se_i3d", "sei3d": "se_i3d"}.get(kind, kind)
    return (kind, path.stem) if kind in NETWORKS else (NetworkConfig().kind, str(value).strip())


def _network(found: Values, kind: str) -> NetworkConfig:
    hidden, start = _whole(found, "hidden_nodes", 0, 0), str(found.get("weights_path", "")).strip()
    if Path(start).suffix:
        raise TrainingError(
            f"weights_path: expected a weights folder or its name, got the file {start}; published weights come by "
            "`actoscope weights pull i3d-kinetics400`"
        )
    if kind in _I3D:
        return NetworkConfig(kind=kind, init=start or NetworkConfig().init, hidden=hidden)
    if hidden:
        raise TrainingError(f"hidden_nodes are before the output of {', '.join(_I3D)}; got {hidden} for {kind}")
    return NetworkConfig(kind=kind, init=start)


def _rate(found: Values) -> float:
    rate = _number(found, "learning_rate", OptimizerConfig().learning_rate)
    if rate == 0:
        raise TrainingError("learning_rate: expected a number above 0, got 0")
    return rate


def _schedule(found: Values) -> ScheduleConfig:
    """Steps where the file names any; else the rate stays."""
    if "scheduler_step" not in found and "scheduler_gamma" not in found:
        return ScheduleConfig(decay="constant", warmup_epochs=0)
    step = _whole(found, "scheduler_step", 1, 10)
    gamma = _number(found, "scheduler_gamma", ScheduleConfig().gamma)
    return ScheduleConfig(decay="step", warmup_epochs=0, step_epochs=step, gamma=gamma)


def _transfer(found: Values, kind: str) -> TransferConfig:
    """What learns when; features end before the first block that ever learns."""
    rows = _rows(found, kind)
    if kind not in _I3D:
        return TransferConfig(unfreeze=rows, cache_at="")
    blocks = [row.train_from.removeprefix("Mixed_") for row in rows]
    if ALL_LAYERS in blocks:
        return TransferConfig(unfreeze=rows, cache_at="")
    gates = ["5b"] if kind != "i3d" else []  # new layers too, in every block: those behind the last pool learn
    first = min((block for block in (*blocks, *gates) if block in _BLOCKS), key=_BLOCKS.index, default="")
    return TransferConfig(unfreeze=rows, cache_at=_BEFORE[first] if first else f"Mixed_{_BLOCKS[-1]}")


def _rows(found: Values, kind: str) -> tuple[Unfreeze, ...]:
    named = [key for key in ("unfreeze_epoch", "unfreeze_block") if key in found]
    if not _switch(found, "freeze", default=True):
        if named:
            raise TrainingError(f"{', '.join(named)}: nothing is frozen where freeze is false")
        return (Unfreeze(0, ALL_LAYERS),)
    frozen = Unfreeze(0, NEW_LAYERS)
    if not named:
        return (frozen,)
    if len(named) == 1:
        raise TrainingError(f"expected unfreeze_epoch and unfreeze_block together, got {named[0]} alone")
    epoch = _whole(found, "unfreeze_epoch", 0, 0)
    thawed = Unfreeze(epoch, _block(found["unfreeze_block"], kind))
    return (frozen, thawed) if epoch else (thawed,)


def _block(value: Any, kind: str) -> str:
    """``Mixed_5b``, ``5b``, the number of one of I3D's blocks (1 = Mixed_3b … 9 = Mixed_5c), ``all``, or a layer."""
    text = str(value).strip()
    if text.lower() == ALL_LAYERS or kind not in _I3D:
        return ALL_LAYERS if text.lower() == ALL_LAYERS else text
    if text.isdecimal() and 1 <= int(text) <= len(_BLOCKS):
        return f"Mixed_{_BLOCKS[int(text) - 1]}"
    if text.lower().removeprefix("mixed_") in _BLOCKS:
        return f"Mixed_{text.lower().removeprefix('mixed_')}"
    raise TrainingError(
        f"unfreeze_block: expected 1 to {len(_BLOCKS)}, Mixed_{_BLOCKS[0]} to Mixed_{_BLOCKS[-1]}, or all; got {text}"
    )


def _data(found: Values) -> Place | None:
    """One folder: ours has its parts for training and testing in it."""
    parts = {key: Path(str(found[key])) for key in ("train_path", "test_path") if key in found}
    if "data_path" in found:
        if parts:
            raise TrainingError(f"expected data_path or {' and '.join(parts)}, got both")
        return _folder(found, "data_path")
    parents = {path.parent for path in parts.values()}
    if len(parents) > 1:
        told = ", ".join(f"{key} {path}" for key, path in parts.items())
        raise TrainingError(f"expected train_path and test_path beside each other in one folder, got {told}")
    return parents.pop() if parents else None


def _classes(found: Values) -> tuple[tuple[str, ...], int]:
    value = found.get("classes", ())
    if isinstance(value, int) and not isinstance(value, bool):
        return (), _whole(found, "classes", 1, 0)
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise TrainingError(f"classes: expected a list of names, or how many there are; got {value!r}")
    labels = tuple(str(name).strip() for name in names)
    count = _whole(found, "num_classes", 1, len(labels))
    if labels and count != len(labels):
        raise TrainingError(f"num_classes: {count} are said, {len(labels)} named in classes")
    return labels, count


def _folder(found: Values, key: str) -> Place | None:
    text = str(found.get(key, "")).strip()
    try:
        return parse_place(text) if text else None
    except StoreError as error:
        raise TrainingError(f"{key}: {error}") from error


def _local(found: Values, key: str) -> Path | None:
    folder = _folder(found, key)
    if isinstance(folder, Address):
        raise TrainingError(f"{key}: expected a folder of this machine, got {folder}")
    return folder


def _switch(found: Values, key: str, *, default: bool) -> bool:
    value = found.get(key, default)
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).strip().lower() not in known:
        raise TrainingError(f"{key}: expected true or false, got {value!r}")
    return known[str(value).strip().lower()]


def _whole(found: Values, key: str, least: int, default: int) -> int:
    if key not in found:
        return default
    number = _number(found, key, default)
    if number != int(number) or number < least:
        raise TrainingError(f"{key}: expected a whole number of at least {least}, got {found[key]!r}")
    return int(number)


def _number(found: Values, key: str, default: float) -> float:
    value = found.get(key, default)
    try:
        number = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise TrainingError(f"{key}: expected a number of at least 0, got {value!r}")
    return number


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
