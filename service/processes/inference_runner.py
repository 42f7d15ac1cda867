"""Keeps the one inference process alive and knows what it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

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

log = logging.getLogger(__name__)

SILENCE_S = 8.0


class InferenceRunner(ManagedChild):
    """``ready`` once the models are loaded; a crash is answered with a new process, streams reconnect to it."""

    module = "service.processes.inference_process"
    stop_grace_s = 3.0

    def __init__(self, setup: InferenceSetup) -> None:
        super().__init__("the inference process")
        self._setup = setup
        self.ready = asyncio.Event()
        self.reason = "loading models"
        self.stats: Mapping[str, Any] = {}
        self.parts: Mapping[str, str] = {}

    def setup(self) -> InferenceSetup:
        return self._setup

    def ended(self) -> None:
        self.ready.clear()

    async def crashed(self, end: Ended, delay_s: float, broken: bool) -> None:
        if end.status is None:
            self.reason = str(end)
        elif self.reason == "ready":
            self.reason = f"ended with status {end.status}, loading again"
        if broken:
            self.reason = f"crashes again and again; next try in {delay_s:.0f} s. {self.reason}"

    def hang(self, child: ChildProcess) -> str | None:
        """Only once it is ready: loading and exporting models may take minutes the first time."""
        if not self.ready.is_set() or time.monotonic() - child.heard_s < SILENCE_S:
            return None
        self.reason = "hung and was killed"
        return "is silent"

    async def handle(self, report: Any) -> None:
        match report:
            case InferenceLoading():
                self.reason = f"loading {report.what}"
            case InferenceReady():
                self.parts, self.reason = report.parts, "ready"
                self.ready.set()
                log.info("inference is ready: %s", dict(self.parts))
            case InferenceStats():
                self.stats, self.parts = report.measures, report.parts
            case InferenceFailed():
                self.reason = report.reason
            case _:
                raise unexpected(report, "the inference process's runner")

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
