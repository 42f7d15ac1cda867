"""Live pictures of a node's streams, for somebody on another machine who asks for the next one each time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from service.cluster.links.messages import PictureAnswer, WantPicture
from service.supervisor_protocol import LivePicture, Supervisor

UNASKED_S = 3.0  # nobody has asked for so long: nobody looks
MAX_TAPS = 64


class Tap:
    """The newest picture of one stream, as long as somebody asks for it."""

    def __init__(self, pictures: AsyncIterator[LivePicture | bytes]) -> None:
        self._came = asyncio.Condition()
        self._newest = PictureAnswer(0)
        self._asked_s = time.monotonic()
        self._task = asyncio.create_task(self._run(pictures))

    @property
    def over(self) -> bool:
        return self._task.done()

    async def next(self, after: int, wait_s: float) -> PictureAnswer:
        self._asked_s = time.monotonic()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._newer(after), wait_s)
        return self._newest if self._newest.n > after else PictureAnswer(after)

    async def _newer(self, after: int) -> None:
        async with self._came:
            await self._came.wait_for(lambda: self._newest.n > after)

    async def _run(self, pictures: AsyncIterator[LivePicture | bytes]) -> None:
        # Numbers of the clock, so that those of a tap that is opened again are higher.
        async for picture in pictures:
            n = max(time.monotonic_ns(), self._newest.n + 1)
            live = isinstance(picture, LivePicture)
            jpeg, tracks = (picture.jpeg, picture.tracks) if live else (picture, {})  # type: ignore[union-attr]
            async with self._came:
                self._newest = PictureAnswer(n, jpeg, tracks)  # type: ignore[arg-type]
                self._came.notify_all()
            if time.monotonic() - self._asked_s > UNASKED_S:
                return

    def close(self) -> None:
        self._task.cancel()


class Taps:
    """One for each stream and kind that somebody looks at, at most MAX_TAPS: the one looked at first goes."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._taps: dict[tuple[str, str], Tap] = {}

    async def next(self, want: WantPicture) -> PictureAnswer:
        """Raises SnapshotUnavailable for a still."""
        if want.kind in ("still", "snapshot"):
            jpeg = await self._supervisor.snapshot(want.stream_id, want.wait_s, want.kind == "snapshot")
            return PictureAnswer(time.monotonic_ns(), jpeg)
        key = (want.stream_id, want.kind)
        tap = self._taps.get(key)
        if tap is None or tap.over:
            self._make_room()
            tap = self._taps[key] = Tap(self._pictures(want))
        return await tap.next(want.after, want.wait_s)

    def _pictures(self, want: WantPicture) -> AsyncIterator[LivePicture | bytes]:
        if want.kind == "overlay":
            return self._supervisor.watch(want.stream_id)
        return self._supervisor.live(want.stream_id, want.kind == "full")

    def _make_room(self) -> None:
        self._taps = {key: tap for key, tap in self._taps.items() if not tap.over}
        while len(self._taps) >= MAX_TAPS:
            self._taps.pop(next(iter(self._taps))).close()

    def close(self) -> None:
        for tap in self._taps.values():
            tap.close()
