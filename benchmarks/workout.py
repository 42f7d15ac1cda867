"""Push-up, pull-up or squat, from sources never trained on: a network's head and k nearest neighbours side by side.

    python benchmarks/workout.py [--videos ../shared/data/workout] [--work runs/workout] [--rounds 15] [--json FILE]

Cuts the videos into clips of 2.56 s (whole frames), runs I3D's frozen part once for each, and then, for every source
in turn, trains the head of models/configs/workout.py, the same head by the forerunner's recipe
(models/configs/roads/workout_seed.py), and lets k-NN vote on the very same pooled features, k chosen among the other
sources. A video's answer is the mean over its clips. Intervals: whole sources are drawn (bootstrap). For the times, CPU
time of the process, the stored features are resampled from the real ones with noise; both ways take turns, and only
their ratios should be read. Every step can be interrupted and run again.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.pooled_head import over_pairs, pooled_head  # noqa: E402  # the repository root is on the path only now
from models.data.layouts.folders import Grouping, read_folders  # noqa: E402
from models.data.layouts.prepare import PrepareConfig, prepare  # noqa: E402
from models.data.layouts.whole_frame import WholeFrameCutter  # noqa: E402
from models.data.manifest import ClipRecord, Dataset  # noqa: E402
from models.evaluation.figures.bootstrap import bootstrap, group_counts  # noqa: E402
from models.evaluation.figures.metrics import accuracy, macro_f1, measure  # noqa: E402
from models.evaluation.knn import NearestNeighbours, choose_neighbours  # noqa: E402
from models.training.config import CLASS_WEIGHTS, Mode, TrainConfig, load_config  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

Floats = NDArray[np.float32]
CONFIG = REPOSITORY / "models" / "configs" / "workout.py"
SEED_CONFIG = REPOSITORY / "models" / "configs" / "roads" / "workout_seed.py"
WEIGHTS = REPOSITORY / "weights"
GOAL = 0.95  # accuracy over videos
PIECE_S = 64 / 25  # one clip of the network
SIZES = (100, 1_000, 10_000, 100_000)
NOISE = 0.1  # of each feature's own spread, for the times only
NETWORK, SEED_HEAD, NEIGHBOURS = "network head", "seed's recipe", "k-NN"


@dataclass(frozen=True)
class Videos:
    """Answers to whole videos. ``scores`` float (V, C), ``targets`` int (V,), one group a video."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    targets: NDArray[np.int64]
    scores: Floats


@dataclass(frozen=True)
class Trainer:
    """The head of ``config`` on cached features. ``start``: its weights before any training."""

    config: TrainConfig
    network: Any
    source: Any
    start: Any


def main() -> int:
    options = parse()
    data = clips(options.videos, options.work)
    trainer = prepare_trainer(load_config(CONFIG), data, options.work, options.cache)
    pooled = pooled_features(trainer.source)
    network, source = pooled_head(trainer.network.streams, trainer.source, options.work / "pooled")
    scores, chosen = leave_one_source_out(replace(trainer, network=network, source=source), data, pooled)
    report = {
        "machine": machine(),
        "data": {"clips": len(data.records), "sources": len({record.group for record in data.records})},
        "accuracy": {name: judge(by_video(found, data), data.labels) for name, found in scores.items()},
        "neighbours": chosen,
    }
    show_accuracy(report["accuracy"])
    report["times"] = times(trainer, data, pooled, options)
    show_times(report["times"])
    options.json.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.json, json.dumps(report, indent=1) + "\n")
    return 0 if report["accuracy"][NETWORK]["accuracy"]["value"] >= GOAL else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=REPOSITORY.parent / "shared" / "data" / "workout")
    parser.add_argument("--work", type=Path, default=Path("runs/workout"), help="folder of the data set")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"), help="folder of cached features")
    parser.add_argument("--rounds", type=int, default=15, help="answers timed for each size")
    parser.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "workout.json")
    options = parser.parse_args()
    if not (options.videos / "source_groups.csv").is_file():
        raise SystemExit(f"{options.videos} lacks source_groups.csv: give the folder of the videos with --videos")
    return options


# ---- data ----


