"""StreamRunner over real scripted child processes: ages left from an outage, states that cannot follow each other."""

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.entities import Zone
from pipeline.sources.timestamps import NO_STAMPS, Clock, ClockChoice
from service.configuration import StagesConfig
from service.processes.child_process import ChildProcess
from service.processes.messages import SourceSetup, StateReport, StatsReport, StreamSetup, TracksReport
from service.processes.stream_runner import Notice, RecordingResumed, StreamRunner
from service.stream_state import IllegalMove, StreamState
from tests.service.processes.scripted_child import Scripted, wait_for

CHILD = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import StateReport, StatsReport, StreamSetup, TracksReport
    from service.stream_state import StreamState
    link = start_child(int(sys.argv[1]), StreamSetup)
    link.listen()
    link.latest(StatsReport(StreamState.RECONNECTING, next_track_id=1, frame_age_s=25.0))
    link.flush()
    link.send(StateReport(StreamState.RUNNING, None, "frames arrive"))
    link.stopped.wait(2.5)  # longer than the watchdog's period
    link.send(TracksReport({"survived": True}))
    link.stopped.wait(60)
    link.flush()
"""


def setup() -> StreamSetup:
    source = SourceSetup("file:///nothing.mp4", "tcp", "fast", False, (), (), 1 << 20)
    return StreamSetup(
        log_level="info",
        log_format="text",
        stream_id="str_1",
        model="m",
        source=source,
        stages=StagesConfig(),
        inference="unix:///nowhere",
        tracks_hz=10.0,
    )


GATE, YARD = (Zone(name, ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))) for name in ("gate", "yard"))

TOLD = """
    import sys
    from service.processes.child import start_child
    from service.processes.messages import SetZones, StatsReport, StreamSetup, TracksReport
    from service.stream_state import StreamState
    link = start_child(int(sys.argv[1]), StreamSetup)
    tell = lambda how, zones: link.send(TracksReport({"how": how, "zones": [zone.name for zone in zones]}))
    link.on(SetZones, lambda change: tell("told", change.zones))
    tell("setup", link.setup.zones)
    link.listen()
    link.latest(StatsReport(StreamState.CONNECTING, next_track_id=1))
    link.stopped.wait(60)
    link.flush()
