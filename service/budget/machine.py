"""This machine from inside the inference process: the cores that it may use, and what all others take of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from models.runtimes.host import cores


def usable_cores() -> float:
    """Cores of this process's affinity, fewer where a container's quota allows fewer."""
    return min(float(cores()), _quota())


class TakenCores:
    """How many of the cores everybody but this process kept busy since the last call.

    Work of a lower priority than usual is left out: it yields to ours, and so takes nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._own = psutil.Process()
        self._before = self._read()

    def update(self) -> float | None:
        """→ cores taken by others; None where the system does not tell, or too little time has passed."""
        (then_s, all_then, own_then), (now_s, all_now, own_now) = self._before, self._read()
        if now_s - then_s < 0.2 or all_now <= all_then:
            return None
        self._before = now_s, all_now, own_now
        return max(0.0, (all_now - all_then) - (own_now - own_then)) / (now_s - then_s)

    def _read(self) -> tuple[float, float, float]:
        """→ (clock, CPU seconds on this process's cores, those of this process), reniced work left out."""
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(psutil.cpu_count() or 1)
        per_core = psutil.cpu_times(percpu=True)
        busy = sum(_busy(per_core[core]) for core in allowed if core < len(per_core))
        own = sum(each.user_time + each.system_time for each in self._own.threads() if not _reniced(each.id))
        return self._clock(), busy, own


def _busy(times: object) -> float:
    """All but idling and reniced work; guests are counted in user time already."""
    names = ("user", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, name, 0.0) for name in names))


def _reniced(thread_id: int) -> bool:
    try:
        return os.getpriority(os.PRIO_PROCESS, thread_id) > 0
    except OSError:  # it has ended meanwhile
        return False


def _quota() -> float:
    """What cgroup v2 allows, infinite without a limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("utf-8").split()[:2]
        return float(limit) / float(period)
    except (OSError, ValueError):  # "max" is no number
        return float("inf")
