"""Calls between two machines of a cluster by a connection of their own: TCP, between those who have its token.

Ray knows where a node takes calls; a call by Ray itself crosses four processes, and takes several times the CPU of one
of these (docs/architecture.md). The greeting is that of ``lending.door`` under another name; what crosses then is
``socket_link``'s, and not encrypted.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Sequence

from service.cluster.links.errors import LinkDown, WayBroken
from service.cluster.links.link import Links, within
from service.cluster.links.socket_link import LIMIT, CallClient, CallServer, Serving
from service.processes.lending.proof import NUMBER, PROOF, patient, proof
from service.processes.lending.strangers import Strangers

log = logging.getLogger(__name__)

GREETING_S = 3.0
WHERE_S = 5.0
WHERE = "where"  # asked of the process that speaks Ray: addresses, one a line, of which some may be old
MAX_GUESTS = 16  # APIs: the one that leads, and those that led before
_MAGIC = b"actoscope-call-2"


class DirectServer(CallServer):
    """Answers calls for ``node`` at a port of ``host``, 0: any that is free; ``address`` says which.

    ``turned_away``: how many who asked for another node, or showed no token.
    """

    def __init__(self, node: str, host: str, port: int, token: str, serving: Serving) -> None:
        super().__init__(serving)
        self._node = node
        self._host = host
        self._port = port
        self._token = token
        self._strangers = Strangers()
        self.turned_away = 0
        self.address = ""

    async def open(self) -> None:
        """Raises OSError where it cannot listen."""
        self._server = await asyncio.start_server(self._welcome, self._host, self._port, limit=LIMIT)
        self.address = f"{self._host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._strangers.end_all()
        await super().close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._strangers.add(writer, str(writer.get_extra_info("peername")[0]), writer.transport.abort)
        try:
            patient(writer.get_extra_info("socket"))
            await within(greet(reader, writer, self._token, self._node), GREETING_S)
            problem = ""
        except (OSError, EOFError) as error:
            problem = str(error) or type(error).__name__
        if not self._strangers.remove(writer):
            problem = problem or "crowded out"
        elif not problem and len(self._connections) >= MAX_GUESTS:
            problem = f"more than {MAX_GUESTS} connections"
        if problem:
            self.turned_away += 1
            full = len(self._connections) >= MAX_GUESTS
            log.log(
                logging.WARNING if full else logging.DEBUG,
                "somebody who wanted to call this node was turned away: %s",
                problem,
            )
            writer.transport.abort()
            return
        await self._connected(reader, writer)


class DirectClient(CallClient):
    """To the server of ``node`` at one of ``addresses``, host and port each."""

    def __init__(self, node: str, addresses: Sequence[str], token: str) -> None:
        super().__init__()
        self._node = node
        self._addresses = addresses
        self._token = token

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problems = []
        for address in self._addresses:
            try:
                return await within(_entered(address, self._token, self._node), GREETING_S)
            except (OSError, EOFError, ValueError) as error:
                problems.append(f"{address}: {error or type(error).__name__}")
        raise WayBroken(f"the node cannot be reached ({'; '.join(problems)})")


async def _entered(address: str, token: str, node: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError, EOFError; ValueError for what is no address."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=LIMIT)
    try:
        patient(writer.get_extra_info("socket"))
        await knock(reader, writer, token, node)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


class DirectLinks:
    """The ways to all nodes (``link.Links``). ``finding``: of whom is asked where they are."""

    def __init__(self, finding: Links, token: str) -> None:
        self._finding = finding
        self._token = token
        self._clients: dict[str, DirectClient] = {}
        self._closed = False

    def to(self, node: str) -> DirectLink:
        return DirectLink(self, node)

    async def call(self, node: str, method: str, timeout_s: float, body: bytes) -> bytes:
        """Raises LinkDown."""
        client = await self._client(node)
        try:
            return await client.call(node, method, timeout_s, body)
        except WayBroken:
            if self._clients.get(node) is client:  # its agent may be another by now
                del self._clients[node]
            await client.close()
            raise

    async def _client(self, node: str) -> DirectClient:
        if node not in self._clients:
            found = (await self._finding.to(node).call(WHERE, b"", WHERE_S)).decode().splitlines()
            if self._closed:
                raise LinkDown("this API leads no more")
            self._clients.setdefault(node, DirectClient(node, found, self._token))  # others may have asked at once
        return self._clients[node]

    async def close(self) -> None:
        self._closed = True
        clients = tuple(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()


class DirectLink:
    """The way to one node (``link.AgentLink``)."""

    def __init__(self, links: DirectLinks, node: str) -> None:
        self._links = links
        self._node = node

    async def call(self, method: str, body: bytes, timeout_s: float) -> bytes:
        return await self._links.call(self._node, method, timeout_s, body)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, node: str) -> None:
    """The half of ``node``, which somebody means who found it at this address. Raises LinkDown, EOFError."""
    ours = secrets.token_bytes(NUMBER)
    writer.write(_MAGIC + ours)
    answer = await reader.readexactly(NUMBER + PROOF)
    theirs, shown = answer[:NUMBER], answer[NUMBER:]
    if not hmac.compare_digest(shown, proof(token, _side(b"leader", node), ours, theirs)):
        raise LinkDown("it does not have this cluster's token, or asks for another node")
    writer.write(proof(token, _side(b"node", node), theirs, ours))


async def knock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, node: str) -> None:
    """The half of an API that wants to call ``node``. Raises LinkDown, EOFError."""
    hello = await reader.readexactly(len(_MAGIC) + NUMBER)
    if not hello.startswith(_MAGIC):
        raise LinkDown("nobody answers calls there, or another version")
    theirs, ours = hello[len(_MAGIC) :], secrets.token_bytes(NUMBER)
    writer.write(ours + proof(token, _side(b"leader", node), theirs, ours))
    if not hmac.compare_digest(await reader.readexactly(PROOF), proof(token, _side(b"node", node), ours, theirs)):
        raise LinkDown("it does not have this cluster's token")


def _side(who: bytes, node: str) -> bytes:
    """An address may be another node's by now: what is shown holds for one node alone."""
    return _MAGIC + who + b" " + node.encode() + b" "
