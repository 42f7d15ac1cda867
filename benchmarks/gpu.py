"""SE-I3D on a GPU: clips a second over batch sizes in float32 and bfloat16, for each way the Keras backend can run it.

    KERAS_BACKEND=tensorflow|jax|torch python benchmarks/gpu.py [--batches 1 2 4 8 16 32 64] [--weights DIR]

Each row also says which part of the chip's matrix rate that is (measured in the same run, by a product of two large
matrices in the same number format and backend) and how many live people it sustains, each with a new clip every 16
crops at 25 crops a second. Results of the backends come together in benchmarks/results/gpu.json. Without a GPU it says
so and ends; ``--allow-cpu`` tries the script itself on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without this, torch multiplies float32 matrices without tensor cores where the others use them (TF32).
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "1")

import keras  # noqa: E402  # the backend is chosen above

from benchmarks.gpu_speed.compiled import MODES, Device, device  # noqa: E402
from benchmarks.gpu_speed.measurement import BATCHES, Plan, Rate, matrix_tflops, rates  # noqa: E402
from models.networks.complexity import complexity  # noqa: E402
from models.networks.registry import build  # noqa: E402

PRECISIONS = ("f32", "bf16")


def network(arguments: argparse.Namespace) -> Callable[[], Any]:
    """→ builder of the network to measure: the speed does not depend on the weights, so fresh ones do."""
    shape = (arguments.frames, arguments.size, arguments.size, 3)
    return lambda: build(arguments.network, arguments.classes, shape)


def measure(plan: Plan, where: Device, report: Callable[[Rate], None]) -> dict[str, Any]:
    """→ matrix rates by precision and all rows; ``report`` hears each row as it comes."""
    tflops = {precision: matrix_tflops(precision, plan.matrix) for precision in PRECISIONS}
    rows: list[Rate] = []
    for precision in PRECISIONS:
        for mode in MODES[where.backend]:
            for row in rates(plan, precision, mode, tflops[precision]):
                report(row)
                rows.append(row)
    return {"device": asdict(where), "matrix_tflops": tflops, "rows": [asdict(row) for row in rows]}


def line(row: Rate) -> str:
    head = f"{row.precision:<6}{row.mode:<28}{row.batch:>6}"
    if row.problem:
        return f"{head}  {row.problem}"
    return f"{head}{row.clips_per_s:>10.1f}{row.matrix_share:>9.1%}{row.people:>9.0f}"


def keep(output: Path, backend: str, result: dict[str, Any]) -> None:
    """Puts this backend's result beside those of the others."""
    known = json.loads(output.read_text("utf-8")) if output.is_file() else {}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({**known, backend: result}, indent=2) + "\n", "utf-8")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--network", default="se_i3d", help="a name in models/networks/registry.py that reads crops")
    made.add_argument("--frames", type=int, default=64)
    made.add_argument("--size", type=int, default=224)
    made.add_argument("--classes", type=int, default=400)
    made.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument(
        "--matrix", type=int, default=8192, help="side of the matrices whose product gives the chip's rate"
    )
    made.add_argument("--allow-cpu", action="store_true", help="go on without a GPU, to try the script")
    made.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "gpu.json")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    where = device()
    if not where.gpu and not arguments.allow_cpu:
        print(f"Keras on {where.backend} {where.release} sees no GPU here; --allow-cpu tries the script all the same")
        return 2
    make = network(arguments)
    shape = (arguments.frames, arguments.size, arguments.size, 3)
    gmacs = complexity(make(), shape).gmacs
    keras.backend.clear_session()
    plan = Plan(make, shape, gmacs, tuple(arguments.batches), arguments.repeats, arguments.matrix)
    print(f"{where.name}, {where.backend} {where.release}, {arguments.network} {shape}, {gmacs:.1f} GMACs a clip")
    print(f"{'':<6}{'mode':<28}{'batch':>6}{'clips/s':>10}{'matrix':>9}{'people':>9}")
    result = measure(plan, where, lambda row: print(line(row), flush=True))
    keep(arguments.output, where.backend, {**result, "network": arguments.network, "gmacs": gmacs, "clip": shape})
    return 0


if __name__ == "__main__":
    sys.exit(main())
