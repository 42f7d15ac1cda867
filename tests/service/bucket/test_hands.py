import asyncio
import threading

import pytest

from service.bucket.hands import Hands
from service.errors_base import Unavailable


def test_call_that_nobody_waits_for_keeps_its_slot_until_it_is_done():
    async def work() -> list[str]:
        hands, go, done = Hands("t", 1), threading.Event(), list[str]()
        first = asyncio.create_task(hands.do(lambda: done.append("first") if go.wait(30) else None))
        await asyncio.sleep(0)
        second = asyncio.create_task(hands.do(lambda: done.append("second")))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        await asyncio.sleep(0)
        assert not second.done()
        go.set()
        await second
        return done

    assert asyncio.run(work()) == ["first", "second"]


def test_more_than_may_wait_are_refused_and_errors_come_back():
    async def work() -> None:
        hands, go = Hands("t", 1, waiting=1), threading.Event()
        running = asyncio.create_task(hands.do(lambda: go.wait(30)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(hands.do(lambda: 1 // 0))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many"):
            await hands.do(lambda: None)
        go.set()
        assert await running
        with pytest.raises(ZeroDivisionError):
            await waiting

    asyncio.run(work())


def test_service_that_ends_does_not_wait_for_a_call_that_hangs():
    go = threading.Event()

    async def work() -> None:
        call = asyncio.create_task(Hands("hanging", 1).do(lambda: go.wait(30)))
        await asyncio.sleep(0)
        call.cancel()

    asyncio.run(work())
    hanging = [thread for thread in threading.enumerate() if thread.name == "hanging"]
    assert [thread.daemon for thread in hanging] == [True]
    go.set()
    hanging[0].join(10)  # whose loop is closed by now, which is no error
