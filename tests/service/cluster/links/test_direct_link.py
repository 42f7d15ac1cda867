"""Calls between two machines by a connection of their own, between those who have the cluster's token."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from service.cluster.links import direct_link
from service.cluster.links.direct_link import WHERE, DirectLinks, DirectServer
from service.cluster.links.errors import LinkDown, WayBroken
from service.cluster.links.link import LocalLink
from service.cluster.links.socket_link import CallClient

TOKEN = "0123456789abcdef" * 4
HOST = "127.0.0.2"


async def answering(node: str, method: str, timeout_s: float, body: bytes) -> bytes:
    if method == "hang":
        await asyncio.sleep(3600)
    return f"{method} ".encode() + body


class Finding:
    """Says where nodes are. ``asked``: how often."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    def to(self, node: str) -> LocalLink:
        async def where(method: str, body: bytes) -> bytes:
            assert (method, body) == (WHERE, b"")
            self.asked += 1
            return "\n".join(self.addresses).encode()

        return LocalLink(where)


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


Work = Callable[[DirectServer, Finding, DirectLinks], Awaitable[None]]


def run(work: Work, token: str = TOKEN) -> None:
    async def whole() -> None:
        server = DirectServer("a", HOST, 0, TOKEN, answering)
        await server.open()
        finding = Finding(server.address)
        links = DirectLinks(finding, token)
        try:
            await work(server, finding, links)
        finally:
            await links.close()
            await server.close()

    asyncio.run(whole())


def test_calls_are_answered_each_by_its_own_answer_and_one_connection_is_made():
    async def work(_: DirectServer, finding: Finding, links: DirectLinks) -> None:
        await links.to("a").call("first", b"", 10)
        calls = [links.to("a").call(f"m{i}", bytes([i]) * 200_000, 10) for i in range(20)]
        assert await asyncio.gather(*calls) == [f"m{i} ".encode() + bytes([i]) * 200_000 for i in range(20)]
        assert finding.asked == 1

    run(work)


def test_it_listens_at_its_machines_address_alone():
    async def work(server: DirectServer, _: Finding, __: DirectLinks) -> None:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    run(work)


def test_node_that_begins_anew_is_asked_for_anew():
    async def work(server: DirectServer, finding: Finding, links: DirectLinks) -> None:
        await links.to("a").call("do", b"", 10)
        await server.close()
        with pytest.raises(LinkDown):
            await links.to("a").call("do", b"", 10)
        again = DirectServer("a", HOST, 0, TOKEN, answering)
        await again.open()
        finding.addresses = (server.address, again.address)  # Ray has not noticed yet that the one before is gone
        assert await links.to("a").call("do", b"x", 10) == b"do x"
        assert finding.asked == 2
        await again.close()

    run(work)


def test_call_that_breaks_off_says_so_at_once():
    async def work(server: DirectServer, _: Finding, links: DirectLinks) -> None:
        call = asyncio.ensure_future(links.to("a").call("hang", b"", 60))
        await asyncio.sleep(0.3)
        await server.close()
        with pytest.raises(WayBroken):
            await asyncio.wait_for(call, 10)

    run(work)


def test_who_has_another_token_gets_no_answer():
    async def work(server: DirectServer, _: Finding, links: DirectLinks) -> None:
        with pytest.raises(WayBroken, match="cannot be reached"):
            await links.to("a").call("do", b"", 10)
        assert server.turned_away == 1

    run(work, "another" * 8)


def test_node_with_another_token_gets_no_call():
    """Somebody who listens where a node was."""
    heard: list[str] = []

    async def work(_: DirectServer, finding: Finding, links: DirectLinks) -> None:
        async def listening(node: str, method: str, timeout_s: float, body: bytes) -> bytes:
            heard.append(method)
            return b""

        other = DirectServer("a", HOST, 0, "another" * 8, listening)
        await other.open()
        finding.addresses = (other.address,)
        with pytest.raises(WayBroken):
            await links.to("a").call("do", b"secret", 10)
        await other.close()

    run(work)
    assert heard == []


def test_strangers_keep_nobody_out_who_has_the_token():
    async def work(server: DirectServer, finding: Finding, links: DirectLinks) -> None:
        host, _, port = server.address.rpartition(":")
        strangers = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        assert await links.to("a").call("do", b"", 10) == b"do "
        assert len(server._strangers) <= 8
        for _reader, writer in strangers:
            await gone(writer)

    run(work)


def test_silent_stranger_is_sent_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(direct_link, "GREETING_S", 0.3)

    async def work(server: DirectServer, finding: Finding, links: DirectLinks) -> None:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        said = await asyncio.wait_for(reader.read(), 10)
        assert said.startswith(b"actoscope-call-2")
        assert server.turned_away == 1
        await gone(writer)

    run(work)


def test_address_that_is_none_is_said():
    async def work(_: DirectServer, finding: Finding, links: DirectLinks) -> None:
        finding.addresses = ("nowhere",)
        with pytest.raises(WayBroken, match="nowhere"):
            await links.to("a").call("do", b"", 10)

    run(work)


def test_address_that_is_another_nodes_by_now_gets_no_call():
    """Machines take each other's addresses, and all of a cluster have its token."""
    heard: list[str] = []

    async def work(_: DirectServer, finding: Finding, links: DirectLinks) -> None:
        async def listening(node: str, method: str, timeout_s: float, body: bytes) -> bytes:
            heard.append(method)
            return b""

        other = DirectServer("b", HOST, 0, TOKEN, listening)
        await other.open()
        finding.addresses = (other.address,)
        with pytest.raises(WayBroken):
            await links.to("a").call("apply", b"", 10)
        assert other.turned_away == 1
        assert await links.to("b").call("do", b"", 10) == b""
        await other.close()

    run(work)
    assert heard == ["do"]


class Breaking(CallClient):
    """Its connection ends as one to a machine without power does: with a timeout of TCP."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.reader: asyncio.StreamReader | None = None
        self.may_open = asyncio.Event()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await self.may_open.wait()
        host, _, port = self.address.rpartition(":")
        found = await asyncio.open_connection(host, int(port))
        self.reader = found[0]
        return found


def test_machine_without_power_breaks_the_way_and_nothing_else():
    async def work(server: DirectServer, _: Finding, __: DirectLinks) -> None:
        client = Breaking(server.address)
        client.may_open.set()
        call = asyncio.ensure_future(client.call("a", "do", 60, b""))
        while client.reader is None:
            await asyncio.sleep(0.01)
        client.reader.set_exception(TimeoutError(110, "Connection timed out"))
        with pytest.raises(WayBroken):
            await asyncio.wait_for(call, 10)
        await client.close()

    run(work)


def test_client_that_is_closed_opens_no_way_that_nobody_would_close():
    async def work(server: DirectServer, _: Finding, __: DirectLinks) -> None:
        client = Breaking(server.address)
        calls = [asyncio.ensure_future(client.call("a", "do", 60, b"")) for _ in range(3)]
        await asyncio.sleep(0.1)
        await client.close()
        client.may_open.set()
        told = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
        assert [type(each) for each in told] == [WayBroken] * 3
        assert client._reading is None

    run(work)


def test_call_waits_no_longer_for_a_connection_than_it_may():
    async def work(server: DirectServer, _: Finding, __: DirectLinks) -> None:
        client = Breaking(server.address)
        with pytest.raises(LinkDown, match="no answer within"):
            await client.call("a", "do", 0.2, b"")
        await client.close()

    run(work)
