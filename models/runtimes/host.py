"""This host: its cores and GPU, in a few words for people, and in all that the speed of a runtime depends on."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.openvino import cpu_flags

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("openvino", "tensorflow", "keras", "onnxruntime", "ai-edge-litert", "numpy")


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_present() -> bool:
    """Whether TensorFlow can compute on a GPU here.

    TensorFlow is asked only where an NVIDIA driver is loaded, because asking costs its import (4 s, 0.6 GB).
    """
    if not (Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()):
        return False
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ImportError:
        return False
    return bool(tensorflow.config.list_physical_devices("GPU"))


def describe_host(cpuinfo: Path = _CPUINFO) -> str:
    """→ ``AMD EPYC 9654, 2 cores, Linux x86_64``: figures of speed mean nothing without it."""
    return f"{processor(cpuinfo)}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """→ the processor's name as Linux has it, elsewhere Python's."""
    names = [value for name, value in _cpuinfo(cpuinfo) if name == "model name"]
    return next(iter(names), platform.processor() or "unknown processor")


def host_facts() -> list[str]:
    """CPU model, instruction sets, cores, GPUs and package versions, one a line: what a measured choice depends on."""
    flags = hashlib.sha256(" ".join(sorted(cpu_flags())).encode()).hexdigest()[:16]
    return [f"cpu={_cpu_model()}", f"flags={flags}", f"cores={cores()}", *_gpus(), *map(_package, _PACKAGES)]


def _cpu_model() -> str:
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping")
    first = {name: value for name, value in reversed(_cpuinfo(_CPUINFO)) if name in wanted}
    return " ".join(first.get(name, "") for name in wanted).strip() or platform.processor()


def _cpuinfo(path: Path) -> list[tuple[str, str]]:
    """Every line of Linux's file as (name, value); empty where there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def _gpus(driver: Path = Path("/proc/driver/nvidia")) -> list[str]:
    """NVIDIA's driver and cards, as far as the driver tells."""
    files = [driver / "version", *sorted(driver.glob("gpus/*/information"))]
    return [f"gpu={file.read_text(errors='replace').strip()}" for file in files if file.is_file()]


def _package(name: str) -> str:
    try:
        return f"{name}={version(name)}"
    except PackageNotFoundError:
        return f"{name}=none"
