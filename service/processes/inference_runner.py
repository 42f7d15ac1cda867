"""Keeps the one inference process alive and knows what it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from service.budget.plan import BudgetView
from service.errors_base import Unavailable
from service.processes.child_process import ChildProcess
from service.processes.managed_child import Ended, ManagedChild
from service.processes.messages import (
    InferenceFailed,
    InferenceLoading,
    InferenceReady,
    InferenceSetup,
    InferenceStats,
    unexpected,
)
from service.processes.nodes import Lender
from service.processes.version_messages import LoadNetworks, NetworksLoaded, ShadowFailed, ShadowNetworks

log = logging.getLogger(__name__)

SILENCE_S = 8.0
LOAD_TIMEOUT_S = 900.0  # a network that is converted first takes minutes
GIVE_UP_S = 5.0  # so long a load that nobody waits for any more may go on; then its process is ended
POLL_S = 0.02


class NetworksUnavailable(Unavailable, RuntimeError):
    """A version's networks cannot be loaded; the message says why."""


class InferenceRunner(ManagedChild):
    """``ready`` once the models are loaded; a crash is answered with a new process, streams reconnect to it."""

    module = "service.processes.inference_process"
    stop_grace_s = 3.0

    def __init__(self, setup: Callable[[], InferenceSetup]) -> None:
        """``setup``: asked at each start, since another version may serve by then."""
        super().__init__("the inference process")
        self._setup = setup
        self._loading: dict[int, asyncio.Future[str]] = {}
        self._request = 0
        self._left: set[int] = set()  # loads that nobody waits for any more, and that go on all the same
        self.loads_ended = 0  # processes that were ended since they went on loading
        self._what, self._since_s = "", time.monotonic()  # what a process that is not ready loads, and since when
        self.on_shadow_failed: Callable[[str, str], None] = lambda network, reason: None
        self.on_failed: Callable[[str], None] = lambda reason: None
        self.on_ready: Callable[[str], None] = lambda model: None
        self.on_early_end: Callable[[str, str], None] = lambda model, reason: None
        self.on_stuck: Callable[[str, str, str], bool] = lambda model, what, reason: False
        self.model = ""  # the first that the process loads, or the last one did
        self._settled = False  # whether this process became ready, or said why it cannot
        self._untold: Mapping[str, str] | None = None  # what is tried by now, if it began with something else
        self.ready = asyncio.Event()
        self.reason = "loading models"
        self.stats: Mapping[str, Any] = {}
        self.parts: Mapping[str, str] = {}
        self.budget: BudgetView | None = None
        self.lends_at = ""  # where other nodes' clips are taken

    def setup(self) -> InferenceSetup:
        setup, self._untold = self._setup(), None
        self.model = setup.engine.model
        return setup

    def started(self) -> None:
        self._settled = False
        self._what, self._since_s = "", time.monotonic()

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None:
        """Other nodes that classify clips of this one's streams; of use on a node alone."""

    def start_anew(self) -> None:
        """Ends the process that loads now: it is to begin with another model."""
        if self._child is not None:
            self.ready.clear()  # it hears nothing any more
            self._child.kill()

    def ended(self) -> None:
        self.ready.clear()
        self.lends_at = ""
        self._left.clear()
        for waiting in self._loading.values():
            if not waiting.done():
                waiting.set_result("the inference process ended while it loaded them")

    async def load(self, serving: tuple[str, str], wanted: tuple[str, str]) -> None:
        """Full and lighter network ("": none) of what serves and of what is to: these are loaded beside those.

        Raises NetworksUnavailable. A load that is not over within LOAD_TIMEOUT_S may never be, and would keep every
        other one waiting: its process is ended. Whoever gives up waiting goes on with ``make_way``.
        """
        if not self.ready.is_set():
            raise NetworksUnavailable(f"the inference process is not ready: {self.reason}")
        self._request += 1
        request = self._request
        waiting = self._loading[request] = asyncio.get_running_loop().create_future()
        self.command(LoadNetworks(request, serving, wanted))
        try:
            problem = await asyncio.wait_for(waiting, LOAD_TIMEOUT_S)
        except asyncio.TimeoutError:
            problem = f"not within {LOAD_TIMEOUT_S:.0f} s"
            self._end_load(f"{wanted[0]} was not loaded within {LOAD_TIMEOUT_S:.0f} s")
        except asyncio.CancelledError:
            if waiting.cancelled() or not waiting.done():  # else its answer came in the same moment
                self._left.add(request)
            raise
        finally:
            del self._loading[request]
        if problem:
            raise NetworksUnavailable(f"{wanted[0]} cannot be loaded: {problem}")

    async def make_way(self) -> None:
        """Returns once no load goes on that nobody waits for: within GIVE_UP_S by itself, else its process is ended."""
        deadline_s = time.monotonic() + GIVE_UP_S
        while self._left and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)
        if self._left:
            self._end_load("a version that is not wanted any more was still loaded")

    def _end_load(self, why: str) -> None:
        log.error("the inference process is ended: %s", why)
        self.loads_ended += 1
        self.reason = f"{why}; loading what serves"
        self.start_anew()

    def try_beside(self, pairs: Mapping[str, str]) -> None:
        """Which networks are tried, by the name of the one whose clips they see as well; a new process knows it."""
        if self.ready.is_set():
            self.command(ShadowNetworks(pairs))
        else:  # one that loads began with what was tried then, and hears nothing before it is ready
            self._untold = pairs

    async def crashed(self, end: Ended, delay_s: float, broken: bool) -> None:
        if end.status is None:
            self.reason = str(end)
        elif self.reason == "ready":
            self.reason = f"ended with status {end.status}, loading again"
        if broken:
            self.reason = f"crashes again and again; next try in {delay_s:.0f} s. {self.reason}"
        if end.status is not None and not self._settled:
            self.on_early_end(self.model, f"the inference process {end} while it loaded")

    def hang(self, child: ChildProcess) -> str | None:
        """Silence counts once it is ready: loading and exporting models may take minutes the first time."""
        if not self.ready.is_set():
            return self._stuck()
        if time.monotonic() - child.heard_s < SILENCE_S:
            return None
        self.reason = "hung and was killed"
        return "is silent"

    def _stuck(self) -> str | None:
        """A load that takes for ever ends only where another version takes its place: what served always may have to
        be converted by a slow machine, and nothing else could answer.
        """
        if self._settled or time.monotonic() - self._since_s < LOAD_TIMEOUT_S:
            return None
        why = f"the inference process went on loading {self._what} for {LOAD_TIMEOUT_S:.0f} s"
        if not self.on_stuck(self.model, self._what, why):
            return None
        self.loads_ended += 1
        self.reason, self._settled = why, True
        return "does not end loading"

    async def handle(self, report: Any) -> None:
        match report:
            case InferenceLoading():
                self.reason = f"loading {report.what}"
                self._what, self._since_s = report.what, time.monotonic()
            case InferenceReady():
                self.parts, self.reason = report.parts, "ready"
                self.ready.set()
                self._settled = True
                self._tell_untold()
                self.on_ready(self.model)
                log.info("inference is ready: %s", dict(self.parts))
            case InferenceStats():
                self.stats, self.parts, self.budget = report.measures, report.parts, report.budget
                self.lends_at = report.lends_at
            case InferenceFailed():
                self.reason, self._settled = report.reason, True
                self.on_failed(report.reason)
            case NetworksLoaded():
                self._left.discard(report.request)
                waiting = self._loading.get(report.request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(report.problem)
            case ShadowFailed():
                self.on_shadow_failed(report.network, report.reason)
            case _:
                raise unexpected(report, "the inference process's runner")

    def _tell_untold(self) -> None:
        if self._untold is not None:
            self.command(ShadowNetworks(self._untold))
            self._untold = None

    def status(self) -> dict[str, Any]:
        """For ``/readyz`` and ``GET /v1/models``."""
        gauges = self.stats.get("gauges", {})
        return {
            "ready": self.ready.is_set(),
            "reason": self.reason,
            "parts": dict(self.parts),
            "restarts": self.restarts,
            "pid": self.pid,
            "queue": gauges.get("clip_queue_depth", 0),
        }
