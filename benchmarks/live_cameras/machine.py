"""Which machine it is: figures of one are no figures of another."""

from __future__ import annotations

from models.runtimes.host import cores, processor
from pipeline.openvino import cpu_flags

KNOWN = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def flags() -> list[str]:
    """→ what the processor has of the instruction sets that matter here."""
    return [name for name in KNOWN if name in cpu_flags()]


def cpu() -> str:
    """→ cores, processor and its best instruction set: ``2 cores of an AMD EPYC (avx2)``."""
    return f"{cores()} cores of {processor()} ({(flags() or ['no avx2'])[-1]})"