def clips(videos: Path, work: Path) -> Dataset:
    """The videos as a data set in ``work``/data, grouped by ``work``/groups.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("clip", "group"))
    writer.writerows(sorted(read_sources(videos).items()))
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(work / "groups.csv", text.getvalue())
    layout = read_folders(videos, Grouping(csv_file=work / "groups.csv"))
    told = "Workout videos without a stated licence: for experiments, nothing trained on them may ship"
    done = prepare(layout, work / "data", WholeFrameCutter(piece_s=PIECE_S), PrepareConfig(description=told), tell)
    for item in done.left_out:
        print(f"left out: {item.what}: {item.reason}")
    return done.dataset


def read_sources(videos: Path) -> dict[str, str]:
    """``source_groups.csv``, a list made by hand, → source by video (path below ``videos``).

    Rows are class, source, names. Names are one file's, or numbers (``squat_8 9 11``), or a range (``squat_1 ..
    squat_14``), with remarks in brackets. Rows of classes that have no folder are passed over.
    Raises ValueError for a name that has no file.
    """
    found: dict[str, str] = {}
    for line in (videos / "source_groups.csv").read_text("utf-8").splitlines():
        label, _, rest = line.partition(",")
        source, _, names = rest.partition(",")
        folder = videos / f"{label}s"
        if line.startswith("#") or not folder.is_dir():
            continue
        stems = {path.stem for path in folder.iterdir()}
        for stem in named(names.strip(), stems):
            found[f"{folder.name}/{stem}.mp4"] = f"{label} {source}"
    return found


def named(text: str, stems: set[str]) -> list[str]:
    """→ the files that ``text`` means. Ranges take those that exist. Raises ValueError for others."""
    if text in stems:  # 'videoplayback (5)' is a file, 'squat_24 (1)' is one file
        return [text]
    bare = re.sub(r"\s*\(.*\)$", "", text)
    prefix, _, first = bare.split()[0].rpartition("_")
    numbers = [int(number) for number in re.findall(r"(?:^|\s|_)(\d+)(?=\s|$)", bare)]
    if not prefix:
        wanted = [bare]
    elif ".." in bare:
        wanted = [f"{prefix}_{n}" for n in range(int(first), numbers[-1] + 1) if f"{prefix}_{n}" in stems]
    else:
        wanted = [f"{prefix}_{number}" for number in numbers]
    missing = [stem for stem in wanted if stem not in stems]
    if missing or not wanted:
        raise ValueError(f"source_groups.csv: {text!r} names no file: {', '.join(missing)}")
    return wanted


# ---- features, head and neighbours ----


def prepare_trainer(config: TrainConfig, data: Dataset, work: Path, cache: Path) -> Trainer:
    """Build the network and compute the features of every clip that has none yet."""
    from models.training.run.loop import weights_of  # noqa: PLC0415
    from models.training.run.train import Job, Places, Teller  # noqa: PLC0415  # loads TensorFlow

    places = Places(work / "weights", work / "run", cache, WEIGHTS)
    job = Job(config, data, places, Teller(lambda what, done, total: tell(done, total, what), print), work / "run")
    network, splits = job.prepare(data.records, ())
    return Trainer(config, network, splits.train, weights_of(network.model))


def pooled_features(source: Any) -> Floats:
    """→ (N, D): of each clip, the very vector that the head's output layer sees, averaged over time."""
    return np.stack([pool(np.load(row[0])) for row in source.features[Mode.RGB].files])


def pool(features: NDArray[np.float16]) -> Floats:
    """(t, h, w, D) → (D,): I3D's pooled features, averaged over time."""
    return np.asarray(over_pairs(features).mean(axis=0), np.float32)


def leave_one_source_out(trainer: Trainer, data: Dataset, pooled: Floats) -> tuple[dict[str, Floats], dict[str, int]]:
    """→ probabilities (N, C) of every clip by each way, from the other sources only; the k chosen for each source."""
    groups = np.array([record.group for record in data.records])
    targets = np.asarray(data.targets(data.records))
    ways = (NETWORK, SEED_HEAD, NEIGHBOURS)
    scores = {name: np.zeros((len(targets), len(data.labels)), np.float32) for name in ways}
    seed = load_config(SEED_CONFIG)
    one_by_one = replace(trainer, config=seed, source=replace(trainer.source, batch=seed.batch_size))
    heads = {NETWORK: trainer, SEED_HEAD: one_by_one}
    chosen: dict[str, int] = {}
    for number, group in enumerate(np.unique(groups), 1):
        inside, outside = np.flatnonzero(groups != group), np.flatnonzero(groups == group)
        for name, head in heads.items():
            scores[name][outside] = train_head(head, inside, outside, data.labels)
        known = (pooled[inside], targets[inside].tolist())
        chosen[str(group)] = choose_neighbours(*known, groups[inside].tolist(), data.labels)
        search = NearestNeighbours(*known, data.labels, chosen[str(group)])
        scores[NEIGHBOURS][outside] = search.predict(pooled[outside])
        right = {name: np.mean(found[outside].argmax(axis=1) == targets[outside]) for name, found in scores.items()}
        shown = ", ".join(f"{name} {share:.2f}" for name, share in right.items())
        print(f"{number:2} {group}: {len(outside)} clips, k {chosen[str(group)]}: {shown}", flush=True)
    return scores, chosen


