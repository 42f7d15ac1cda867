"""Every network of the registry on every runtime and precision it has here, on the same real clips, in one run.

    python benchmarks/classifier.py [--networks se_i3d slowfast] [--runtimes openvino] [--rounds 5] [--write-docs]

Each row loads in a process of its own (its load time and peak memory are then its own), with its converted network
already on disk. A network's rows take turns clip by clip, together with the anchor, SE-I3D (weights/surveillance) on
TensorFlow float32, so that a busy moment of the machine hits all alike: times are to be read as ratios to the anchor,
or to the same network on TensorFlow float32. Logit differences and top-1 agreement are to the latter. Beside them, for
speed only, networks of torchvision and pytorchvideo with random weights (`pip install -e '.[bench]'`).

Medians are printed as a table, kept in benchmarks/results/classifier.json (rows that are not measured again stay) and,
with --write-docs, put into docs/networks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import document  # noqa: E402  # the repository root is on the path only now
from benchmarks.comparison.clips import Clip, read_clips  # noqa: E402
from benchmarks.comparison.group import Options, measure  # noqa: E402
from benchmarks.comparison.rows import PEERS, TRAINED, Key, Measured, chosen_networks, rows_of  # noqa: E402
from benchmarks.comparison.table import MARKS, markdown, plain  # noqa: E402
from benchmarks.comparison.worker import Job  # noqa: E402

ANCHOR = Key("se_i3d", "tensorflow", "f32")
SAMPLE = REPOSITORY / "samples" / "street.mp4"


def machine() -> dict[str, Any]:
    cpu_info = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in cpu_info.splitlines() if "model name" in line), "")
    known = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "flags": [flag for flag in known if f" {flag} " in cpu_info.replace("\n", " ")],
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


_PACKAGES = ("tensorflow", "keras", "openvino", "onnxruntime", "ai-edge-litert", "nncf", "torch", "numpy")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def network_rows(name: str, arguments: argparse.Namespace, clips: Mapping[str, Clip]) -> list[Measured]:
    """Every row of one network; the anchor runs along and is left out again unless it belongs to the network."""
    from benchmarks.comparison import folders  # noqa: PLC0415  # TensorFlow, which peers alone do not need
    from models.errors import ModelsError  # noqa: PLC0415
    from models.networks.complexity import complexity  # noqa: PLC0415
    from models.weights.saved_network import load_network  # noqa: PLC0415

    card, anchor_card = folders.read(name, arguments.work), folders.read(ANCHOR.network, arguments.work)
    model = load_network(card)
    size = complexity(model, *folders.input_shapes(model, card.clip_shape))
    rows = rows_of(name, arguments.runtimes, arguments.precisions)
    if any(key.precision == "int8" for key in rows):
        with contextlib.suppress(ModelsError):  # the row then says that there is no such network
            folders.export_int8(card, clips)
    cards = {ANCHOR: anchor_card, **dict.fromkeys(rows, card)}
    jobs = {
        key: Job(of.folder, key.runtime, key.precision, arguments.work / "cache", arguments.threads)
        for key, of in cards.items()
    }
    found = measure(jobs, {key: of.clip_shape for key, of in cards.items()}, clips, _options(arguments))
    measured = [found[key] for key in rows]
    for row in measured:
        row.parameters, row.gmacs, row.trained = size.parameters, size.gmacs, name in TRAINED
    return measured


def peer_row(name: str, arguments: argparse.Namespace, clips: Mapping[str, Clip]) -> Measured:
    from benchmarks.comparison import folders  # noqa: PLC0415

    anchor_card, key, (frames, size) = (
        folders.read(ANCHOR.network, arguments.work),
        Key(name, "torch", "f32"),
        PEERS[name],
    )
    jobs = {
        ANCHOR: Job(anchor_card.folder, "tensorflow", "f32", arguments.work / "cache", arguments.threads),
        key: Job(None, name, "f32", arguments.work / "cache", arguments.threads),
    }
    shapes = {ANCHOR: anchor_card.clip_shape, key: (frames, size, size, 3)}
    return measure(jobs, shapes, clips, _options(arguments))[key]


def _options(arguments: argparse.Namespace) -> Options:
    return Options(arguments.rounds, arguments.budget, arguments.work / "cache", arguments.threads)


def keep(output: Path, rows: list[Measured], rounds: int) -> list[Measured]:
    """Puts the rows beside those measured before → all of them, in the order of the registry."""
    known = json.loads(output.read_text("utf-8"))["rows"] if output.is_file() else []
    names = {field.name for field in fields(Measured)}
    merged = {(r["network"], r["runtime"], r["precision"]): r for r in known if set(r) == names}
    for row in rows:
        merged[row.network, row.runtime, row.precision] = asdict(row)
    order = [*chosen_networks(()), *PEERS]
    ordered = sorted(merged.values(), key=lambda row: order.index(row["network"]) if row["network"] in order else 99)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"machine": machine(), "rounds": rounds, "rows": ordered}, indent=2) + "\n", "utf-8")
    return [Measured(**{**row, "clip": tuple(row["clip"])}) for row in ordered]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--networks", nargs="*", default=[], metavar="NAME", help="of the registry; default: all")
    made.add_argument("--runtimes", nargs="*", default=[], metavar="NAME", help="beside TensorFlow f32; default: all")
    made.add_argument("--precisions", nargs="*", default=[], metavar="NAME", help="f32, bf16, int8; default: all")
    made.add_argument("--peers", nargs="*", default=list(PEERS), metavar="NAME", help="default: all; none with --peers")
    made.add_argument("--clips", type=Path, default=REPOSITORY.parent / "shared" / "data" / "kinetics")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--budget", type=float, default=240.0, help="seconds after which a network's rounds end")
    made.add_argument("--threads", type=int)
    made.add_argument("--work", type=Path, default=REPOSITORY / "data" / "classifier-benchmark")
    made.add_argument("--output", type=Path, default=REPOSITORY / "benchmarks" / "results" / "classifier.json")
    made.add_argument("--write-docs", action="store_true", help="put the table into docs/networks.md")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    clips, rows = read_clips(arguments.clips, SAMPLE), []
    for name in chosen_networks(arguments.networks):
        rows += network_rows(name, arguments, clips)
        print(plain(rows[-len(rows_of(name, arguments.runtimes, arguments.precisions)) :]), flush=True)
        kept = keep(arguments.output, rows, arguments.rounds)
    for name in arguments.peers:
        rows.append(peer_row(name, arguments, clips))
        print(plain(rows[-1:]), flush=True)
    kept = keep(arguments.output, rows, arguments.rounds)
    if arguments.write_docs:
        page = REPOSITORY / "docs" / "networks.md"
        page.write_text(document.with_table(page.read_text("utf-8"), markdown(kept), MARKS), "utf-8")
    return 0 if all(row.top1_agreement in (None, 1.0) for row in rows if row.precision == "f32") else 1


if __name__ == "__main__":
    sys.exit(main())
