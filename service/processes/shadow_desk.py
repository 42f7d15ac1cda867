"""A version that is tried: it judges some of the clips that the serving one has judged, when nobody else has work.

A thread of the lowest priority. It takes at most ``SHARE`` of one worker's time, and a clip that waits for it is left
out as soon as a clip that somebody needs waits. What it says goes to the stream alone, never to anybody's label.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.engine import InferenceEngine, ModelUnavailable, Pictures
from service.processes.connection import Connection
from service.processes.inference_messages import ShadowAnswer
from service.processes.ipc import ChannelClosed
from service.processes.version_messages import ShadowFailed

log = logging.getLogger(__name__)

SHARE = 0.2
SHADOW_NICENESS = 19
MAX_WAITING = 4  # clips, of 9.6 MB each where they are large; newer ones take the place of older ones
CLOSED_CHECK_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    connection: Connection
    number: int
    network: str
    pictures: Pictures


class ShadowDesk:
    """``pair`` and ``offer`` from any thread, ``work`` is the body of one. ``busy``: whether clips wait for labels."""

    def __init__(
        self, engine: InferenceEngine, busy: Callable[[], bool], tell: Callable[[ShadowFailed], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._busy = busy
        self.tell = tell
        self._condition = threading.Condition()
        self._pairs: Mapping[str, str] = {}
        self._needed: Callable[[], set[str]] = set
        self._waiting: dict[tuple[int, int], Turn] = {}
        self._number = 0

    @property
    def networks(self) -> set[str]:
        return set(self._pairs.values())

    def tried(self, network: str) -> str:
        """→ the network that is tried on the clips of this one; "": none is."""
        return self._pairs.get(network, "")

    def pair(self, pairs: Mapping[str, str], needed: Callable[[], set[str]]) -> None:
        """From now on these are tried. Others give their memory back, but for those that are ``needed``."""
        with self._condition:
            gone, self._pairs, self._needed = self.networks - set(pairs.values()), dict(pairs), needed
            self._waiting = {key: turn for key, turn in self._waiting.items() if turn.network not in gone}
        for network in gone - needed():
            self._engine.unload(network)

    def offer(self, connection: Connection, track_id: int, network: str, pictures: Pictures) -> int:
        """A clip that ``network`` has judged → by which number an answer may follow; 0: nobody is tried on it."""
        challenger = self._pairs.get(network)
        if challenger is None:
            return 0
        with self._condition:
            self._number += 1
            before = len(self._waiting)
            self._waiting.pop((connection.number, track_id), None)
            while len(self._waiting) >= MAX_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
            self._waiting[connection.number, track_id] = Turn(connection, self._number, challenger, pictures)
            self._drop(before + 1 - len(self._waiting))
            self._condition.notify()
            return self._number

    def work(self, closed: threading.Event) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SHADOW_NICENESS)
        while not closed.is_set():
            turn = self._take()
            if turn is None:
                continue
            closed.wait(self._judge(turn) * (1 / SHARE - 1))

    def _take(self) -> Turn | None:
        with self._condition:
            if not self._waiting:
                self._condition.wait(CLOSED_CHECK_S)
            if not self._waiting:
                return None
            turn = self._waiting.pop(next(iter(self._waiting)))
        if self._busy():
            self._drop(1)
            return None
        return turn

    def _judge(self, turn: Turn) -> float:
        """→ how long it took, in seconds; that the network was loaded for its first clip is no work on clips."""
        try:
            classifier = self._engine.classifier(turn.network)
            if not self._still_tried(turn.network):
                return 0.0
            begin_s = time.monotonic()
            probabilities = self._engine.classify_beside(turn.network, classifier, turn.pictures)
        except (ModelUnavailable, ValueError, RuntimeError) as error:
            log.error("%s is tried no more: %s", turn.network, error)
            with self._condition:
                self._pairs = {name: tried for name, tried in self._pairs.items() if tried != turn.network}
            self.tell(ShadowFailed(turn.network, str(error)))
            return 0.0
        took_s = time.monotonic() - begin_s
        self._engine.measures.count("shadow_clips_total")
        with contextlib.suppress(ChannelClosed):  # the stream left meanwhile
            answer = ShadowAnswer(turn.number, turn.network, classifier.labels, probabilities)
            turn.connection.channel.send(answer)
        return took_s

    def _still_tried(self, network: str) -> bool:
        """Its trial may have ended while it was loaded for it; then nobody else would give its memory back."""
        with self._condition:
            if network in self.networks:
                return True
            needed = self._needed
        if network not in needed():
            self._engine.unload(network)
        return False

    def _drop(self, count: int) -> None:
        if count:
            self._engine.measures.count("shadow_clips_dropped_total", count)
