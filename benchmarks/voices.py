"""What else the pixels, boxes and skeletons of a person can say: voices, alone and together, in the grouped folds.

    python benchmarks/voices.py --work WORK [--tiers runs/tiers] [--only VIEW …] [--no-table] [--write-docs]

WORK is the working folder of models/configs/surveillance_light.py, with the data set in it. A voice is a small learner
(logistic regression, trees) on features of each labelled clip that nothing was trained for: pooled features of
Kinetics-400's I3D on what is cut around the person, movements of boxes, skeletons by ../shared/weights/yolov8n-pose.
Voices speak together by the mean of their log probabilities, all alike: no weight was tuned. Networks take part with
their answers of benchmarks/tiers.py where these are there. Folds are those of that script, five by source video.

Figures have percentile intervals over source videos; the difference to the base row is paired. The calibration error
is that with temperatures fitted on other videos. Features are computed once a clip and view and kept in --cache; a run
that is stopped goes on. The table is printed, kept in benchmarks/results/voices.json and, with --write-docs, put into
docs/ablations.md. Rows whose features are not in --cache keep the figures that the results file has of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document, tiers  # noqa: E402 -- after the lines above
from benchmarks.ablations import machine  # noqa: E402
from benchmarks.voice.answers import Study  # noqa: E402
from benchmarks.voice.features import Network, compute  # noqa: E402
from benchmarks.voice.rows import VIEWS  # noqa: E402
from benchmarks.voice.table import markdown, report_of, with_earlier  # noqa: E402
from benchmarks.voice.views import View  # noqa: E402
from models.data.manifest import Dataset, read_dataset  # noqa: E402
from models.data.tracks.ways import labelled_ways  # noqa: E402
from models.evaluation.figures.predictions import Predictions  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402

DOCS = HERE.parent / "docs" / "ablations.md"
MARKS = document.marks("benchmarks/voices.py")
SHARED = HERE.parents[1] / "shared"
POSE = SHARED / "weights" / "yolov8n-pose-int8_openvino_model" / "yolov8n-pose.xml"


def network_of(view: View, options: argparse.Namespace) -> Network:
    from benchmarks.voice.networks import pooled_i3d  # noqa: PLC0415 - takes seconds to import
    from benchmarks.voice.skeletons import pose_network  # noqa: PLC0415 - as above

    if view.skeleton:
        return pose_network(options.pose, options.threads)
    return pooled_i3d(options.weights, view.length, view.size, options.threads)


def main() -> int:
    options = _arguments()
    dataset = tiers.known_part(read_dataset(options.data))
    people = labelled_ways(options.work, dataset.records)
    for name in VIEWS if options.only is None else options.only:
        compute(people, {name: VIEWS[name]}, lambda view: network_of(view, options), options.cache, _say)
    if options.no_table:
        return 0
    study = Study(dataset, people, options.cache, tiers_of(dataset, options))
    report = {"machine": machine(), **report_of(study, _say)}
    if options.output.is_file():
        report = with_earlier(report, json.loads(options.output.read_text("utf-8")))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(markdown(report))
    if options.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


def tiers_of(dataset: Dataset, options: argparse.Namespace) -> dict[str, Predictions]:
    """→ the calibrated answers of the networks whose five folds are done, by name."""
    places = tiers.Options(options.data, options.tiers, options.cache, options.weights)
    folds = range(1, tiers.FOLDS + 1)
    found = {name: tiers.answers(name, folds, dataset, places) for name in ("full", "light")}
    return {name: given for name, given in found.items() if given is not None}


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="working folder of `actoscope dataset extract`")
    parser.add_argument("--data", type=Path, help="its data set; default: WORK/dataset")
    parser.add_argument("--only", nargs="*", choices=tuple(VIEWS), metavar="VIEW", help="views to compute; none: none")
    parser.add_argument("--no-table", action="store_true", help="compute features only")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "voices", help="features")
    parser.add_argument("--tiers", type=Path, default=HERE.parent / "runs" / "tiers", help="of benchmarks/tiers.py")
    parser.add_argument("--weights", type=Path, default=HERE.parent / "weights", help="weights to start from")
    parser.add_argument("--pose", type=Path, default=POSE, help="yolov8n-pose as OpenVINO's graph")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "voices.json")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    options.data = options.data or options.work / "dataset"
    return options


if __name__ == "__main__":
    sys.exit(main())
