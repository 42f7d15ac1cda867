"""What each choice behind weights/surveillance is worth: one table, every row changing one thing of the base row.

    python benchmarks/ablations.py --data DATASET --cache FEATURES [--data-wide DATASET] [--only ROW …] [--write-docs]

The base is ``BASE`` below: models/configs/surveillance.py with fewer draws and epochs, spelt out, so that tuning that
file does not move the table. Every row keeps its last epoch: val measures and chooses nothing. Figures are macro F1 on
the split val with percentile intervals over groups; costs are CPU seconds, on which other work on the machine weighs
least. Each row runs in a process of its own, is written down when it is done and skipped the next time; one that fails
is told and tried again the next time. ``--write-docs`` puts the table into docs/ablations.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if Path(sys.path[0]).resolve() == HERE:  # run as a script: benchmarks/pipeline.py would hide the package of that name
    sys.path[0] = str(HERE.parent)

from benchmarks.ablation.rows import BASE, ROWS  # noqa: E402 -- after the line above
from benchmarks.ablation.runs import Options, limited, run_row  # noqa: E402 -- after the line above
from benchmarks.ablation.table import markdown, ranged, with_table  # noqa: E402 -- after the line above
from models.data.manifest import Dataset, Split, read_dataset  # noqa: E402 -- after the line above
from pipeline.files import write_atomically  # noqa: E402 -- after the line above

DOCS = HERE.parent / "docs" / "ablations.md"


def protocol(options: Options, dataset: Dataset) -> dict[str, Any]:
    """What all rows share; results of another protocol are not mixed with them."""
    counts = {
        split.value: {label: sum(r.label == label for r in dataset.of(split)) for label in dataset.labels}
        for split in (Split.TRAIN, Split.VAL)
    }
    settings = {name: value for name, value in asdict(BASE).items() if name not in {"card", "name", "dataset"}}
    plain: dict[str, Any] = json.loads(
        json.dumps({"clips": counts, "base": settings | {"epochs": options.epochs}}, default=str)
    )
    return plain


def read_results(path: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """→ what ``path`` holds, or an empty report. Raises ValueError when it was measured in another way."""
    if not path.is_file():
        return {"protocol": wanted, "rows": {}, "failed": {}}
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if report["protocol"] != wanted:
        raise ValueError(f"{path} holds rows with other data, epochs or settings; name another file with --output")
    return report


def machine() -> dict[str, Any]:
    cpu_info = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in cpu_info.splitlines() if "model name" in line), "")
    packages = {name: version(name) for name in ("tensorflow", "keras", "openvino", "numpy")}
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), **packages}


def main() -> int:
    arguments = _arguments()
    options = Options(
        arguments.data, arguments.data_wide, arguments.cache, arguments.work, arguments.limit, arguments.epochs
    )
    dataset = limited(read_dataset(options.data), options.limit)
    report = read_results(arguments.output, protocol(options, dataset)) | {"machine": machine()}
    for name in ROWS if arguments.only is None else arguments.only:
        if name not in report["rows"]:
            _one(name, options, report)
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(arguments.output, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        write_atomically(DOCS, with_table(DOCS.read_text("utf-8"), markdown(report)))
    return 1 if report["failed"] else 0


def _one(name: str, options: Options, report: dict[str, Any]) -> None:
    """Run one row and note what came of it."""
    if ROWS[name].wide and options.data_wide is None:
        return
    report["failed"].pop(name, None)
    started = time.perf_counter()
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            result = pool.submit(run_row, name, options).result()
    except Exception as error:  # noqa: BLE001 -- the outermost frame of a row: the others go on
        report["failed"][name] = f"{type(error).__name__}: {error}"[:300]
        _say(name, f"FAILED: {report['failed'][name]}\n{error.__cause__ or ''}")
        return
    report["rows"][name] = asdict(result)
    _say(
        name,
        f"macro F1 {ranged(result.macro_f1)}, three {ranged(result.macro_f1_three)}, "
        f"{time.perf_counter() - started:.0f} s",
    )


def _say(name: str, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {name}: {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set with the splits train and val, margin 0.2")
    parser.add_argument("--data-wide", type=Path, help="the same clips with a margin of 0.6")
    parser.add_argument("--cache", type=Path, default=HERE.parent / ".cache" / "features", help="features, shared")
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "ablations", help="checkpoints, logits")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "ablations.json")
    parser.add_argument(
        "--only", nargs="*", choices=tuple(ROWS), metavar="ROW", help=f"none: the table only; {', '.join(ROWS)}"
    )
    parser.add_argument("--epochs", type=int, default=BASE.epochs)
    parser.add_argument("--limit", type=int, default=0, help="clips of a class and split, to try the script")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