def train_head(trainer: Trainer, inside: NDArray[Any], outside: NDArray[Any], labels: Sequence[str]) -> Floats:
    """Train a fresh head on the clips ``inside`` to the last epoch → probabilities of those ``outside``."""
    from models.classifier import softmax  # noqa: PLC0415
    from models.training.run.loop import Splits, Watcher, predict, run_epochs, set_weights  # noqa: PLC0415
    from models.training.run.losses import balanced_class_weights  # noqa: PLC0415

    set_weights(trainer.network.model, trainer.start)
    train, held_out = part(trainer.source, inside), part(trainer.source, outside)
    weights = balanced_class_weights(train.targets, len(labels), CLASS_WEIGHTS[str(trainer.config.loss.class_weights)])
    watcher = Watcher(lambda *_: None, lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        run_epochs(trainer.network, Splits(train, None, weights), trainer.config, Path(folder), watcher)
    return softmax(predict(trainer.network.model, held_out))


def part(source: Any, indices: NDArray[Any]) -> Any:
    """The clips ``indices`` of cached features."""
    features = {
        mode: replace(found, files=tuple(found.files[index] for index in indices))
        for mode, found in source.features.items()
    }
    return replace(source, features=features, targets=[source.targets[index] for index in indices])


# ---- figures ----


def by_video(scores: Floats, data: Dataset) -> Videos:
    """Probabilities (N, C) of clips → their mean over each video."""
    places: dict[str, list[int]] = {}
    for index, record in enumerate(data.records):
        places.setdefault(record.video, []).append(index)
    firsts: list[ClipRecord] = [data.records[indices[0]] for indices in places.values()]
    return Videos(
        tuple(places),
        tuple(record.group for record in firsts),
        np.asarray(data.targets(firsts)),
        np.stack([scores[indices].mean(axis=0) for indices in places.values()]),
    )


def judge(videos: Videos, labels: Sequence[str]) -> dict[str, Any]:
    """→ accuracy and macro F1 with intervals by source, every class, every source, and the videos gone wrong."""
    answers = videos.scores.argmax(axis=1)
    right = answers == videos.targets
    sums = group_counts(answers, videos.targets, len(labels), videos.groups)
    found = measure(videos.scores.astype(np.float64), videos.targets, labels)
    groups = np.array(videos.groups)
    wrong = {videos.names[i]: labels[answers[i]] for i in np.flatnonzero(~right)}
    return {
        "videos": len(right),
        "accuracy": bootstrap(sums, accuracy).model_dump(),
        "macro_f1": bootstrap(sums, macro_f1).model_dump(),
        "mean_over_sources": float(np.mean([right[groups == name].mean() for name in np.unique(groups)])),
        "classes": [row.model_dump() for row in found.classes],
        "confusion": found.confusion,
        "sources": {
            str(name): f"{right[groups == name].sum()} of {np.sum(groups == name)}" for name in np.unique(groups)
        },
        "wrong": wrong,
    }


# ---- times ----


def times(trainer: Trainer, data: Dataset, pooled: Floats, options: argparse.Namespace) -> dict[str, Any]:
    """→ CPU milliseconds of one answer, by number of stored examples: neighbours, head, the frozen part before both."""
    frozen, clip, head, features = network_parts(trainer, data)
    targets = data.targets(data.records)
    frozen_ms = statistics.median(took_ms(lambda: frozen(clip)) for _ in range(max(3, options.rounds // 3)))
    rows = []
    for size in SIZES:
        stored, classes = resampled(pooled, targets, size, seed=0)
        search = NearestNeighbours(stored, classes, data.labels, 5)
        del stored
        query = pooled[:1]
        spent: dict[str, list[float]] = {"knn": [], "head": []}
        for _ in range(options.rounds + 1):  # the first warms up
            spent["knn"].append(took_ms(lambda: search.predict(query)))  # noqa: B023  # called at once
            spent["head"].append(took_ms(lambda: head(features)))
        rows.append(time_row(size, spent, frozen_ms, search.memory_bytes))
    return {
        "frozen_part_ms": round(frozen_ms, 1),
        "head_weights": int(trainer.network.model.count_params()),
        "rows": rows,
    }


def time_row(size: int, spent: dict[str, list[float]], frozen_ms: float, memory_bytes: int) -> dict[str, Any]:
    """Medians without each way's first answer, and their ratios alone and with the frozen part before both."""
    knn, head = (statistics.median(spent[name][1:]) for name in ("knn", "head"))
    return {
        "stored": size,
        "knn_ms": round(knn, 3),
        "head_ms": round(head, 3),
        "ratio": round(knn / head, 2),
        "ratio_with_frozen_part": round((frozen_ms + knn) / (frozen_ms + head), 3),
        "knn_mb": round(memory_bytes / 1e6, 1),
    }


def network_parts(
    trainer: Trainer, data: Dataset
) -> tuple[Callable[[Floats], Any], Floats, Callable[[Floats], Any], Floats]:
    """→ the frozen part and a clip for it, the head and its features; both on the same runtime, already warm."""
    from models.data.batches.input_pipeline import read_input  # noqa: PLC0415
    from models.training.data import input_config  # noqa: PLC0415
    from models.training.frozen_front import load_front  # noqa: PLC0415
    from models.training.kinds.i3d import front  # noqa: PLC0415

    clip = read_input(data.records[0], input_config(trainer.config, len(data.labels))).astype(np.float32) / 127.5 - 1
    features = np.load(trainer.source.features[Mode.RGB].files[0][0]).astype(np.float32)
    frozen, _ = load_front(front(trainer.network.streams[Mode.RGB], trainer.config.transfer.cache_at), clip.shape)
    head, _ = load_front(trainer.network.model, features.shape)
    frozen(clip)
    head(features)
    return frozen, clip, head, features


def resampled(pooled: Floats, targets: Sequence[int], size: int, seed: int) -> tuple[Floats, list[int]]:
    """→ ``size`` rows drawn from ``pooled`` (N, D) with a little noise, not negative, and their classes."""
    rng = np.random.default_rng(seed)
    picked = rng.integers(0, len(pooled), size)
    rows = rng.standard_normal((size, pooled.shape[1]), np.float32)
    rows *= NOISE * pooled.std(axis=0)
    for start in range(0, size, 4096):  # the sum in one piece would need the memory twice
        rows[start : start + 4096] += pooled[picked[start : start + 4096]]
    return np.maximum(rows, 0, out=rows), [targets[index] for index in picked]


def took_ms(work: Callable[[], object]) -> float:
    """CPU time of all threads: other work on the machine hardly counts."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


# ---- telling ----


def tell(done: int, total: int, what: str = "videos") -> None:
    end = "\n" if done == total else ""
    print(f"\r{what}: {done} of {total}", end=end, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    packages = {name: version(name) for name in ("keras", "openvino", "scikit-learn", "numpy")}
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        **packages,
    }


def show_accuracy(accuracies: dict[str, Any]) -> None:
    for name, row in accuracies.items():
        for figure in ("accuracy", "macro_f1"):
            span = row[figure]
            print(f"{name:14}{figure:10}{span['value']:7.3f}  [{span['low']:.3f}, {span['high']:.3f}]")
        for item in row["classes"]:
            print(
                f"{'':14}{item['label']:10}{item['support']:4} videos: recall {item['recall']:.3f}, F1 {item['f1']:.3f}"
            )
        print(f"{'':14}wrong: {', '.join(f'{video} as {label}' for video, label in row['wrong'].items()) or 'none'}")


def show_times(found: dict[str, Any]) -> None:
    print(f"frozen part before both: {found['frozen_part_ms']} ms a clip; head: {found['head_weights']} weights")
    print(f"{'stored':>8}{'k-NN ms':>10}{'head ms':>10}{'ratio':>8}{'whole':>8}{'k-NN MB':>9}")
    for row in found["rows"]:
        print(
            f"{row['stored']:>8}{row['knn_ms']:>10.2f}{row['head_ms']:>10.2f}{row['ratio']:>8.1f}"
            f"{row['ratio_with_frozen_part']:>8.3f}{row['knn_mb']:>9.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
