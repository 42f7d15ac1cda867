"""What the packages of a container image take on disk, and what of it is there for NVIDIA's GPUs alone.

    python -m benchmarks.image_size --instead tensorflow=tensorflow_cpu-2.21.0-….whl

Counts the files of every distribution that ``actoscope`` with these extras needs here, as their records list them.
The image itself (Debian, Python, our source, the networks) comes on top and is not measured. ``--instead``: a wheel in
the place of an installed distribution, counted unpacked. Writes
benchmarks/results/image_size.json, and the table in docs/operations.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.document import marks, put_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
RESULT = Path(__file__).parent / "results" / "image_size.json"
EXTRAS = ("postgres", "train")  # of the target cpu
CUDA_PREFIXES = ("nvidia-", "cuda-")
CUDA_FILES = (  # of torch's CUDA build, which its CPU build has not
    "libtorch_cuda.so",
    "libtorch_cuda_linalg.so",
    "libc10_cuda.so",
    "libtorch_nvshmem.so",
    "libcaffe2_nvrtc.so",
)
MB = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """``size_mb``: of what is left in the image."""

    what: str
    size_mb: float


def needed(name: str, extras: Iterable[str]) -> dict[str, Distribution]:
    """→ what is installed here of a distribution and all that it needs, by canonical name. ``name`` itself is left out.

    Raises PackageNotFoundError where something that is needed is not installed.
    """
    found: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), extra) for extra in ("", *extras)]
    while waiting:
        each = waiting.pop()
        if each in done:
            continue
        done.add(each)
        found[each[0]] = distribution(each[0])
        for requirement in map(Requirement, found[each[0]].requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": each[1]}):
                waiting += [(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)]
    return {key: value for key, value in found.items() if key != canonicalize_name(name)}


def sizes(files: Iterable[tuple[str, int]]) -> tuple[int, int]:
    """→ bytes of all files, and of those that serve CUDA alone. ``files``: name and bytes."""
    listed = list(files)
    return sum(size for _, size in listed), sum(size for name, size in listed if Path(name).name in CUDA_FILES)


def files_of(found: Distribution) -> Iterable[tuple[str, int]]:
    for each in found.files or ():
        path = Path(str(found.locate_file(each)))
        if path.is_file():
            yield str(each), path.stat().st_size


def unpacked(wheel: Path) -> int:
    """→ bytes. Raises OSError, zipfile.BadZipFile."""
    with zipfile.ZipFile(wheel) as archive:
        return sum(item.file_size for item in archive.infolist())


def is_cuda(name: str) -> bool:
    return name.startswith(CUDA_PREFIXES) or name == "triton"


def rows(bytes_of: Mapping[str, tuple[int, int]], instead: Mapping[str, int]) -> list[Row]:
    """``bytes_of``: by distribution, all and those for CUDA alone. ``instead``: bytes in the place of others."""
    everything = sum(size for size, _ in bytes_of.values())
    cuda = sum(size for name, (size, _) in bytes_of.items() if is_cuda(name))
    torch = bytes_of.get("torch", (0, 0))[1]
    left = [
        Row("everything", everything / MB),
        Row("without NVIDIA's libraries and Triton", (everything - cuda) / MB),
        Row("and without torch's own CUDA libraries", (everything - cuda - torch) / MB),
    ]
    gain = 0
    for name, size in instead.items():
        gain += bytes_of[name][0] - size
        left.append(Row(f"and {name} replaced by its wheel for CPUs", (everything - cuda - torch - gain) / MB))
    return left


def measure(extras: Sequence[str], wheels: Mapping[str, Path]) -> dict[str, Any]:
    found = needed("actoscope", extras)
    bytes_of = {name: sizes(files_of(each)) for name, each in found.items()}
    largest = sorted(bytes_of, key=lambda name: -bytes_of[name][0])[:12]
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "extras": list(extras),
        "distributions": len(found),
        "rows": [
            {"what": row.what, "mb": round(row.size_mb)}
            for row in rows(bytes_of, {name: unpacked(path) for name, path in wheels.items()})
        ],
        "largest_mb": {f"{name} {found[name].version}": round(bytes_of[name][0] / MB) for name in largest},
        "instead": {name: path.name for name, path in wheels.items()},
    }


def table(result: Mapping[str, Any]) -> str:
    lines = ["| packages | MB |", "|---|---|"]
    return "\n".join([*lines, *(f"| {row['what']} | {row['mb']} |" for row in result["rows"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default=",".join(EXTRAS))
    parser.add_argument("--instead", action="append", default=[], metavar="NAME=WHEEL")
    parser.add_argument("--json", type=Path, default=RESULT)
    options = parser.parse_args()
    wheels = {name: Path(path) for name, _, path in (each.partition("=") for each in options.instead)}
    try:
        result = measure(options.extras.split(","), wheels)
    except (PackageNotFoundError, OSError) as error:
        parser.error(f"cannot be measured: {error}")
    print(table(result))
    put_table(PAGE, table(result), marks("benchmarks/image_size.py"))
    options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
