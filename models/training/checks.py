"""Everything that would stop a training later, found before it starts and told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.data.clip_file import read_clip
from models.data.manifest import ClipRecord, Dataset, Split
from models.errors import DatasetError, TrainingError
from models.networks.i3d import GATES
from models.training.config import CLASS_WEIGHTS, Mode, TrainConfig
from models.training.network_checks import built_problems, network_problems
from models.training.schedules import Decay
from models.training.scores import HIGHER_IS_BETTER
from models.training.transfer import endpoint_order, find_weights
from models.weights.cards import CARD_FILE

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
REFIT = ("train", "train+val")
LISTED = 20  # problems of one kind that are spelt out


def check_training(config: TrainConfig, dataset: Dataset, progress: Callable[[str, int, int], None]) -> None:
    """Raises TrainingError that lists every problem of the configuration and of the data."""
    problems = [*config_problems(config), *data_problems(config, dataset)]
    if not problems:  # building takes seconds, and fails for reasons that are named already
        problems += built_problems(config)
    problems += unreadable_clips([*dataset.of(Split.TRAIN), *dataset.of(Split.VAL)], progress)
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise TrainingError(f"the training {config.name!r} cannot start:\n{lines}")


def config_problems(config: TrainConfig) -> Iterator[str]:
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
    if min(config.epochs, config.batch_size, config.transfer.draws, config.optimizer.accumulate) < 1:
        yield "epochs, batch_size, transfer.draws and optimizer.accumulate must be at least 1"
    if not 0 <= config.weight_average < 1 or config.mixup < 0 or config.folds == 1 or config.folds < 0:
        yield "weight_average must be in 0..1 (below 1), mixup at least 0, folds 0 or at least 2"
    yield from network_problems(config)
    if config.network.kind in GATES:
        yield from _transfer_problems(config)
    if not any(row.epoch == 0 for row in config.transfer.unfreeze):
        yield "transfer.unfreeze must say what learns from epoch 0 on"
    for name in filter(None, (config.network.init, config.network.init_flow)):
        if not (find_weights(name) / CARD_FILE).is_file():
            yield f"there are no weights to start from in {find_weights(name)} (`actoscope weights pull {name}`?)"


def _transfer_problems(config: TrainConfig) -> Iterator[str]:
    rows = config.transfer.unfreeze
    for name in [row.train_from for row in rows] + ([config.transfer.cache_at] if config.transfer.cache_at else []):
        try:
            endpoint_order(name)
        except TrainingError as error:
            yield f"transfer: {error}"
            return
    if not config.transfer.cache_at:
        return
    early = [
        row.train_from for row in rows if endpoint_order(row.train_from) <= endpoint_order(config.transfer.cache_at)
    ]
    if early:
        yield (
            f"transfer: {', '.join(early)} lies in the part whose features are cached (up to "
            f"{config.transfer.cache_at}); cache earlier, or set cache_at to ''"
        )


def data_problems(config: TrainConfig, dataset: Dataset) -> Iterator[str]:
    """Empty splits, classes without clips, groups in two splits, weights for classes that are not there."""
    train, val = dataset.of(Split.TRAIN), dataset.of(Split.VAL)
    if not train:
        yield f"{dataset.folder} has no clip in the split train"
    if not val and (config.folds or config.refit_on == "train"):
        yield f"{dataset.folder} has no clip in the split val (`actoscope dataset split` makes one)"
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
