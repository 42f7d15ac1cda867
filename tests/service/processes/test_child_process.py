"""Real child processes: configuration, reports, stop, kill and restart policy."""

import asyncio
import signal
import sys
import textwrap

import pytest

from service.processes.child_process import ChildProcess, RestartPolicy
from service.processes.messages import Watch
from tests.service.processes.scripted_messages import Bye, Ready, ScriptedSetup

CHILD = """
    import sys, time
    from service.processes.child import leave, start_child
    from tests.service.processes.scripted_messages import Bye, Ready, ScriptedSetup
    link = start_child(int(sys.argv[1]), ScriptedSetup)
    link.listen()
    link.send(Ready(link.setup.secret, tuple(sys.argv)))
    if link.setup.script == "stubborn":
        time.sleep(60)
    link.stopped.wait(60)
    link.send(Bye())
    link.flush()
    leave(link.exit_status)  # as the real ones: on the interpreter's own way out a SIGTERM would count again
"""


@pytest.fixture
def child_module(tmp_path, monkeypatch):
    (tmp_path / "scripted_child.py").write_text(textwrap.dedent(CHILD))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(p for p in sys.path if p)}")
    monkeypatch.setenv("ACTOSCOPE_SECRET_SETTING", "x")
    return "scripted_child"


async def start(module: str, stubborn: bool) -> tuple[ChildProcess, list, asyncio.Task]:
    setup = ScriptedSetup(secret="canary", script="stubborn" if stubborn else "")
    child, heard = await ChildProcess.start(module, setup), []
    came = asyncio.Event()

    async def keep(message) -> None:
        heard.append(message)
        came.set()

    task = asyncio.create_task(child.messages(keep))
    await asyncio.wait_for(came.wait(), 20)
    return child, heard, task


def test_child_gets_its_configuration_by_socket_and_stops_on_command(child_module):
    async def scenario():
        child, heard, task = await start(child_module, stubborn=False)
        status = await child.stop(5)
        await task
        return status, heard

    status, heard = asyncio.run(scenario())
    assert status == 0
    assert [type(message) for message in heard] == [Ready, Bye]
    assert heard[0].secret == "canary"
    assert "canary" not in str(heard[0].arguments)


def test_child_that_does_not_stop_is_killed_and_reaped(child_module):
    async def scenario():
        child, _, task = await start(child_module, stubborn=True)
        status = await child.stop(0.5)
        await task
        return status

    assert asyncio.run(scenario()) == -9


def test_crash_ends_the_messages_and_tells_the_signal(child_module):
    async def scenario():
        child, _, task = await start(child_module, stubborn=False)
        child.kill()
        await asyncio.wait_for(task, 5)
        return await child.reap()

    assert asyncio.run(scenario()) == -9


def test_child_ends_by_itself_when_the_supervisor_goes_away(child_module):
    async def scenario():
        child, _, task = await start(child_module, stubborn=False)
        child._writer.close()  # what the end of this process does
        await asyncio.wait_for(task, 5)
        return await asyncio.wait_for(child._process.wait(), 5)

    assert asyncio.run(scenario()) == 0


def test_many_sigterms_at_once_end_a_child_and_do_not_lock_it_up(child_module):
    async def scenario():
        child, _, task = await start(child_module, stubborn=False)
        for _ in range(200):
            child._signal(signal.SIGTERM)
        await asyncio.wait_for(task, 10)
        return await child.reap()

    assert asyncio.run(scenario()) == 0


def test_command_that_a_child_does_not_take_ends_it_and_is_named(child_module, capfd):
    async def scenario():
        child, _, task = await start(child_module, stubborn=False)
        child.command(Watch(1.0))
        await asyncio.wait_for(task, 5)
        return await child.reap()

    assert asyncio.run(scenario()) == 1
    assert "this process takes no message 'watch'" in capfd.readouterr().err


def test_child_that_is_told_something_else_first_ends_and_names_it(child_module, capfd):
    async def scenario():
        child = await ChildProcess.start(child_module, Watch(1.0))  # type: ignore[arg-type]  # wrong on purpose
        return await child.reap(20)

    assert asyncio.run(scenario()) == 1
    assert "a process that waits for its ScriptedSetup takes no message 'watch'" in capfd.readouterr().err


def test_restart_policy_backs_off_then_opens_the_breaker():
    policy = RestartPolicy()
    delays = [policy.crashed(float(second)) for second in range(6)]
    assert delays == [(0.25, False), (0.5, False), (1.0, False), (2.0, False), (4.0, False), (60.0, True)]


def test_restart_policy_forgets_crashes_of_long_ago():
    policy = RestartPolicy()
    for second in range(5):
        policy.crashed(float(second))
    assert policy.crashed(500.0) == (0.25, False)
