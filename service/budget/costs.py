"""What detections, appearance features and clips cost on this host: learnt while running, kept for the next start."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.files import write_atomically

log = logging.getLogger(__name__)

RATE = 0.1  # weight of a new measurement
FIRST = 3  # so many first measurements are averaged plainly: the very first may be slow, but is all there is


@dataclass(frozen=True, slots=True)
class Cost:
    """One piece of work: CPU seconds of all its threads, and how long its own thread is taken. ``count``: measured."""

    cpu_s: float
    wall_s: float
    count: int = 1

    def scaled(self, factor: float) -> Cost:
        return Cost(self.cpu_s * factor, self.wall_s * factor)


@dataclass
class Done:
    """How many pieces of work were done; 0 leaves the time out."""

    count: int = 1


class Costs:
    """Running averages by name of the work, ``kind:what``. Thread-safe.

    How long a thread is taken for its CPU time depends on what else runs now, so that is learnt by kind of work: what
    was measured of one network while the machine was busy is not held against it when it is idle.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Cost] = {}
        self._stretch: dict[str, float] = {}  # kind of work → wall clock for its CPU time, of late

    def observe(self, work: str, cpu_s: float, wall_s: float, count: int = 1) -> None:
        """``count`` pieces together took ``cpu_s`` and ``wall_s``; what is no sensible time is passed over."""
        if count < 1 or not (cpu_s >= 0 and wall_s > 0 and math.isfinite(cpu_s) and math.isfinite(wall_s)):
            return
        with self._lock:
            before = self._known.get(work)
            share = 1.0 if before is None else max(RATE, 1.0 / (1 + min(before.count, FIRST)))
            old = before or Cost(0.0, 0.0, 0)
            self._known[work] = Cost(
                old.cpu_s + share * (cpu_s / count - old.cpu_s),
                old.wall_s + share * (wall_s / count - old.wall_s),
                old.count + 1,
            )
            if cpu_s > 0:
                kind, ratio = _kind(work), wall_s / cpu_s
                known = self._stretch.get(kind, ratio)
                self._stretch[kind] = known + RATE * (ratio - known)

    @contextmanager
    def timed(self, work: str, threads: int) -> Iterator[Done]:
        """What is inside is one piece of ``work``, or as many as ``Done.count`` says at its end.

        It is done by this thread alone, or by ``threads`` of a network: the others' CPU time cannot be told from that
        of other work, so all count as busy while this one waits.
        """
        done = Done()
        wall, cpu = time.perf_counter(), time.thread_time()
        yield done
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        self.observe(work, cpu if threads == 1 else max(cpu, wall * threads), wall, done.count)

    def of(self, work: str) -> Cost | None:
        """→ what it costs now; None where it was never done."""
        with self._lock:
            known, stretch = self._known.get(work), self._stretch.get(_kind(work))
        if known is None or stretch is None or known.cpu_s == 0:
            return known
        return Cost(known.cpu_s, known.cpu_s * stretch, known.count)

    def known(self) -> dict[str, Cost]:
        with self._lock:
            return dict(self._known)

    def start_from(self, known: dict[str, Cost]) -> None:
        """What was kept from an earlier run; what this one measures soon outweighs it."""
        with self._lock:
            self._known = {**{work: Cost(c.cpu_s, c.wall_s, 1) for work, c in known.items()}, **self._known}


def _kind(work: str) -> str:
    return work.partition(":")[0]


class CostsFile:
    """Costs on disk, for one kind of host: a file that is missing, broken or another host's is as good as none."""

    def __init__(self, folder: Path, host: Sequence[str]) -> None:
        self._path = folder / f"costs-{hashlib.sha256(chr(10).join(host).encode()).hexdigest()[:16]}.json"

    def read(self) -> dict[str, Cost]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
            costs = {str(work): Cost(float(c["cpu_s"]), float(c["wall_s"]), 1) for work, c in content.items()}
            return {work: c for work, c in costs.items() if 0 <= c.cpu_s < math.inf and 0 < c.wall_s < math.inf}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s is broken and measured again: %s", self._path, error)
            return {}

    def write(self, costs: Costs) -> None:
        """A folder that cannot be written only costs measuring again."""
        content = {work: asdict(cost) for work, cost in sorted(costs.known().items())}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            log.warning("what work costs on this host cannot be kept: %s", error)