"""


async def ignore(report: object) -> None:
    """Hears of a stream and does nothing."""


def test_age_left_from_an_outage_does_not_kill_a_stream_that_runs_again(scripted: Scripted):
    scripted.script(StreamRunner, CHILD)
    heard: list[str] = []

    async def report(message: object) -> None:
        heard.append(type(message).__name__)

    async def scenario() -> int:
        runner = StreamRunner(setup, report, 1)
        runner.start()
        await wait_for(lambda: "TracksReport" in heard or len(scripted.pids) > 1)
        restarts = runner.restarts
        await runner.stop()
        return restarts

    assert asyncio.run(scenario()) == 0


def test_new_process_is_told_the_next_track_id_that_the_last_one_said():
    async def scenario() -> int:
        runner = StreamRunner(setup, ignore, 7)
        await runner.handle(StatsReport(StreamState.RUNNING, next_track_id=12))
        return runner.setup().stages.first_track_id

    assert asyncio.run(scenario()) == 12


class Zoned:
    """A runner over a process that repeats which zones it was told; ``heard``: how, and their names."""

    def __init__(self, zones: tuple[Zone, ...]) -> None:
        self.heard: list[tuple[str, list[str]]] = []
        self.setups = 0
        self.runner = StreamRunner(self._setup, self._hear, 1, zones=zones)
        self.runner.start()

    def _setup(self) -> StreamSetup:
        self.setups += 1
        return setup()

    async def _hear(self, report: object) -> None:
        if isinstance(report, TracksReport):
            self.heard.append((report.wire["how"], report.wire["zones"]))

    async def until(self, count: int) -> None:
        await wait_for(lambda: len(self.heard) >= count)


def test_zones_are_told_without_a_restart_and_again_after_one(scripted: Scripted):
    scripted.script(StreamRunner, TOLD)

    async def scenario() -> list[tuple[str, list[str]]]:
        zoned = Zoned((GATE,))
        await zoned.until(1)
        zoned.runner.set_zones((GATE, YARD))
        await zoned.until(2)
        assert (len(scripted.pids), zoned.runner.restarts) == (1, 0)
        os.kill(scripted.pids[0], signal.SIGKILL)
        await zoned.until(3)
        await zoned.runner.stop()
        return zoned.heard

    names = ["gate", "yard"]
    assert asyncio.run(scenario()) == [("setup", ["gate"]), ("told", names), ("setup", names)]


def test_zones_that_change_while_the_process_is_being_started_reach_it(scripted: Scripted):
    scripted.script(StreamRunner, TOLD)

    async def scenario() -> list[tuple[str, list[str]]]:
        zoned = Zoned(())
        while not zoned.setups:  # until its start has taken the setup along; there is no process yet
            await asyncio.sleep(0)
        zoned.runner.set_zones((YARD,))
        assert zoned.runner.pid is None
        await zoned.until(2)
        await zoned.runner.stop()
        return zoned.heard

    assert asyncio.run(scenario()) == [("setup", []), ("told", ["yard"])]


def test_recorder_that_goes_on_after_a_pause_is_told_of():
    heard: list[object] = []

    async def report(message: object) -> None:
        heard.append(message)

    async def scenario() -> None:
        runner = StreamRunner(setup, report, 1)
        paused = StatsReport(StreamState.RUNNING, next_track_id=1, recording="paused")
        await runner.handle(paused)
        await runner.handle(replace(paused, recording="on"))

    asyncio.run(scenario())
    assert heard == [RecordingResumed()]


@pytest.mark.parametrize(("quiet_s", "hangs"), [(0.0, True), (18.0, False)])
def test_stream_whose_pictures_are_rare_by_nature_does_not_hang(quiet_s: float, hangs: bool):
    child = cast("ChildProcess", SimpleNamespace(heard_s=time.monotonic(), started_s=time.monotonic() - 100))
    aged = StatsReport(StreamState.RUNNING, next_track_id=1, frame_age_s=15.0, quiet_s=quiet_s)

    async def scenario() -> str | None:
        runner = StreamRunner(setup, ignore, 1)
        await runner.handle(StateReport(StreamState.RUNNING, None, "frames arrive"))
        await runner.handle(aged)
        return runner.hang(child)

    assert (asyncio.run(scenario()) is not None) is hangs


def test_clock_and_lack_of_labels_are_told_of_when_they_change():
    heard: list[object] = []

    async def report(message: object) -> None:
        heard.append(message)

    slow = "camera too slow: 0.5 of at least 2 pictures a second"
    well = StatsReport(StreamState.RUNNING, next_track_id=1)
    arrival = ClockChoice(Clock.ARRIVAL, "its time stamps pass 0.2 s in a second")
    mjpeg = replace(well, clock=NO_STAMPS)
    course = (mjpeg, well, replace(well, clock=arrival), replace(well, clock=arrival, labels=slow), well, well)

    async def scenario() -> None:
        runner = StreamRunner(setup, report, 1)
        for stats in course:
            await runner.handle(stats)

    asyncio.run(scenario())
    assert heard == [
        Notice("clock", "media time follows the arrival of pictures: its time stamps pass 0.2 s in a second"),
        Notice("labels", slow),
        Notice("clock", "media time follows the source's time stamps again"),
        Notice("labels", "people can have labels"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [(StreamState.RUNNING, StreamState.CONNECTING), (StreamState.STOPPED, StreamState.RUNNING)],
)
def test_state_that_cannot_follow_is_refused_and_nobody_hears_of_it(before: StreamState, after: StreamState):
    heard: list[object] = []

    async def report(message: object) -> None:
        heard.append(message)

    async def scenario() -> StreamState:
        runner = StreamRunner(setup, report, 1)
        await runner.handle(StateReport(before, None, "first"))
        with pytest.raises(IllegalMove, match=f"cannot go from {before.value} to {after.value}"):
            await runner.handle(StateReport(after, None, "then"))
        return runner.view.state

    assert asyncio.run(scenario()) is before
    assert [getattr(report, "reason", "") for report in heard] == ["first"]


def test_setup_never_shows_the_password_of_the_camera():
    secret = replace(setup(), source=replace(setup().source, url="rtsp://viewer:c4n4ry@192.0.2.1/"))
    assert "c4n4ry" not in repr(secret)
    assert isinstance(secret.source.media_roots, tuple) and Path not in map(type, secret.source.media_roots)
