"""The inference process of a node is told who lends, whenever it is begun anew; it says where it lends itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.configuration import EngineConfig
from service.processes.lending.node_runner import NodeInferenceRunner
from service.processes.messages import InferenceReady, InferenceSetup, InferenceStats, pack, unpack
from service.processes.nodes import Borrow, Lender, LendingSetup, NodeInferenceSetup, UseLenders

LENDERS = (Lender("gpu-1", "10.0.0.12:4711"),)


@pytest.fixture
def setup(tmp_path: Path) -> NodeInferenceSetup:
    plain = InferenceSetup(
        log_level="info",
        log_format="text",
        engine=EngineConfig(weights_dir=tmp_path, cache_dir=tmp_path),
        address="unix:///run/x.sock",
        shadows={"a": "b"},
    )
    return NodeInferenceSetup.of(plain, LendingSetup("secret-token", "yard-1", "10.0.0.11", Borrow.AUTO))


class Told(NodeInferenceRunner):
    """Keeps what its process would be told."""

    def __init__(self, setup: NodeInferenceSetup) -> None:
        super().__init__(lambda: setup)
        self.told: list[object] = []

    def command(self, content: object) -> None:
        self.told.append(content)


def handle(runner: NodeInferenceRunner, *reports: Any) -> None:
    async def work() -> None:
        for report in reports:
            await runner.handle(report)

    asyncio.run(work())


def test_setup_crosses_whole_and_hides_the_token(setup: NodeInferenceSetup):
    assert unpack(pack(setup)) == setup
    assert setup.shadows == {"a": "b"}
    assert "secret-token" not in repr(setup)


def test_process_is_told_once_it_is_ready_and_each_new_one_again(setup: NodeInferenceSetup):
    runner = Told(setup)
    runner.use_lenders(LENDERS)
    assert runner.told == []
    for _ in range(2):
        handle(runner, InferenceReady({}))
        runner.ended()
    assert runner.told == [UseLenders(LENDERS)] * 2


def test_who_lends_by_now_is_told_at_once(setup: NodeInferenceSetup):
    runner = Told(setup)
    handle(runner, InferenceReady({}))
    runner.use_lenders(LENDERS)
    runner.use_lenders(())
    assert runner.told == [UseLenders(LENDERS), UseLenders(())]


def test_where_it_lends_is_known_as_long_as_it_runs(setup: NodeInferenceSetup):
    runner = Told(setup)
    handle(runner, InferenceReady({}), InferenceStats({}, {}, lends_at="10.0.0.11:40000"))
    assert runner.lends_at == "10.0.0.11:40000"
    runner.ended()
    assert runner.lends_at == ""
