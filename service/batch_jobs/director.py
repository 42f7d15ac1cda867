"""Jobs that nobody waits for: conducted on a thread, until somebody asks how they do. Knows no Ray."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.batch_jobs.conductor import Cancelled, Conductor, Machines, Patience
from service.batch_jobs.order import JobOrder
from service.batch_jobs.outcome import End

log = logging.getLogger(__name__)

MOST_LINES = 2000  # older ones are left out, as their numbers tell
KEPT_S = 3600.0  # that what has ended can be asked about


@dataclass(frozen=True, slots=True)
class Account:
    """``lines``: from number ``first`` on. ``state``: running, done, failed, again, cancelled, or broken; ``ends``: of
    each job that has ended.
    """

    state: str
    first: int = 0
    lines: tuple[str, ...] = ()
    ends: Mapping[str, End] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.state != RUNNING


RUNNING, CANCELLED, BROKEN = "running", "cancelled", "broken"


class Director:
    """``stages``: one after the other, each once all of the one before are done. ``after``: called on its thread, so
    long after the end that nobody is likely to ask any more.
    """

    def __init__(
        self,
        machines: Machines,
        patience: Patience,
        stages: Sequence[Sequence[JobOrder]],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._stages = stages
        self._after = after
        self._cancel = threading.Event()
        self._conductor = Conductor(machines, patience, self._tell, self._cancel)
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._told = 0
        self._state = RUNNING
        self._ends: dict[str, End] = {}

    def begin(self) -> None:
        threading.Thread(target=self._run, name="director", daemon=True).start()

    def look(self, since: int) -> Account:
        with self._lock:
            first = max(since, self._told - len(self._lines))
            lines = tuple(self._lines)[len(self._lines) - (self._told - first) :] if first < self._told else ()
            return Account(self._state, first, lines, dict(self._ends))

    def cancel(self) -> None:
        """Each job keeps what it has learnt; that takes a while."""
        self._cancel.set()

    def _run(self) -> None:
        try:
            state = self._conducted()
        except Cancelled:
            state = CANCELLED
        except Exception as error:  # the thread's outermost frame
            log.exception("the jobs are given up")
            self._tell(f"given up: {error}")
            state = BROKEN
        with self._lock:
            self._state = state
        time.sleep(KEPT_S)
        self._after()

    def _conducted(self) -> str:
        for stage in self._stages:
            ends = self._conductor.run(stage)
            with self._lock:
                self._ends |= ends
            for end in (End.FAILED, End.AGAIN):
                if end in ends.values():
                    return str(end.value)
        return str(End.DONE.value)

    def _tell(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            self._told += 1
