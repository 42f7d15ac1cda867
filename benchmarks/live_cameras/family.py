"""What a process and all its children use, and which cores they may use."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import psutil


def family(pid: int) -> list[psutil.Process]:
    """→ the process and all below it that live now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_s(pid: int) -> dict[int, float]:
    """→ CPU seconds that each living process of the family has used, in user and system."""
    used = {}
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


def used_between(before: dict[int, float], after: dict[int, float]) -> float:
    """→ CPU seconds; what a process that ended meanwhile used at last is lost."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def pss_mb(pid: int) -> int:
    """→ memory of the family, each page shared by several counted once."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return round(total / 2**20)


@contextlib.contextmanager
def started_on(cores: Sequence[int]) -> Iterator[None]:
    """Processes that are started inside may use these cores only, as under ``taskset``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def busy(processes: int, cores: Sequence[int]) -> Iterator[None]:
    """So many processes that do nothing but work, on these cores, while inside."""
    with started_on(cores):
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
