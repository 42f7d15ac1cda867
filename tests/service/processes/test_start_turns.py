"""Processes start a few at a time, over real scripted child processes."""

import asyncio
from pathlib import Path

import pytest

from service.processes.start_turns import StartTurns
from service.processes.stream_runner import StreamRunner
from tests.service.processes.scripted_child import Scripted, wait_for
from tests.service.processes.test_stream_runner import ignore, setup

# Says its first word when the test allows it.
SLOW = """
    import sys, time
    from pathlib import Path
    from service.processes.child import start_child
    from service.processes.messages import StateReport, StreamSetup
    from service.stream_state import StreamState
    link = start_child(int(sys.argv[1]), StreamSetup)
    link.listen()
    while not Path("{allowed}").exists() and not link.stopped.wait(0.05):
        pass
    link.send(StateReport(StreamState.RUNNING, None, "frames arrive"))
    link.stopped.wait(60)
    link.flush()
"""


def run(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_no_more_processes_start_at_once_than_there_are_turns(scripted: Scripted, tmp_path: Path):
    allowed = tmp_path / "allowed"
    scripted.script(StreamRunner, SLOW.format(allowed=allowed))

    async def scenario() -> None:
        turns = StartTurns(2)
        runners = [StreamRunner(setup, ignore, 1, turns) for _ in range(5)]
        for runner in runners:
            runner.start()
        await wait_for(lambda: len(scripted.pids) == 2)
        await asyncio.sleep(0.3)
        assert len(scripted.pids) == 2
        await asyncio.wait_for(runners[4].stop(), 2)  # one that waits for its turn is stopped at once
        allowed.touch()
        await wait_for(lambda: [runner.view.reason for runner in runners[:4]] == ["frames arrive"] * 4)
        assert len(scripted.pids) == 4
        await asyncio.gather(*(runner.stop() for runner in runners))
        assert scripted.alive == []

    run(scenario())


def test_process_that_dies_before_its_first_word_gives_its_turn_back(scripted: Scripted):
    scripted.script(StreamRunner, "raise SystemExit(3)")

    async def scenario() -> None:
        turns = StartTurns(1)
        runners = [StreamRunner(setup, ignore, 1, turns) for _ in range(3)]
        for runner in runners:
            runner.start()
        await wait_for(lambda: all(runner.restarts > 1 for runner in runners))
        await asyncio.gather(*(runner.stop() for runner in runners))

    run(scenario())


@pytest.mark.parametrize("cancelled", [1, 2, 3])
def test_turns_are_not_lost_whoever_stops_waiting(cancelled: int):
    async def take(turns: StartTurns, stopping: asyncio.Event, seen: list[bool]) -> None:
        async with turns.turn(stopping) as give_back:
            seen.append(give_back is not None)
            await asyncio.sleep(0.01)
            if give_back is not None:
                give_back()
                give_back()

    async def scenario() -> None:
        turns = StartTurns(2)
        seen: list[bool] = []
        more: list[bool] = []
        tasks = [asyncio.create_task(take(turns, asyncio.Event(), seen)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[:cancelled]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stopping = asyncio.Event()
        stopping.set()
        async with turns.turn(asyncio.Event()) as first, turns.turn(asyncio.Event()) as second:
            assert first is not None and second is not None
            async with turns.turn(stopping) as third:
                assert third is None
            waiting = asyncio.create_task(take(turns, asyncio.Event(), more))
            await asyncio.sleep(0.05)
            assert more == []
        await waiting
        assert more == [True] and all(seen)

    run(scenario())
