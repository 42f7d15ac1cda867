"""What is counted of an image's packages."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.image_size import is_cuda, needed, rows, sizes, unpacked


def test_what_serves_cuda_alone_is_taken_off() -> None:
    bytes_of = {
        "numpy": (10_000_000, 0),
        "torch": sizes([("torch/lib/libtorch_cpu.so", 400_000_000), ("torch/lib/libtorch_cuda.so", 500_000_000)]),
        "nvidia-cublas": (600_000_000, 0),
        "triton": (200_000_000, 0),
        "tensorflow": (1_800_000_000, 0),
    }
    assert [round(row.size_mb) for row in rows(bytes_of, {"tensorflow": 800_000_000})] == [3510, 2710, 2210, 1210]
    assert is_cuda("nvidia-cudnn-cu13") and is_cuda("triton") and not is_cuda("openvino")


def test_needs_are_followed_with_their_extras_and_markers() -> None:
    plain, more = needed("actoscope", ()), needed("actoscope", ("postgres",))
    assert {"numpy", "torch", "tensorflow"} <= set(plain) and "actoscope" not in plain
    assert set(more) - set(plain) >= {"psycopg", "psycopg-binary"}
    assert not any("win32" in name or name == "colorama" for name in plain)


def test_wheel_is_counted_unpacked(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.so", b"0" * 5000)
    assert unpacked(wheel) == 5000
    with pytest.raises(zipfile.BadZipFile):
        unpacked(Path(__file__))
