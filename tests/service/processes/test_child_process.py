"""Real child processes: configuration, reports, stop, kill and restart policy."""

import asyncio
import signal
import sys
import textwrap

import pytest

from service.processes.child_process import ChildProcess, RestartPolicy

CHILD = """
    import sys, time
    from service.processes.child import start_child
    link = start_child(int(sys.argv[1]))
    link.listen()
    link.send("ready", {"secret": link.config["secret"], "arguments": sys.argv})
    if link.config["stubborn"]:
        time.sleep(60)
    link.stopped.wait(60)
    link.send("bye", {})
    link.flush()
    sys.exit(link.exit_status)
"""


@pytest.fixture
def child_module(tmp_path, monkeypatch):
    (tmp_path / "scripted_child.py").write_text(textwrap.dedent(CHILD))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(p for p in sys.path if p)}")
    monkeypatch.setenv("ACTOSCOPE_SECRET_SETTING", "x")
    return "scripted_child"


def config(stubborn: bool) -> dict:
    return {"log_level": "info", "log_format": "text", "secret": "canary", "stubborn": stubborn}


async def start(module: str, stubborn: bool) -> tuple[ChildProcess, list, asyncio.Task]:
    child, heard = await ChildProcess.start(module, config(stubborn)), []
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
    assert [message.kind for message in heard] == ["ready", "bye"]
    assert heard[0].fields["secret"] == "canary"
    assert "canary" not in str(heard[0].fields["arguments"])


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


def test_restart_policy_backs_off_then_opens_the_breaker():
    policy = RestartPolicy()
    delays = [policy.crashed(float(second)) for second in range(6)]
    assert delays == [(0.25, False), (0.5, False), (1.0, False), (2.0, False), (4.0, False), (60.0, True)]


def test_restart_policy_forgets_crashes_of_long_ago():
    policy = RestartPolicy()
    for second in range(5):
        policy.crashed(float(second))
    assert policy.crashed(500.0) == (0.25, False)
