"""Networks of a version that is to serve: loaded beside those that do, while these go on answering.

Memory: the version that serves, the one that is loaded, and, until the next change, the one that served before, so that
a roll-back need not load anything. The last one is the first to go where other networks need the room.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from service.engine import InferenceEngine, ModelUnavailable
from service.processes.planner import Planner
from service.processes.version_messages import LoadNetworks, NetworksLoaded

log = logging.getLogger(__name__)

LOAD_NICENESS = 10  # as labels: detection keeps the cameras' pace


class NetworkDesk:
    """``load`` from any thread; one version after the other is loaded, in threads of their own."""

    def __init__(self, engine: InferenceEngine, planner: Planner) -> None:
        self._engine = engine
        self._planner = planner
        self._turn = threading.Lock()

    def load(self, wish: LoadNetworks, answer: Callable[[NetworksLoaded], None]) -> None:
        """``answer`` is called once they are ready, or cannot be had."""
        threading.Thread(target=self._load, args=(wish, answer), name="load-version", daemon=True).start()

    def _load(self, wish: LoadNetworks, answer: Callable[[NetworksLoaded], None]) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOAD_NICENESS)
        with self._turn:
            try:
                problem = self._problem(wish)
            except Exception as error:  # the thread's outermost frame: whoever waits must hear of it
                log.exception("%s cannot be loaded", wish.wanted[0])
                problem = f"{type(error).__name__}: {error}"
        answer(NetworksLoaded(wish.request, problem))

    def _problem(self, wish: LoadNetworks) -> str:
        names = self._wanted(wish)
        fresh = [name for name in names if not self._engine.loaded(name)]
        if fresh:  # else it would wait behind any other network that is loaded just now
            self._engine.drop_retired(but=names)
        try:
            for name in names:
                self._engine.classifier(name)
                self._engine.measure_clip(name)  # the first clip of a person must not wait for it
        except (ModelUnavailable, ValueError, RuntimeError) as error:
            for name in fresh:
                self._engine.unload(name)
            return str(error)
        self._engine.retire(set(fresh) - self._planner.networks())  # until streams ask them
        return ""

    def _wanted(self, wish: LoadNetworks) -> list[str]:
        """The lighter network always; the other where the one that serves is loaded, or nothing else can answer.

        Where a version has answered before and its lighter network still can, the other comes up behind it, as at a
        start: whoever goes back is in a hurry.
        """
        full, light = wish.wanted
        if not light:
            return [full]
        goes_back = light not in wish.serving and self._engine.loaded(light)
        wants_full = self._engine.loaded(full if goes_back else wish.serving[0])
        return [light, full] if wants_full else [light]
