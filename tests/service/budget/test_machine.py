"""What others take of this machine's cores, measured on the real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from service.budget.machine import TakenCores, usable_cores

BUSY = "import os, sys; os.nice(int(sys.argv[1])); print('begun', flush=True)\nwhile True: pass"


@contextmanager
def busy_process(niceness: int) -> Iterator[psutil.Process]:
    """Keeps one core busy, as far as it gets it."""
    process = subprocess.Popen([sys.executable, "-c", BUSY, str(niceness)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def watched(process: psutil.Process, seconds: float = 1.5) -> tuple[float, float, float]:
    """→ CPU seconds that were taken, that ``process`` used, and that were used at a lower priority by anybody."""
    taken, before, reniced = TakenCores(), process.cpu_times(), psutil.cpu_times().nice
    time.sleep(seconds)
    found, after = taken.update(), process.cpu_times()
    assert found is not None
    used = after.user + after.system - before.user - before.system
    return found * seconds, used, psutil.cpu_times().nice - reniced


def test_usable_cores_are_those_of_the_affinity_at_most():
    assert 0 < usable_cores() <= len(os.sched_getaffinity(0))


def test_work_of_others_counts():
    with busy_process(0) as process:
        taken_s, used_s, _ = watched(process)
    assert used_s > 0.1
    assert taken_s > 0.8 * used_s


def test_reniced_work_of_others_does_not_count():
    with busy_process(10) as process:
        taken_s, used_s, reniced_s = watched(process)
    assert reniced_s > 0.8 * used_s > 0
    assert taken_s < usable_cores() * 1.7 - 0.8 * reniced_s


def test_own_work_does_not_count():
    """All that is counted beside it was done by others, and they cannot have had more than is left."""
    taken = TakenCores()
    begin, end = time.monotonic(), time.process_time() + 0.7
    while time.process_time() < end:
        pass
    found = taken.update()
    assert found is not None
    assert found < usable_cores() - 0.6 / (time.monotonic() - begin) + 0.2


def test_too_short_a_time_says_nothing():
    taken = TakenCores()
    assert taken.update() is None
