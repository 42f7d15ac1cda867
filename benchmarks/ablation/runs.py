"""Running one row: training, regression, or another look at what other rows left behind."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation.figures import Result, measured
from benchmarks.ablation.rows import BASE, ROWS, How, Row
from models.data.manifest import Dataset, Split, read_dataset
from models.evaluation.figures.predictions import Predictions, Views
from models.training.config import Mode, TrainConfig

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
SAMPLE = 6  # clips on which the cost of features is measured
BUSY_READS = 4  # of the last clips: read ahead of the network, nothing is read beside them


@dataclass(frozen=True, slots=True)
class Options:
    """What a row needs to run. ``limit``: so many clips of a class and split, 0 for all."""

    data: Path
    data_wide: Path | None
    cache: Path
    work: Path
    limit: int = 0
    epochs: int = BASE.epochs


def limited(dataset: Dataset, most: int) -> Dataset:
    """The first ``most`` clips of each class and split, all for 0."""
    seen: dict[tuple[str, Split], int] = {}
    kept = []
    for record in dataset.records:
        key = (record.label, record.split)
        seen[key] = seen.get(key, 0) + 1
        if not most or seen[key] <= most:
            kept.append(record)
    return replace(dataset, records=tuple(kept))


def answers_of(dataset: Dataset, logits: Any) -> Predictions:
    """``logits`` (N, C) to the clips of the split val, in their order."""
    records = dataset.of(Split.VAL)
    targets = np.asarray(dataset.targets(records), np.int64)
    return Predictions(dataset.labels, records, np.asarray(logits, np.float64), targets)


@dataclass(slots=True)
class Clock:
    """Notes CPU and wall seconds each time it is called; ``say`` prints."""

    say: Callable[[str], None]
    times: list[tuple[float, float]] = field(default_factory=list)

    def start(self) -> None:
        self.times = [(time.process_time(), time.perf_counter())]

    def line(self, text: str) -> None:
        self.times.append((time.process_time(), time.perf_counter()))
        self.say(text)

    def usual(self) -> tuple[float, float] | None:
        """→ median CPU and wall seconds from one call to the next; None without any."""
        steps = np.diff(np.asarray(self.times), axis=0)
        return (float(np.median(steps[:, 0])), float(np.median(steps[:, 1]))) if len(steps) else None


def run_row(name: str, options: Options) -> Result:
    """Raises what training, data and evaluation raise, ValueError for a row whose other rows are not done."""
    row = ROWS[name]
    folder = options.data_wide if row.wide else options.data
    if folder is None:
        raise ValueError("this row needs --data-wide")
    dataset = limited(read_dataset(folder), options.limit)
    result, answers = _RUNNERS[row.how](name, row, dataset, options)
    base = _stored("base", limited(read_dataset(options.data), options.limit), options) if name != "base" else None
    result_ = measured(answers, base)
    np.save(_folder(name, options) / "logits.npy", answers.logits)
    return replace(result_, **result)


def _train(name: str, row: Row, dataset: Dataset, options: Options) -> tuple[dict[str, Any], Predictions]:
    from models.training.run.checks import config_problems, data_problems  # noqa: PLC0415
    from models.training.run.loop import predict  # noqa: PLC0415
    from models.training.run.train import Job, Places, Teller  # noqa: PLC0415 -- keras takes seconds to import
    from models.training.run.weights_folder import Trained, write_folder  # noqa: PLC0415

    folder = _folder(name, options)
    config = row_config(row, options)
    problems = [*config_problems(config, WEIGHTS), *data_problems(config, dataset)]
    if problems:
        raise ValueError("; ".join(problems))
    clock = Clock(_say(name))
    places = Places(folder / "weights", folder / "run", options.cache, WEIGHTS)
    job = Job(config, dataset, places, Teller(_steps(name), clock.line), folder / "run", keep_last=True)
    network, splits = job.prepare(dataset.of(Split.TRAIN), dataset.of(Split.VAL))
    clock.start()
    job.fit(network, splits)
    logits = predict(network.model, splits.val or splits.train)  # data_problems has seen to it that there is a val
    if name == "base":
        write_folder(places.output, network.streams, config, dataset, Trained({}, ""))
    cpu, wall = clock.usual() or (None, None)
    costs = {
        "epochs": config.epochs,
        "train_s": _times(cpu, config.epochs),
        "train_wall_s": _times(wall, config.epochs),
    }
    return costs | _feature_costs(config, dataset), answers_of(dataset, logits)


def row_config(row: Row, options: Options) -> TrainConfig:
    """The row's training with the epochs asked for; flow is computed once for each clip, not for each draw."""
    flow = replace(row.config.input, flow_folder=str(options.cache / "flow"))
    return replace(row.config, epochs=min(options.epochs, row.epochs or options.epochs), input=flow)


