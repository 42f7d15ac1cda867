"""Everything that would stop a training later, found before it starts and told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from models.data.clip_file import read_clip
from models.data.manifest import ClipRecord, Dataset, Split
from models.errors import DatasetError, TrainingError
from models.networks.cnn_rnn import KINDS
from models.training.config import CLASS_WEIGHTS, Mode, TrainConfig
from models.training.run.networks import trainable
from models.training.run.schedules import Decay
from models.training.run.scores import HIGHER_IS_BETTER
from models.training.search import search_problems
from models.weights.cards import CARD_FILE, ModelInput
from models.weights.start import find_weights

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
REFIT = ("train", "train+val")
LISTED = 20  # problems of one kind that are spelt out
_SPLIT_MADE_BY = {
    "crops": "`actoscope dataset split` makes one",
    "scene": "the column split of the working folder's labels.csv makes one",
}


def check_training(
    config: TrainConfig, dataset: Dataset, weights: Path, progress: Callable[[str, int, int], None]
) -> None:
    """Raises TrainingError that lists every problem of the configuration and of the data. ``weights``: the directory
    of weights folders.
    """
    problems = [*config_problems(config, weights), *data_problems(config, dataset)]
    if not problems:  # building takes seconds, and fails for reasons that are named already
        problems += trainable(config).built_problems()
    if dataset.info.input.kind == "crops":  # scenes have just been cut
        problems += unreadable_clips([*dataset.of(Split.TRAIN), *dataset.of(Split.VAL)], progress)
    refuse(config, problems)


def check_config(config: TrainConfig, weights: Path) -> None:
    """Raises TrainingError that lists what no data set could make right, before one is made."""
    problems = [*config_problems(config, weights)]
    refuse(config, problems or trainable(config).built_problems())


def refuse(config: TrainConfig, problems: Iterable[str]) -> None:
    """Raises TrainingError with ``problems`` where there are any."""
    lines = "\n".join(f"  - {problem}" for problem in problems)
    if lines:
        raise TrainingError(f"the training {config.name!r} cannot start:\n{lines}")


def config_problems(config: TrainConfig, weights: Path) -> Iterator[str]:
    """What no data set could make right."""
    choices = {
        "precision": (config.precision, PRECISIONS),
        "monitor": (config.monitor, tuple(HIGHER_IS_BETTER)),
        "refit_on": (config.refit_on, REFIT),
        "schedule.decay": (config.schedule.decay, tuple(decay.value for decay in Decay)),
    }
    for name, (value, known) in choices.items():
        if value not in known:
            yield f"{name} must be one of {', '.join(known)}; got {value!r}"
    if not config.name.strip():
        yield f"name must hold something that can be seen, got {config.name!r}"
    if min(config.epochs, config.batch_size, config.transfer.draws, config.optimizer.accumulate) < 1:
        yield "epochs, batch_size, transfer.draws and optimizer.accumulate must be at least 1"
    if not 0 <= config.weight_average < 1 or config.mixup < 0 or config.folds == 1 or config.folds < 0:
        yield "weight_average must be in 0..1 (below 1), mixup at least 0, folds 0 or at least 2"
    yield from _network_problems(config, weights)
    if not any(row.epoch == 0 for row in config.transfer.unfreeze):
        yield "transfer.unfreeze must say what learns from epoch 0 on"
    yield from search_problems(config)
    if config.distil is not None and (not config.transfer.cache_at or config.mode is not Mode.RGB):
        yield "distil teaches networks on cached features of RGB: set transfer.cache_at, and mode to Mode.RGB"
    trust = config.distil.trust if config.distil else None
    if trust is not None and (not 0 <= trust.chance <= 1 or trust.draws < 1):
        yield f"distil.trust takes a chance in 0..1 and draws of at least 1, got {trust.chance} and {trust.draws}"
    taught_by = config.distil.network.init if config.distil else ""
    for name in filter(None, (config.network.init, config.network.init_flow, taught_by)):
        folder = find_weights(name, weights)
        if not (folder / CARD_FILE).is_file():
            yield f"there are no weights to start from in {folder} (`actoscope weights pull {name}`?)"


def _network_problems(config: TrainConfig, weights: Path) -> Iterator[str]:
    masks = False
    try:
        network = trainable(config)
    except TrainingError as error:
        yield str(error)
    else:
        masks = network.masks
        yield from network.problems(weights)
    height, width = config.input.size_hw
    try:
        ModelInput(frames=config.input.window.length, height=height, width=width)
    except ValidationError as error:
        yield f"input.window.length and input.size are not what a model's card may say: {error.errors()[0]['msg']}"
    if not config.input.repeat and not masks:
        yield f"input.repeat=False is for cached features of {', '.join(KINDS)}: other networks know no mask"


def data_problems(config: TrainConfig, dataset: Dataset) -> Iterator[str]:
    """Empty splits, classes without clips, groups in two splits, weights for classes that are not there."""
    train, val = dataset.of(Split.TRAIN), dataset.of(Split.VAL)
    if not train:
        yield f"{dataset.folder} has no clip in the split train"
    if not val and (config.folds or config.refit_on == "train"):
        yield f"{dataset.folder} has no clip in the split val ({_SPLIT_MADE_BY[dataset.info.input.kind]})"
    unlabelled = sum(not record.label for record in (*train, *val))
    if unlabelled:
        yield f"{unlabelled} clips of train and val have no label"
    missing = [label for label in dataset.labels if label not in {record.label for record in train}]
    if train and missing:
        yield f"classes without a clip in the split train: {', '.join(missing)}"
    shared = sorted({record.group for record in train} & {record.group for record in val})
    if shared:
        yield f"groups in both train and val: {', '.join(shared[:LISTED])}"
    if not isinstance(config.loss.class_weights, str):
        foreign = sorted(set(config.loss.class_weights) - set(dataset.labels))
        if foreign:
            yield f"loss.class_weights names classes the data set lacks: {', '.join(foreign)}"
    elif config.loss.class_weights not in CLASS_WEIGHTS:
        yield f"loss.class_weights must be balanced, root, empty, or by class; got {config.loss.class_weights!r}"
    yield from _fold_problems(config, (*train, *val))
    yield from _misread(config, dataset)


def _misread(config: TrainConfig, dataset: Dataset) -> Iterator[str]:
    try:
        examples = trainable(config).examples
    except TrainingError:
        return  # told of by ``config_problems``
    yield from examples.problems(dataset)


def _fold_problems(config: TrainConfig, records: Sequence[ClipRecord]) -> Iterator[str]:
    groups = Counter(label for label, _ in {(record.label, record.group) for record in records})
    few = [f"{label} ({count})" for label, count in sorted(groups.items()) if count < 2]
    if config.folds and few:
        yield f"cross-validation needs every class in at least 2 groups; too few: {', '.join(few)}"
    if config.folds > len({record.group for record in records}):
        yield f"folds is {config.folds}, the clips have fewer groups"


def unreadable_clips(records: Sequence[ClipRecord], progress: Callable[[str, int, int], None]) -> list[str]:
    """Decode every clip once → what is wrong with those that cannot be."""
    found = []
    with ThreadPoolExecutor(2, "check-clip") as pool:
        for done, problem in enumerate(pool.map(_problem, (record.path for record in records)), 1):
            progress("checking clips", done, len(records))
            if problem:
                found.append(problem)
    return [*found[:LISTED], *([f"… and {len(found) - LISTED} more clips"] if len(found) > LISTED else [])]


def _problem(path: Path) -> str:
    try:
        read_clip(path)
    except DatasetError as error:
        return str(error)
    return ""


def needs_start(config: TrainConfig, stream: Mode) -> str:
    """→ name of the weights that ``stream`` starts from, empty for none."""
    return (config.network.init_flow if stream is Mode.FLOW else "") or config.network.init
