"""The machine in a few words: figures of speed mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def describe_host(cpuinfo: Path = _CPUINFO) -> str:
    """→ ``AMD EPYC 9654, 2 cores, Linux x86_64``. The processor's name is Linux's, elsewhere Python's."""
    name = platform.processor() or "unknown processor"
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{next(iter(names), name)}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
