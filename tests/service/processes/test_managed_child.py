"""What both runners share, over real scripted child processes: whatever a report does, the process comes back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.configuration import EngineConfig
from service.processes.inference_runner import InferenceRunner
from service.processes.managed_child import Ended, ManagedChild
from service.processes.messages import InferenceSetup
from service.processes.stream_runner import StreamRunner
from service.stream_state import StreamState
from tests.service.processes.scripted_child import Scripted, wait_for
from tests.service.processes.test_stream_runner import setup as stream_setup

STREAM = """
    import sys
    from pathlib import Path
    from service.processes.child import start_child
    from service.processes.messages import SegmentReport, StreamSetup
    from service.storage.segment import Segment
    link = start_child(int(sys.argv[1]), StreamSetup)
    link.listen()
    link.send(SegmentReport(Segment(Path("a.mp4"), None, 0.0, 0.0, 1.0, 25, 1000, (360, 640))))
    link.stopped.wait(60)
    link.flush()
"""
INFERENCE = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import InferenceReady, InferenceSetup
    link = start_child(int(sys.argv[1]), InferenceSetup)
    link.listen()
    link.send(InferenceReady({"detector": "scripted"}))
    link.stopped.wait(60)
    link.flush()
"""
ECHOES = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import InferenceLoading, InferenceReady, InferenceSetup
    from service.processes.version_messages import ShadowFailed, ShadowNetworks
    link = start_child(int(sys.argv[1]), InferenceSetup)
    link.on(ShadowNetworks, lambda wish: link.send(ShadowFailed(str(dict(wish.pairs)), "heard")))
    link.listen()
    link.send(InferenceLoading("model gym"))
    link.stopped.wait(0.5)
    link.send(InferenceReady({}))
    link.stopped.wait(60)
    link.flush()
"""
UNKNOWN = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import ChildSetup
    from tests.service.processes.scripted_messages import Bye
    link = start_child(int(sys.argv[1]), ChildSetup)
    link.listen()
    link.send(Bye())
    link.stopped.wait(60)
"""
LEAVES = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import ChildSetup
    start_child(int(sys.argv[1]), ChildSetup)
    sys.exit(3)
