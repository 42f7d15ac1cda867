"""What whole scenes say of the labelled people: models/configs/surveillance_scene.py, judged as the crops are.

    python benchmarks/scenes.py --work WORK [--folds 1 2 …]
    python benchmarks/depths.py --work WORK --write-docs

WORK is the working folder of models/configs/surveillance_light.py, with the data set in it; the videos must lie where
they were extracted from. Folds are the five grouped ones of benchmarks/depths.py, made of the data set's clips: every
example goes with its source video, so that boxes (``models.motion_training``), learnt in the same folds, saw none of a
fold's sources either. Each fold keeps its last epoch. What it says of a person is the mean of its log probabilities
over the person's examples. Whoever has none, seen in too few pictures, gets the shares of the classes among the others.

Pictures and features are kept in --cache; a fold that is done is not done again, and one that was interrupted goes on.
When all are done the answers lie in --answers as ``cv_predictions.csv``, where benchmarks/depths.py finds them: its
table holds the figures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.depths import Floats, Options, train_fold  # noqa: E402 -- after the lines above
from benchmarks.tiers import FOLDS, PREDICTIONS, SEED, known_part  # noqa: E402
from models.configs.surveillance_scene import CONFIG  # noqa: E402
from models.data.manifest import ClipRecord, Dataset, Split, read_dataset  # noqa: E402
from models.data.tracks.scene_store import LabelledScenes, SceneRecord, read_scenes  # noqa: E402
from models.evaluation.figures.calibration import log_probabilities  # noqa: E402
from models.training.run.cross_validation import grouped_folds, write_predictions  # noqa: E402

Indices = NDArray[np.int64]
Range = tuple[str, int, int, int]  # video, track, start and end as the table says them


def examples_of(clips: Dataset, scenes: LabelledScenes, cache: Path) -> Dataset:
    """→ the scenes of the people whom ``clips`` show, with its classes in its order."""
    from models.training.scenes import cut  # noqa: PLC0415 - as keras, takes seconds to import

    known = replace(scenes, rows=tuple(row for row in scenes.rows if row.label in clips.labels))
    found = cut(known, CONFIG, cache, lambda *_: None)
    return replace(found, info=found.info.model_copy(update={"class2label": clips.info.class2label}))


def clip_numbers(records: Sequence[ClipRecord], scenes: LabelledScenes) -> dict[Range, int]:
    """→ the place in ``records`` of every labelled range: both are in the order of time on a track.

    Raises ValueError for a track that has as many clips as ranges not, or other labels.
    """
    clips: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number in sorted(range(len(records)), key=lambda number: records[number].start_s):
        clips[records[number].video, records[number].track_id].append(number)
    labels = {record.label for record in records}
    rows = sorted((row for row in scenes.rows if row.label in labels), key=lambda row: row.start)
    found = {}
    for row in rows:
        left = clips[row.clip, row.track]
        if not left or records[left[0]].label != row.label:
            raise ValueError(f"expected a clip {row.label} of track {row.track} of {row.clip} in the data set")
        found[row.clip, row.track, row.start, row.end] = left.pop(0)
    return found


def person_of(example: ClipRecord, numbers: Mapping[Range, int]) -> int:
    """→ the place of the clip that shows who the example shows."""
    if not isinstance(example, SceneRecord):
        raise TypeError(f"expected a scene, got {example.path}")
    track, start, end = example.range
    return numbers[example.video, track, start, end]


def by_person(said: Floats, shown: Indices, targets: Indices, folds: Sequence[Indices]) -> Floats:
    """``said`` (E, C): logits of the examples, which show the people ``shown`` (E,) → (N, C): log probabilities of all.

    ``targets`` (N,); whoever is not shown gets the classes' shares among the people outside the fold.
    """
    found = np.zeros((len(targets), said.shape[1]))
    for judged in folds:
        counts = np.bincount(np.delete(targets, judged), minlength=said.shape[1])
        found[judged] = log_probabilities(np.log(np.maximum(counts, 1))[None])
    chances = log_probabilities(said)
    for person in np.unique(shown):
        found[person] = chances[shown == person].mean(axis=0)
    return found


def main() -> int:
    arguments = _arguments()
    clips = known_part(read_dataset(arguments.data or arguments.work / "dataset"))
    records = (*clips.of(Split.TRAIN), *clips.of(Split.VAL))
    scenes = read_scenes(arguments.work)
    examples = examples_of(clips, scenes, arguments.cache)
    numbers = clip_numbers(records, scenes)
    shown = np.asarray([person_of(example, numbers) for example in examples.records], np.int64)
    folds = grouped_folds(records, clips.targets(records), FOLDS, SEED)
    _say(f"{len(examples.records)} examples of {len(set(shown))} of {len(records)} people")
    options = Options(arguments.answers, arguments.cache, arguments.weights, CONFIG.transfer.draws)
    for number in arguments.folds:
        _train(number, np.isin(shown, folds[number - 1]), examples, options)
    files = [_logits(number, options) for number in range(1, FOLDS + 1)]
    if not all(file.is_file() for file in files):
        return 0
    said = np.zeros((len(shown), len(clips.labels)))
    for judged, file in zip(folds, files, strict=True):
        said[np.isin(shown, judged)] = np.load(file)
    answers = by_person(said, shown, np.asarray(clips.targets(records), np.int64), folds)
    write_predictions(arguments.answers / PREDICTIONS, clips, records, folds, answers.astype(np.float32))
    _say(f"answers: {arguments.answers / PREDICTIONS}")
    return 0


def _train(number: int, judged: NDArray[np.bool_], examples: Dataset, options: Options) -> None:
    """One fold, unless it is done: ``judged`` (E,) are the examples that it holds out."""
    if _logits(number, options).is_file():
        return
    sides = tuple(
        [record for record, out in zip(examples.records, judged, strict=True) if out == side] for side in (False, True)
    )
    train_fold(CONFIG, (sides[0], sides[1]), examples, options, _logits(number, options).parent)
    _say(f"fold {number} of {FOLDS}")


def _logits(number: int, options: Options) -> Path:
    return options.answers / f"fold-{number}" / "logits.npy"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="working folder of `actoscope dataset extract`")
    parser.add_argument("--data", type=Path, help="its data set; default: WORK/dataset")
    every = range(1, FOLDS + 1)
    parser.add_argument("--folds", type=int, nargs="*", default=every, choices=every, metavar="FOLD", help="to train")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="pictures, features")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--answers", type=Path, default=HERE.parent / "runs" / "scenes", help="trainings, answers")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
