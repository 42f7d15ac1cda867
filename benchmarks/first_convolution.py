"""I3D's first convolution over blocks of 24 channels (``models.runtimes.stem_blocks``) beside the one over 3 colours.

    python benchmarks/first_convolution.py [--weights weights/surveillance] [--rounds 9] [--write-docs]

Both graphs run on one thread of OpenVINO and take turns clip by clip, in bf16 as this processor multiplies it, so
that a busy moment of the machine hits both alike; figures are medians. Clips are consecutive ones of
samples/street.mp4, and the difference is the largest one of a logit, beside that to float32 of the graph as it was.
On processors without AMX the service leaves the graph alone: the table says what folding would cost there. It is
printed, kept in benchmarks/results/first_convolution.json and, with --write-docs, put into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import openvino as ov  # noqa: E402  # the repository root is on the path only now

from benchmarks import document  # noqa: E402
from benchmarks.ablations import machine  # noqa: E402
from models.runtimes.converted import openvino_graph  # noqa: E402
from models.runtimes.openvino import cpu_properties  # noqa: E402
from models.runtimes.runner import Precision, RuntimeOptions  # noqa: E402
from models.runtimes.stem_blocks import AMX, fold_stem  # noqa: E402
from models.weights.cards import read_card  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.openvino import cpu_flags  # noqa: E402
from tests.models.clips import read_video  # noqa: E402

DOCS = REPOSITORY / "docs" / "performance.md"
MARKS = document.marks("benchmarks/first_convolution.py")
ROWS = {"colours": "3 colours, 7×7×7", "blocks": "blocks of 24 channels, 4×4×4"}
HOP = 16


def compiled(graph: Path, arithmetic: str, fold: bool) -> Any:
    """→ a request on one thread."""
    model = ov.Core().read_model(graph)
    if fold and not fold_stem(model, "bf16", frozenset({AMX})):
        raise ValueError(f"{graph} does not begin as I3D does")
    return ov.Core().compile_model(model, "CPU", cpu_properties(arithmetic, 1)).create_infer_request()


def asked(request: Any, clip: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """→ logits (C,), CPU seconds."""
    begin = time.process_time()
    request.infer([clip], share_inputs=True)
    took_s = time.process_time() - begin
    return np.array(request.get_output_tensor(0).data[0], np.float32), took_s


def measure(weights: Path, cache: Path, rounds: int) -> dict[str, Any]:
    card = read_card(weights)
    shape = card.clip_shape
    graph = openvino_graph(card, shape, RuntimeOptions(Precision.F32, 1, cache))
    clips = read_video(REPOSITORY / "samples" / "street.mp4", shape[1])[0]
    exact = compiled(graph, "f32", fold=False)
    requests = {name: compiled(graph, "bf16", name == "blocks") for name in ROWS}
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    apart: dict[str, list[float]] = {name: [] for name in ROWS}
    for round_ in range(rounds + 1):
        first = round_ * HOP % (len(clips) - shape[0])
        clip = np.ascontiguousarray(clips[None, first : first + shape[0]])
        expected, _ = asked(exact, clip)
        for name, request in requests.items():
            logits, took_s = asked(request, clip)
            if round_:  # the first prepares
                times[name].append(took_s)
            apart[name].append(float(np.abs(logits - expected).max()))
    rows = {name: {"cpu_s": statistics.median(times[name]), "apart": max(apart[name])} for name in ROWS}
    return {"machine": machine(), "amx": AMX in cpu_flags(), "rounds": rounds, "rows": rows}


def markdown(report: dict[str, Any]) -> str:
    reference = report["rows"]["colours"]["cpu_s"]
    lines = ["| first convolution | CPU s a clip | | logits from float32's, at most |", "|---|---|---|---|"]
    for name, label in ROWS.items():
        row = report["rows"][name]
        lines.append(f"| {label} | {row['cpu_s']:.3f} | ×{row['cpu_s'] / reference:.2f} | {row['apart']:.4f} |")
    unit = "with" if report["amx"] else "without"
    return "\n".join(lines) + f"\n\n{report['machine']['cpu']}, {unit} AMX, {report['rounds']} clips, one thread.\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=REPOSITORY / "weights" / "surveillance")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".cache" / "first-convolution")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "first_convolution.json")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    report = measure(arguments.weights, arguments.cache, arguments.rounds)
    write_atomically(arguments.output, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(markdown(report))
    if arguments.write_docs:
        document.put_table(DOCS, markdown(report), MARKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
