"""StreamRunner over real scripted child processes: reports that fail, and ages left from an outage."""

import asyncio
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from service.processes import stream_runner
from service.processes.child_process import ChildProcess
from service.processes.stream_runner import StreamRunner

CHILD = """
    import sys, time
    from service.processes.child import start_child
    link = start_child(int(sys.argv[1]))
    link.listen()
    if link.config["script"] == "segment":
        link.send("segment", {})
    else:
        link.latest("stats", {"next_track_id": 1, "state": "reconnecting", "frame_age_s": 25.0})
        link.flush()
        link.send("state", {"state": "running", "code": None, "reason": "frames arrive"})
        link.stopped.wait(2.5)  # longer than the watchdog's period
        link.send("survived", {})
    link.stopped.wait(60)
    link.flush()
"""


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """The runner starts the script above in place of a real stream process."""
    (tmp_path / "scripted_stream.py").write_text(textwrap.dedent(CHILD))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(p for p in sys.path if p)}")
    pids: list[int] = []

    class Scripted(ChildProcess):
        @classmethod
        async def start(cls, module, config):
            child = await ChildProcess.start("scripted_stream", config)
            pids.append(child.pid)
            return child

    monkeypatch.setattr(stream_runner, "ChildProcess", Scripted)
    return pids


def config(script: str) -> dict:
    return {"log_level": "info", "log_format": "text", "script": script}


async def wait_for(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(poll(), 20)


def test_report_that_fails_leaves_no_process_and_the_stream_starts_again(scripted):
    async def report(kind, fields):
        if kind == "segment":
            raise OSError("database or disk is full")

    async def scenario():
        runner = StreamRunner(lambda: config("segment"), report, 1)
        runner.start()
        await wait_for(lambda: len(scripted) > 1)  # the first was ended, another was started
        await runner.stop()

    asyncio.run(scenario())
    assert not [pid for pid in scripted if Path(f"/proc/{pid}").exists()]


def test_age_left_from_an_outage_does_not_kill_a_stream_that_runs_again(scripted):
    heard: list[str] = []

    async def report(kind, fields):
        heard.append(kind)

    async def scenario():
        runner = StreamRunner(lambda: config("outage"), report, 1)
        runner.start()
        await wait_for(lambda: "survived" in heard or len(scripted) > 1)
        restarts = runner.view.restarts
        await runner.stop()
        return restarts

    assert asyncio.run(scenario()) == 0
