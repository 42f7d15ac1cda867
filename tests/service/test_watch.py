"""Answers that last and the rights of whoever gets them, read anew on a scripted identity."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import HTTPConnection

from service.access.changes import Changes
from service.errors_base import Forbidden
from service.rights import NONE, Principal, Role, Visible
from service.routes import watch as module
from service.routes.context import Context
from service.routes.watch import RightsEnded, Watch
from service.storage.database import StoreError

MINE, OTHER = "str_0000000000000001", "str_0000000000000002"


def viewer(*streams: str, until: float | None = None) -> Principal:
    roles = dict.fromkeys(streams, Role.VIEWER)
    return Principal("user", "usr_1", "anna", roles=roles, visible=Visible(dict.fromkeys(streams)), until=until)


class Identity:
    """What is stored of one principal: somebody, or the error that reading raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: Principal | Exception) -> None:
        self.now = now
        self.read = 0
        self.changes = Changes()
        monkeypatch.setattr(module, "read_principal", self.principal)

    async def principal(self, connection: HTTPConnection) -> Principal:
        self.read += 1
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def watch(self, who: Principal) -> Watch:
        here = cast(Context, SimpleNamespace(changes=self.changes))
        return Watch(HTTPConnection({"type": "http"}), here, who, "live:read")


async def end_of(watch: Watch, take: Callable[[Principal], None] = lambda who: None) -> str:
    with pytest.raises(RightsEnded) as ended:
        await asyncio.wait_for(watch.follow(take), 5)
    return str(ended.value)


async def soon(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "not within 5 s"
        await asyncio.sleep(0.005)


def test_rights_are_read_at_once_and_at_each_change(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        identity = Identity(monkeypatch, viewer(MINE))
        seen: list[Principal] = []
        following = asyncio.create_task(identity.watch(viewer(MINE, OTHER)).follow(seen.append))
        await soon(lambda: seen)
        identity.now = viewer(OTHER)
        identity.changes.notify("usr_1")
        await soon(lambda: len(seen) == 2)
        following.cancel()
        assert [tuple(who.roles) for who in seen] == [(MINE,), (OTHER,)]

    asyncio.run(work())


def test_rights_are_read_anew_after_a_while_without_any_bell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "READ_AGAIN_S", 0.02)

    async def work() -> None:
        identity = Identity(monkeypatch, viewer(MINE))
        following = asyncio.create_task(end_of(identity.watch(viewer(MINE))))
        await soon(lambda: identity.read >= 3)
        identity.now = Forbidden("gone")
        assert await following == "gone"

    asyncio.run(work())


def test_credential_that_expires_ends_within_a_second(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        until = time.time() + 0.2
        identity = Identity(monkeypatch, viewer(MINE, until=until))

        def expire(who: Principal) -> None:
            asyncio.get_running_loop().call_later(0.2, setattr, identity, "now", Forbidden("expired"))

        assert await end_of(identity.watch(viewer(MINE)), expire) == "expired"
        assert time.time() - until < 1

    asyncio.run(work())


def test_no_permission_any_more_ends_it(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        identity = Identity(monkeypatch, Principal("user", "usr_1", "anna", visible=NONE))
        assert "live:read" in await end_of(identity.watch(viewer(MINE)))

    asyncio.run(work())


def test_database_that_fails_for_a_moment_ends_nothing_and_for_long_everything(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)

    async def work() -> None:
        identity = Identity(monkeypatch, StoreError("database: away"))
        following = asyncio.create_task(end_of(identity.watch(viewer(MINE))))
        await soon(lambda: identity.read >= 5)
        assert not following.done()
        monkeypatch.setattr(module, "UNREAD_S", 0.0)
        assert "could not be read" in await following

    asyncio.run(work())


async def pictures(count: int, then_s: float = 0.0) -> AsyncIterator[bytes]:
    for n in range(count):
        yield b"picture %d" % n
    await asyncio.sleep(then_s)


def test_pictures_pass_while_they_may_be_seen_and_end_by_themselves(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        watch = Identity(monkeypatch, viewer(MINE)).watch(viewer(MINE))
        assert [picture async for picture in watch.while_seen(MINE, pictures(3))] == [
            b"picture %d" % n for n in range(3)
        ]

    asyncio.run(work())


@pytest.mark.parametrize("now", [viewer(OTHER), Forbidden("revoked"), RuntimeError("a fault")])
def test_pictures_end_at_once_though_no_further_one_comes(monkeypatch: pytest.MonkeyPatch, now: Principal | Exception):
    async def work() -> None:
        identity = Identity(monkeypatch, viewer(MINE))
        seen: list[bytes] = []

        async def look() -> None:
            async for picture in identity.watch(viewer(MINE)).while_seen(MINE, pictures(1, 60.0)):
                seen.append(picture)

        looking = asyncio.create_task(look())
        await soon(lambda: seen and identity.read)
        identity.now = now
        identity.changes.notify()
        await asyncio.wait_for(looking, 1)
        assert seen == [b"picture 0"]

    asyncio.run(work())


def test_nothing_is_sent_between_the_bell_and_the_rights_that_it_rang_for(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        identity = Identity(monkeypatch, viewer(MINE))
        watch = identity.watch(viewer(MINE, OTHER))
        following = asyncio.create_task(watch.follow(lambda who: None))
        await watch.settled()
        assert tuple(watch.who.roles) == (MINE,)
        for now in (viewer(OTHER), viewer(MINE), viewer(OTHER)):
            identity.now = now
            identity.changes.notify()
            await asyncio.wait_for(watch.settled(), 1)
            assert watch.who is now
        identity.now = Forbidden("revoked")
        identity.changes.notify()
        with pytest.raises(RightsEnded):
            await asyncio.wait_for(watch.settled(), 1)
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(work())


def test_picture_that_comes_with_the_bell_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        identity = Identity(monkeypatch, viewer(MINE))

        async def revoked_then_one_more() -> AsyncIterator[bytes]:
            yield b"before"
            identity.now = viewer(OTHER)
            identity.changes.notify()
            yield b"after"

        shown = identity.watch(viewer(MINE)).while_seen(MINE, revoked_then_one_more())
        assert [picture async for picture in shown] == [b"before"]

    asyncio.run(work())