def _logistic(name: str, row: Row, dataset: Dataset, options: Options) -> tuple[dict[str, Any], Predictions]:
    """Both draws of every training clip; C is chosen by grouped cross-validation inside the split train."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    started = time.process_time(), time.perf_counter()
    (seen, targets, groups), shown = _pooled(row_config(row, options), dataset, options, _steps(name))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, class_weight="balanced"))
    folds = StratifiedGroupKFold(min(5, len(set(groups))), shuffle=True, random_state=0)
    grid = {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1]}
    search = GridSearchCV(model, grid, scoring="f1_macro", cv=folds).fit(seen, targets, groups=groups)
    spent = time.process_time() - started[0], time.perf_counter() - started[1]
    _say(name)(f"C {search.best_params_}")
    costs = {"train_s": round(spent[0], 2), "train_wall_s": round(spent[1], 2), "notes": search.best_params_}
    return costs, answers_of(dataset, search.predict_log_proba(shown))


def _pooled(
    config: TrainConfig, dataset: Dataset, options: Options, progress: Callable[[str, int, int], None]
) -> tuple[tuple[Any, list[int], list[str]], Any]:
    """→ of train: float (N × draws, 1024), targets, groups; of val: float (M, 1024)."""
    from models.training.data import input_config  # noqa: PLC0415
    from models.training.kinds.i3d import cached_features  # noqa: PLC0415

    model = started(config, Mode.RGB, dataset)
    train, val = dataset.of(Split.TRAIN), dataset.of(Split.VAL)
    wanted = [*((record, config.transfer.draws) for record in train), *((record, 1) for record in val)]
    inputs = input_config(config, len(dataset.labels))
    found = cached_features(model, Mode.RGB, config.transfer.cache_at, wanted, inputs, options.cache, progress)
    pool = pooling(model, config.transfer.cache_at, found.shape)
    files = [file for row in found.files for file in row]
    arrays = [
        np.asarray(pool.predict_on_batch(np.stack([np.load(file) for file in files[at : at + 16]]).astype(np.float32)))
        for at in range(0, len(files), 16)
    ]
    pooled = np.concatenate(arrays)
    count = len(train) * config.transfer.draws
    repeated = [record for record in train for _ in range(config.transfer.draws)]
    return (pooled[:count], dataset.targets(repeated), [record.group for record in repeated]), pooled[count:]


def started(config: TrainConfig, mode: Mode, dataset: Dataset) -> Any:
    """→ one stream with the weights that a training of ``config`` starts from."""
    from models.training.kinds.i3d import build_stream  # noqa: PLC0415
    from models.training.run.checks import needs_start  # noqa: PLC0415
    from models.weights.start import find_weights, read_start  # noqa: PLC0415

    name = needs_start(config, mode)
    start = read_start(find_weights(name, WEIGHTS)) if name else None
    return build_stream(config.network, mode, dataset.labels, config.input.size, start)


def pooling(model: Any, endpoint: str, shape: tuple[int, ...]) -> Any:
    """→ keras.Model from features ``shape`` at ``endpoint`` to what the output layer averages: float (B, 1024)."""
    import keras  # noqa: PLC0415

    names = [layer.name for layer in model.layers]
    inputs = keras.Input(shape, dtype="float32")
    x = inputs
    for layer in model.layers[names.index(endpoint) + 1 : names.index("AvgPool3d") + 1]:
        x = layer(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling3D()(x))


def _shorter(name: str, row: Row, dataset: Dataset, options: Options) -> tuple[dict[str, Any], Predictions]:
    from models.classifier import ActionClassifier  # noqa: PLC0415
    from models.evaluation.figures.predictions import predict  # noqa: PLC0415

    weights = _folder("base", options) / "weights"
    if not weights.is_dir():
        raise ValueError("this row needs the row base")
    classifier = ActionClassifier.load(weights)
    journal, step = _folder(name, options) / "answers.jsonl", _steps(name)
    views = Views(real=row.real)
    tell = lambda done, total: step("clips", done, total)  # noqa: E731
    return {}, predict(classifier, dataset, dataset.of(Split.VAL), views, journal, tell)


def _added(name: str, row: Row, dataset: Dataset, options: Options) -> tuple[dict[str, Any], Predictions]:
    both = [_stored(other, dataset, options) for other in ("base", "flow")]
    if both[0] is None or both[1] is None:
        raise ValueError("this row needs the rows base and flow")
    return {}, both[0].plus(both[1])


_RUNNERS = {How.TRAIN: _train, How.LOGISTIC: _logistic, How.SHORTER: _shorter, How.ADDED: _added}


def _stored(name: str, dataset: Dataset, options: Options) -> Predictions | None:
    path = _folder(name, options) / "logits.npy"
    return answers_of(dataset, np.load(path)) if path.is_file() else None


def _folder(name: str, options: Options) -> Path:
    folder = options.work / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _feature_costs(config: TrainConfig, dataset: Dataset) -> dict[str, float]:
    """CPU seconds for a clip, of this row and of the base in turn; nothing where both have the same features."""
    if same_features(config, BASE):
        return {}
    records = dataset.of(Split.TRAIN)[:: max(1, len(dataset.of(Split.TRAIN)) // SAMPLE)][:SAMPLE]
    base, own = (
        sum(feature_seconds(item, mode, dataset, records) for mode in item.mode.streams) for item in (BASE, config)
    )
    return {"feature_s": round(own, 3), "base_feature_s": round(base, 3)}


def same_features(config: TrainConfig, other: TrainConfig) -> bool:
    """Whether the frozen part and what it sees are the same."""
    first, second = (
        (item.mode, item.transfer.cache_at, item.input.window, item.input.size) for item in (config, other)
    )
    return first == second


def feature_seconds(config: TrainConfig, mode: Mode, dataset: Dataset, records: Sequence[Any]) -> float:
    """CPU seconds for reading one clip (optical flow included) and running the frozen part on it, measured anew."""
    from models.training.data import input_config  # noqa: PLC0415
    from models.training.kinds.i3d import cached_features  # noqa: PLC0415

    config = replace(config, input=replace(config.input, flow_folder=""))
    model = started(config, mode, dataset)
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ablations-") as folder:
        cached_features(
            model,
            mode,
            config.transfer.cache_at,
            [(record, config.transfer.draws) for record in records],
            input_config(config, len(dataset.labels)),
            Path(folder),
            lambda *_: times.append(time.process_time()),
        )
    steady = times[: max(2, len(times) - BUSY_READS)]
    return float(np.diff(steady).mean())


def _times(seconds: float | None, count: int) -> float | None:
    return None if seconds is None else round(seconds * count, 2)


def _say(name: str) -> Callable[[str], None]:
    return lambda text: print(f"{time.strftime('%H:%M:%S')} {name}: {text}", flush=True)


def _steps(name: str) -> Callable[[str, int, int], None]:
    """Tells of long steps only now and then: the output is a log."""

    def step(what: str, done: int, total: int) -> None:
        if not what.startswith("epoch") and done % 50 == 0:
            _say(name)(f"{what} {done} of {total}")

    return step
