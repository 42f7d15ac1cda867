"""Keeps the inference process of a cluster's node alive: that of one machine, which is also told who lends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.processes.inference_runner import InferenceRunner
from service.processes.messages import InferenceReady
from service.processes.nodes import Lender, NodeInferenceSetup, UseLenders


class NodeInferenceRunner(InferenceRunner):
    """``lends_at``: where other nodes' clips are taken; empty: nowhere, or not yet."""

    module = "service.processes.lending.node_inference_process"

    def __init__(self, setup: Callable[[], NodeInferenceSetup]) -> None:
        super().__init__(setup)
        self._lenders: tuple[Lender, ...] = ()

    def use_lenders(self, lenders: tuple[Lender, ...]) -> None:
        """From now on; a new process is told of them, too."""
        self._lenders = lenders
        if self.ready.is_set():
            self.command(UseLenders(lenders))

    async def handle(self, report: Any) -> None:
        await super().handle(report)
        if isinstance(report, InferenceReady) and self._lenders:
            self.command(UseLenders(self._lenders))
