"""What one node tells, into the log: each message once, in its order, and none of an epoch that is over."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.cluster.board import Board
from service.cluster.links.messages import Reports, Row, Seen
from service.cluster.strict_hub import SOURCE, StrictHub
from service.storage.cluster.nodes import Taken
from service.storage.database import StoreError

log = logging.getLogger(__name__)

OnRow = Callable[[str, Mapping[str, Any]], Awaitable[None]]  # the stream's id first


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of what is no message: ``others`` by kind; ``stream`` of each state of a stream; ``released``."""

    others: Mapping[str, OnRow]
    stream: Callable[[Mapping[str, Any]], None]
    released: Callable[[str], None]


class Intake:
    """``taken``: what the log has of this node's spool already."""

    def __init__(self, node: str, board: Board, hub: StrictHub, listeners: Listeners, taken: Taken) -> None:
        self._node = node
        self._board = board
        self._hub = hub
        self._listeners = listeners
        self.spool, self.after = taken.spool, taken.n
        self._stored_at: deque[tuple[int, int]] = deque()  # row, and the hub's number that it is stored with
        self._acked = taken.n
        self._publish: dict[str, Callable[[Mapping[str, Any]], Awaitable[None]]] = {
            "action": hub.publish_action,
            "repetition": hub.publish_repetition,
            "presence": hub.publish_presence,
            "stream": hub.publish_stream,
        }
        self.refused = 0  # of an epoch that was over
        self.lost = 0  # that nobody could take

    @property
    def watched(self) -> bool:
        """Whether somebody hears what streams show."""
        return self._hub.subscribers > 0

    @property
    def acked(self) -> int:
        """→ the row up to which all is in the log."""
        while self._stored_at and self._stored_at[0][1] <= self._hub.seq:
            self._acked = self._stored_at.popleft()[0]
        return self._acked

    async def take(self, reports: Reports) -> None:
        if reports.spool != self.spool:  # another file: its rows begin at 1
            self.spool, self.after, self._acked = reports.spool, 0, 0
            self._stored_at.clear()
        for row in reports.rows:
            if row.n > self.after:
                await self._taken(row)
                self.after = row.n
                self._stored_at.append((row.n, self._hub.given))
        if reports.upto > self.after:
            self.after = reports.upto
            self._stored_at.append((reports.upto, self._hub.given))
        for seen in reports.seen:
            await self._tracks(seen)

    async def _taken(self, row: Row) -> None:
        """One row that nobody can take must not keep the node from telling more. Raises StoreError: it is asked for
        again then.
        """
        try:
            await self._row(row)
        except StoreError:
            raise
        except Exception:  # the row's outermost frame
            self.lost += 1
            log.exception("what node %s tells of the kind %s is lost", self._node, row.kind)

    async def _row(self, row: Row) -> None:
        other = self._listeners.others.get(row.kind)
        if other is not None:
            return await other(row.stream_id, row.body)
        if not self._board.has(row.stream_id, self._node, row.epoch):
            self.refused += 1
            return None
        if row.kind == "end_open":
            await self._hub.end_open_events(row.stream_id)
        elif row.kind == "released":
            await self._hub.end_open_events(row.stream_id)
            self._board.released(row.stream_id, row.epoch)
            self._listeners.released(row.stream_id)
        elif row.kind in self._publish:
            await self._message(row)
        else:
            log.error("node %s tells something of the kind %s: is it of a later version?", self._node, row.kind)
        return None

    async def _message(self, row: Row) -> None:
        if row.kind == "action":
            self._board.saw(row.stream_id, [row.body["track_id"]])
        if row.kind == "stream":
            self._listeners.stream(row.body)
        token = SOURCE.set((self._node, Taken(self.spool, row.n)))
        try:
            await self._publish[row.kind](row.body)
        finally:
            SOURCE.reset(token)

    async def _tracks(self, seen: Seen) -> None:
        stream_id = seen.message["stream_id"]
        if not self._board.has(stream_id, self._node, seen.epoch):
            self.refused += 1
            return
        self._board.saw(stream_id, [track["track_id"] for track in seen.message["tracks"]])
        await self._hub.publish_tracks(seen.message)
