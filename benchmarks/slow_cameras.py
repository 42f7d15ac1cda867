"""How few pictures a second a network can judge: its clips as a slow camera would have filled them.

    python benchmarks/slow_cameras.py DATASET [--model surveillance-light] [--split val]

Each clip of the data set is shown with all its pictures, and then with only so many different ones as a camera of a
lower rate has, each held until the next, as ``pipeline.clips`` does. Prints macro F1, and the share of clips whose
first choice is that of the full rate. Where the network has learnt from these clips, only the fall counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from models.classifier import ActionClassifier  # noqa: E402
from models.data.clip_file import read_clip  # noqa: E402
from models.data.manifest import Split, read_dataset  # noqa: E402
from models.evaluation.figures.predictions import NEVER_SCORED, Views, clip_views  # noqa: E402
from models.runtimes.host import describe_host  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "slow_cameras.json"
RATES_HZ = (5.0, 3.0, 2.0, 1.6, 1.2, 0.9, 0.5)
PHASES = (0.0, 0.5)  # of the interval between pictures: where in it the clip ends


def held(length: int, rate_hz: float, pictures_hz: float, phase: float) -> NDArray[np.intp]:
    """→ (length,) which picture each sample shows when new ones come ``pictures_hz`` a second."""
    step = rate_hz / pictures_hz
    back = length - 1 - np.arange(length) + phase * step  # samples before the clip's end
    taken = length - 1 - np.ceil(back / step) * step + phase * step
    return np.asarray(np.clip(np.round(taken), 0, length - 1), np.intp)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="surveillance-light")
    parser.add_argument("--split", type=Split, default=Split.VAL)
    arguments = parser.parse_args()
    classifier = ActionClassifier.load(REPOSITORY / "weights" / arguments.model)
    form, dataset = classifier.card.input, read_dataset(arguments.dataset)
    records = [record for record in dataset.of(arguments.split) if record.label not in NEVER_SCORED]
    truth = [classifier.labels.index(record.label) for record in records]
    whole = [clip_views(read_clip(r.path), form, dataset.info.input.rate_hz, Views())[0] for r in records]
    full = answers(classifier, whole, np.arange(form.frames))
    rows = [{"pictures_hz": form.rate_hz, **figures(truth, full, full)}]
    for pictures_hz in RATES_HZ:
        shown = [answers(classifier, whole, held(form.frames, form.rate_hz, pictures_hz, phase)) for phase in PHASES]
        row = figures(truth * len(PHASES), np.concatenate(shown), np.concatenate([full] * len(PHASES)))
        rows.append({"pictures_hz": pictures_hz, "pictures": round(pictures_hz * form.frames / form.rate_hz, 1), **row})
    report = {"host": describe_host(), "model": arguments.model, "clips": len(records), "rows": rows}
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    write_atomically(RESULTS, json.dumps({**kept, arguments.model: report}, indent=1).encode() + b"\n")
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def answers(classifier: ActionClassifier, clips: list[NDArray[np.uint8]], shown: NDArray[np.intp]) -> NDArray[np.intp]:
    """uint8 (T, H, W, 3) each → (N,) first choices."""
    logits = [classifier.logits(clip[shown][np.newaxis])[0] for clip in clips]
    return np.asarray(np.argmax(logits, axis=1), np.intp)


def figures(truth: list[int], answered: NDArray[np.intp], full: NDArray[np.intp]) -> dict[str, float]:
    """Of first choices (N,) against the truth, and against those at the full rate."""
    f1 = [_f1(np.asarray(truth) == index, answered == index) for index in sorted(set(truth))]
    return {"macro_f1": round(float(np.mean(f1)), 3), "same_as_full": round(float(np.mean(answered == full)), 3)}


def _f1(true: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    both = float(np.sum(true & said))
    return 2 * both / max(1.0, float(np.sum(true) + np.sum(said)))


if __name__ == "__main__":
    main()