"""


def inference_setup(folder: Path) -> InferenceSetup:
    engine = EngineConfig(folder, folder)
    return InferenceSetup(log_level="info", log_format="text", engine=engine, address=f"unix://{folder}/i.sock")


async def ignore(report: object) -> None:
    """Hears of a stream and does nothing."""


@pytest.fixture(params=["stream", "inference"])
def runner_of(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """→ makes the runner: it must be made on the event loop."""
    if request.param == "stream":
        return StreamRunner, lambda: StreamRunner(stream_setup, ignore, 1)
    return InferenceRunner, lambda: InferenceRunner(lambda: inference_setup(tmp_path))


def run(scenario: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scenario, 60))


def test_report_that_fails_leaves_no_process_and_the_stream_starts_again(scripted: Scripted):
    scripted.script(StreamRunner, STREAM)

    async def report(message: object) -> None:
        if type(message).__name__ == "SegmentReport":
            raise OSError("database or disk is full")

    async def scenario() -> None:
        runner = StreamRunner(stream_setup, report, 1)
        runner.start()
        await wait_for(lambda: len(scripted.pids) > 1)  # the first was ended, another was started
        await runner.stop()

    run(scenario())
    assert scripted.alive == []


def test_report_that_fails_leaves_no_process_and_inference_comes_back(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scripted.script(InferenceRunner, INFERENCE)
    handle, failures = InferenceRunner.handle, [OSError("disk is full")]

    async def fail_once(self: InferenceRunner, report: Any) -> None:
        if failures:
            raise failures.pop()
        await handle(self, report)

    monkeypatch.setattr(InferenceRunner, "handle", fail_once)

    async def scenario() -> tuple[dict[str, Any], int]:
        runner = InferenceRunner(lambda: inference_setup(tmp_path))
        runner.start()
        await wait_for(runner.ready.is_set)
        status = runner.status()
        await runner.stop()
        return status, runner.restarts

    status, restarts = run(scenario())
    assert (status["ready"], status["parts"], restarts) == (True, {"detector": "scripted"}, 1)
    assert len(scripted.pids) == 2 and scripted.alive == []


def test_report_of_another_kind_of_process_ends_it_and_a_new_one_is_started(scripted: Scripted, tmp_path: Path):
    scripted.script(InferenceRunner, UNKNOWN)

    async def scenario() -> None:
        runner = InferenceRunner(lambda: inference_setup(tmp_path))
        runner.start()
        await wait_for(lambda: len(scripted.pids) > 1)
        await runner.stop()

    run(scenario())
    assert scripted.alive == []


def test_process_that_leaves_is_started_again_until_it_is_told_to_stop(scripted: Scripted, runner_of: Any):
    kind, make = runner_of
    scripted.script(kind, LEAVES)

    async def scenario() -> ManagedChild:
        runner = make()
        runner.start()
        await wait_for(lambda: runner.restarts >= 2)
        await runner.stop()
        return runner

    runner = run(scenario())
    assert runner.pid is None and scripted.alive == []


def test_somebody_who_fails_at_hearing_of_a_crash_does_not_end_the_restarts(scripted: Scripted):
    scripted.script(StreamRunner, LEAVES)

    async def report(message: object) -> None:
        if getattr(message, "code", None) == "crashed":
            raise OSError("database or disk is full")

    async def scenario() -> StreamState:
        runner = StreamRunner(stream_setup, report, 1)
        runner.start()
        await wait_for(lambda: len(scripted.pids) > 2)
        await runner.stop()
        return runner.view.state

    assert run(scenario()) is StreamState.STOPPED


def test_process_that_cannot_be_started_is_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.processes.child_process.sys.executable", str(tmp_path / "no-python"))

    async def scenario() -> str:
        runner = InferenceRunner(lambda: inference_setup(tmp_path))
        runner.start()
        await wait_for(lambda: runner.restarts >= 2)
        reason = runner.reason
        await runner.stop()
        return reason

    assert "cannot be started" in run(scenario()) and "no-python" in run(scenario())


def test_process_that_ends_while_it_loads_is_told_with_its_model_and_one_that_was_ready_is_not(
    scripted: Scripted, tmp_path: Path
):
    scripted.script(InferenceRunner, LEAVES)

    async def scenario() -> list[tuple[str, str]]:
        runner, ends = InferenceRunner(lambda: inference_setup(tmp_path)), list[tuple[str, str]]()
        runner.on_early_end = lambda model, reason: ends.append((model, reason))
        runner.start()
        await wait_for(lambda: bool(ends))
        scripted.script(InferenceRunner, INFERENCE)
        await wait_for(runner.ready.is_set)
        told, restarts = len(ends), runner.restarts
        runner.start_anew()
        await wait_for(lambda: runner.restarts > restarts and runner.ready.is_set())
        await runner.stop()
        assert len(ends) == told
        return ends

    assert run(scenario())[0] == ("surveillance", "the inference process exited with status 3 while it loaded")


def test_trial_that_is_asked_for_while_the_models_load_begins_when_they_are_there(scripted: Scripted, tmp_path: Path):
    scripted.script(InferenceRunner, ECHOES)

    async def scenario() -> list[str]:
        runner, heard = InferenceRunner(lambda: inference_setup(tmp_path)), list[str]()
        runner.on_shadow_failed = lambda network, reason: heard.append(network)
        runner.start()
        await wait_for(lambda: runner.reason == "loading model gym")
        runner.try_beside({"gym": "gym@2"})
        await wait_for(lambda: bool(heard))
        await runner.stop()
        return heard

    assert run(scenario()) == ["{'gym': 'gym@2'}"]


def test_end_of_a_process_is_told_in_words():
    assert str(Ended(3)) == "exited with status 3"
    assert str(Ended(-9)) == "was ended by signal 9"
    assert str(Ended(None, "no such file")) == "cannot be started: no such file"
