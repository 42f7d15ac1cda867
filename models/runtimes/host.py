"""What the speed of a runtime depends on besides the network: this host and the installed packages."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.openvino import cpu_flags

_PACKAGES = ("openvino", "tensorflow", "keras", "onnxruntime", "ai-edge-litert", "numpy")


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host_facts() -> list[str]:
    """CPU model, instruction sets, cores, GPUs and package versions, one a line."""
    flags = hashlib.sha256(" ".join(sorted(cpu_flags())).encode()).hexdigest()[:16]
    return [f"cpu={_cpu_model()}", f"flags={flags}", f"cores={cores()}", *_gpus(), *map(_package, _PACKAGES)]


def _cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping")
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    first = {name: value for name, value in reversed(pairs) if name in wanted}
    return " ".join(first.get(name, "") for name in wanted) or platform.processor()


def _gpus(driver: Path = Path("/proc/driver/nvidia")) -> list[str]:
    """NVIDIA's driver and cards, as far as the driver tells."""
    files = [driver / "version", *sorted(driver.glob("gpus/*/information"))]
    return [f"gpu={file.read_text(errors='replace').strip()}" for file in files if file.is_file()]


def _package(name: str) -> str:
    try:
        return f"{name}={version(name)}"
    except PackageNotFoundError:
        return f"{name}=none"
