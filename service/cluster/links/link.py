"""How leader and agents reach each other: a method's name and bytes there, bytes back, whatever carries them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.cluster.links.errors import CallFailed, LinkDown, OldLeader
from service.cluster.links.messages import NotUnderstood, pack, unpack
from service.supervisor_protocol import SnapshotUnavailable

T = TypeVar("T")

CALL_S = 5.0  # beyond what the call itself may wait


class AgentLink(Protocol):
    """The way to one node."""

    async def call(self, method: str, body: bytes, timeout_s: float) -> bytes:
        """→ what the node answered. Raises LinkDown."""


class Links(Protocol):
    """The ways to all nodes."""

    def to(self, node: str) -> AgentLink: ...


Answering = Callable[[str, bytes], Coroutine[Any, Any, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """``problem`` empty: ``body`` is what was asked for. Else which error it is, and ``body`` its words."""

    problem: str
    body: bytes


_PROBLEMS = {"old_leader": OldLeader, "snapshot": SnapshotUnavailable, "failed": CallFailed, "link": LinkDown}


def failed(problem: str, error: object) -> bytes:
    return pack(Answer(problem, str(error).encode()))


def done(body: object) -> bytes:
    return pack(Answer("", pack(body)))


async def ask(link: AgentLink, method: str, message: object, answer: type[T], wait_s: float = 0.0) -> T:
    """→ the node's answer. Raises LinkDown, OldLeader, SnapshotUnavailable, CallFailed."""
    data = await link.call(method, pack(message), wait_s + CALL_S)
    try:
        got = unpack(data, Answer)
        if not got.problem:
            return unpack(got.body, answer)
    except NotUnderstood as error:
        raise CallFailed(f"the node is of another version: {error}") from None
    raise _PROBLEMS.get(got.problem, CallFailed)(got.body.decode("utf-8", "replace"))


async def within(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """→ what the work gives. Raises LinkDown where it takes longer.

    ``asyncio.wait_for`` may forget (until Python 3.12) that it was cancelled: see ``subscription.rung``.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
    if not done:
        raise LinkDown(f"no answer within {timeout_s:g} s")
    return task.result()


class LocalLink:
    """To an agent in this very process."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.down = False

    async def call(self, method: str, body: bytes, timeout_s: float) -> bytes:
        if self.down:
            raise LinkDown("the node cannot be reached")
        return await within(self._answering(method, body), timeout_s)
