"""Loads of networks that do not end: how long they may take, what becomes of their process, who waits no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from service.configuration import EngineConfig
from service.processes import inference_runner as module
from service.processes.inference_runner import InferenceRunner, NetworksUnavailable
from service.processes.messages import InferenceLoading, InferenceReady, InferenceSetup
from service.processes.version_messages import LoadNetworks, NetworksLoaded

SERVING, WANTED = ("gym", ""), ("gym@2", "")


class ScriptedChild:
    """Answers nothing by itself."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.killed = False
        self.heard_s = time.monotonic()

    def command(self, content: object) -> None:
        self.heard.append(content)

    def kill(self) -> None:
        self.killed = True


def runner_of(folder: Path) -> tuple[InferenceRunner, Any]:
    engine = EngineConfig(folder, folder)
    setup = InferenceSetup(log_level="info", log_format="text", engine=engine, address="unix://i")
    runner, child = InferenceRunner(lambda: setup), ScriptedChild()
    runner._child = child  # type: ignore[assignment]
    runner.setup()
    runner.started()
    return runner, child


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def begun(runner: InferenceRunner, child: Any) -> tuple[asyncio.Task[None], LoadNetworks]:
    """A load that waits for its answer."""
    await runner.handle(InferenceReady({}))
    load = asyncio.create_task(runner.load(SERVING, WANTED))
    while not child.heard:
        await asyncio.sleep(0)
    (wish,) = child.heard
    return load, wish


async def given_up(runner: InferenceRunner, child: Any) -> LoadNetworks:
    load, wish = await begun(runner, child)
    load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load
    return wish


def test_load_that_is_not_over_in_time_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LOAD_TIMEOUT_S", 0.01)

    async def scenario() -> None:
        runner, child = runner_of(tmp_path)
        load, _ = await begun(runner, child)
        with pytest.raises(NetworksUnavailable, match="gym@2 cannot be loaded: not within 0 s"):
            await load
        assert child.killed and runner.loads_ended == 1 and not runner.ready.is_set()
        assert runner.reason == "gym@2 was not loaded within 0 s; loading what serves"

    run(scenario)


def test_load_that_nobody_waits_for_ends_by_itself_or_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def quick() -> None:
        runner, child = runner_of(tmp_path)
        wish = await given_up(runner, child)
        way = asyncio.create_task(runner.make_way())
        await asyncio.sleep(0)
        assert not way.done()
        await runner.handle(NetworksLoaded(wish.request))
        await way
        assert not child.killed and runner.ready.is_set() and runner.loads_ended == 0

    async def stuck() -> None:
        runner, child = runner_of(tmp_path)
        await given_up(runner, child)
        monkeypatch.setattr(module, "GIVE_UP_S", 0.05)
        await runner.make_way()
        assert child.killed and not runner.ready.is_set() and runner.loads_ended == 1
        runner.ended()
        await runner.make_way()  # with the process its loads are over
        assert runner.loads_ended == 1

    run(quick)
    run(stuck)


@pytest.mark.parametrize("replaced", [True, False])
def test_start_that_loads_for_ever_ends_only_where_another_version_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
):
    told: list[tuple[str, ...]] = []

    def stuck(*words: str) -> bool:
        told.append(words)
        return replaced

    async def scenario() -> None:
        runner, child = runner_of(tmp_path)
        runner.on_stuck = stuck
        await runner.handle(InferenceLoading("model gym@2"))
        assert runner.hang(child) is None and told == []
        monkeypatch.setattr(module, "LOAD_TIMEOUT_S", 0.0)
        assert runner.hang(child) == ("does not end loading" if replaced else None)
        assert told == [("surveillance", "model gym@2", "the inference process went on loading model gym@2 for 0 s")]
        assert runner.loads_ended == int(replaced)

    run(scenario)
