"""Pictures of streams that run on nodes: the next one is asked for when the last one has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from service.cluster.links.errors import CallFailed, LinkDown, OldLeader
from service.cluster.links.link import AgentLink, ask
from service.cluster.links.messages import PictureAnswer, WantPicture
from service.supervisor_protocol import LivePicture, SnapshotUnavailable

WAIT_S = 1.0
RETRY_S = 0.5
NOTHING_S = 15.0  # a stream that shows nothing for so long: whoever looks at its overlay has to ask anew


class RemotePictures:
    """``link_of``: the way to the node that runs a stream, None while none does."""

    def __init__(self, link_of: Callable[[str], AgentLink | None]) -> None:
        self._link_of = link_of

    async def snapshot(self, stream_id: str, timeout_s: float, overlay: bool) -> bytes:
        """Raises SnapshotUnavailable."""
        link = self._link_of(stream_id)
        if link is None:
            raise SnapshotUnavailable("no node runs the stream")
        want = WantPicture(stream_id, "snapshot" if overlay else "still", wait_s=timeout_s)
        try:
            answer = await ask(link, "picture", want, PictureAnswer, timeout_s)
        except (LinkDown, CallFailed, OldLeader) as error:
            raise SnapshotUnavailable(f"the stream's node cannot be asked: {error}") from error
        if answer.jpeg is None:
            raise SnapshotUnavailable(f"no picture within {timeout_s:g} s")
        return answer.jpeg

    async def watch(self, stream_id: str) -> AsyncIterator[bytes]:
        silent_s = 0.0
        async for answer in self._next(stream_id, "overlay"):
            silent_s = 0.0 if answer.jpeg is not None else silent_s + WAIT_S
            if answer.jpeg is not None:
                yield answer.jpeg
            elif silent_s > NOTHING_S:
                return

    async def live(self, stream_id: str, full: bool) -> AsyncIterator[LivePicture]:
        async for answer in self._next(stream_id, "full" if full else "tile"):
            if answer.jpeg is not None:
                yield LivePicture(answer.jpeg, answer.tracks)

    async def _next(self, stream_id: str, kind: str) -> AsyncIterator[PictureAnswer]:
        """Without end; an answer without a picture where none came within a second. A stream may move meanwhile."""
        after = 0
        while True:
            link = self._link_of(stream_id)
            try:
                if link is None:
                    raise LinkDown("no node runs the stream")
                answer = await ask(link, "picture", WantPicture(stream_id, kind, after, WAIT_S), PictureAnswer, WAIT_S)
            except (LinkDown, CallFailed, OldLeader, SnapshotUnavailable):
                await asyncio.sleep(RETRY_S)
                answer, after = PictureAnswer(0), 0
            else:
                after = answer.n
            yield answer
