"""Which clips of other nodes are fetched: those who have waited longest over all of them, and no more than there is
room for. Pixels are asked for before their turn comes, so that the classifier does not wait for a network.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.processes.scheduler import ClipScheduler, Key

WINDOW = 16  # clips under way or here at most, of 9.6 MB each where they are large
FETCH_S = 3.0  # one that has not come by then is asked for no more


class Credit:
    """Offers wait here; ``due`` gives those to ask for. A key has at most one clip under way or here. Thread-safe.

    ``window``: how many may be under way or here now.
    """

    def __init__(self, window: int = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self.window = window
        self._clock = clock
        self._offers = ClipScheduler(clock)
        self._lock = threading.Lock()
        self._asked: dict[Key, float] = {}  # when
        self._here: set[Key] = set()
        self._next: dict[Key, tuple[str, float, float]] = {}  # newer offers of those: model, gain, age
        self.lost = 0  # asked for, and not come in time

    @property
    def waiting(self) -> int:
        with self._lock:
            return self._offers.stats().waiting + len(self._next)

    @property
    def used(self) -> int:
        with self._lock:
            return len(self._asked) + len(self._here)

    def offer(self, key: Key, model: str, gain: float, age_s: float) -> None:
        """``age_s``: of the track's label there, which counts as waited where it is new here."""
        with self._lock:
            if key in self._asked or key in self._here:
                self._next[key] = (model, gain, age_s)
            else:
                self._offers.offer(key, model, gain, age_s)

    def due(self) -> list[Key]:
        """→ whose clips are to be asked for now; they take their places at once."""
        with self._lock:
            self._expire()
            found: list[Key] = []
            while self._room() > 0:
                keys = self._offers.take(lambda _: self._room(), 0.0)[1]
                if not keys:
                    break
                self._asked.update(dict.fromkeys(keys, self._clock()))
                found += keys
            return found

    def _room(self) -> int:
        return self.window - len(self._asked) - len(self._here)

    def _expire(self) -> None:
        late = [key for key, asked_s in self._asked.items() if self._clock() - asked_s > FETCH_S]
        self.lost += len(late)
        for key in late:
            self._free(key)

    def came(self, key: Key) -> bool:
        """A clip is here → whether it was asked for, and is still wanted."""
        with self._lock:
            if self._asked.pop(key, None) is None:
                return False
            self._here.add(key)
            return True

    def none(self, key: Key) -> None:
        """There is no clip where one was asked for."""
        with self._lock:
            if key in self._asked:
                self._free(key)

    def judged(self, key: Key) -> None:
        """Its clip was answered for: its place is free."""
        with self._lock:
            self._free(key)

    def _free(self, key: Key) -> None:
        self._asked.pop(key, None)
        self._here.discard(key)
        waiting = self._next.pop(key, None)
        if waiting is not None:
            self._offers.offer(key, *waiting)

    def forget(self, key: Key) -> None:
        """The track is gone."""
        with self._lock:
            self._next.pop(key, None)
            self._free(key)
            self._offers.forget(key)

    def forget_connection(self, connection: int) -> None:
        """A node's stream is gone: what it held here is free."""
        with self._lock:
            self._next = {key: offer for key, offer in self._next.items() if key[0] != connection}
            self._asked = {key: at for key, at in self._asked.items() if key[0] != connection}
            self._here = {key for key in self._here if key[0] != connection}
            self._offers.forget_connection(connection)
