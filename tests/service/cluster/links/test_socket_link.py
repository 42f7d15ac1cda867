"""Calls over a local socket."""

import asyncio
import struct

import pytest

from service.cluster.links.errors import LinkDown
from service.cluster.links.socket_link import MAX_BYTES, MAX_CALLS, SocketLinks, SocketServer, frame


async def answering(node: str, method: str, timeout_s: float, body: bytes) -> bytes:
    if method == "hang":
        await asyncio.sleep(3600)
    if method == "down":
        raise LinkDown("the node sleeps")
    return f"{node} {method} ".encode() + body


def run(path, work):
    async def whole() -> None:
        server, links = SocketServer(path, answering), SocketLinks(path)
        await server.open()
        try:
            await work(links, server)
        finally:
            await links.close()
            await server.close()

    asyncio.run(whole())


def test_calls_are_answered_each_by_its_own_answer(tmp_path):
    async def work(links, _):
        calls = [links.to(f"n{i}").call("do", bytes([i]) * 200_000, 10) for i in range(20)]
        answers = await asyncio.gather(*calls)
        assert answers == [f"n{i} do ".encode() + bytes([i]) * 200_000 for i in range(20)]

    run(tmp_path / "s", work)


def test_what_does_not_answer_is_said_in_time_and_the_connection_goes_on(tmp_path):
    async def work(links, _):
        with pytest.raises(LinkDown, match=r"no answer within 0\.05 s"):
            await links.to("a").call("hang", b"", 0.05)
        with pytest.raises(LinkDown, match="the node sleeps"):
            await links.to("a").call("down", b"", 10)
        assert await links.to("a").call("do", b"x", 10) == b"a do x"

    run(tmp_path / "s", work)


def test_a_server_that_is_not_there_yet_is_found_later(tmp_path):
    async def work(_, server):
        links = SocketLinks(tmp_path / "later")
        with pytest.raises(LinkDown, match="not there"):
            await links.to("a").call("do", b"", 1)
        later = SocketServer(tmp_path / "later", answering)
        await later.open()
        assert await links.to("a").call("do", b"", 10) == b"a do "
        assert (tmp_path / "later").stat().st_mode & 0o077 == 0
        await links.close()
        await later.close()

    run(tmp_path / "s", work)


def test_nonsense_ends_the_connection_of_whoever_sent_it_alone(tmp_path):
    async def work(links, _):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(struct.pack("!I", MAX_BYTES + 1))
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        assert await links.to("a").call("do", b"", 10) == b"a do "

    run(tmp_path / "s", work)


def test_calls_of_whoever_is_gone_before_they_began_take_no_place(tmp_path):
    async def work(links, server):
        reader = asyncio.StreamReader()  # all of it is there at once, and its end
        reader.feed_data(b"".join(frame([n, "a", "do", 10, b""]) for n in range(MAX_CALLS)))
        reader.feed_eof()
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        await server._connected(reader, writer)
        assert await links.to("a").call("do", b"x", 10) == b"a do x"

    run(tmp_path / "s", work)
