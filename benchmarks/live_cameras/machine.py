"""Which machine it is: figures of one are no figures of another."""

from __future__ import annotations

import os
from pathlib import Path

KNOWN = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_CPU_INFO = Path("/proc/cpuinfo")


def flags() -> list[str]:
    """→ what the processor has of the instruction sets that matter here."""
    words = set(_CPU_INFO.read_text("utf-8").split()) if _CPU_INFO.exists() else set[str]()
    return [name for name in KNOWN if name in words]


def cpu() -> str:
    """→ cores, processor and its best instruction set: ``2 cores of an AMD EPYC (avx2)``."""
    lines = _CPU_INFO.read_text("utf-8").splitlines() if _CPU_INFO.exists() else []
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )
    return f"{len(os.sched_getaffinity(0))} cores of {name} ({(flags() or ['no avx2'])[-1]})"
