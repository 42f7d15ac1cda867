"""Keeps the clips that verdicts are about: cut as soon as they are recorded, since retention deletes their source.

What waits stands in the database, so a kill loses nothing: the next start goes on with it. One clip at a time, on a
thread that gives way to everything else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from models.errors import DatasetError
from models.weights.cards import ModelCard, ModelInput
from pipeline.clips import ClipConfig
from service.catalogue import Catalogue
from service.errors_base import Unavailable
from service.review.cutting import NoClip, Window, cut_crops
from service.review.folder import CorrectionFolder
from service.review.footage import FootageFinder, needed_by
from service.review.networks import card_of
from service.storage.database import StoreError
from service.storage.review.records import VerdictRecord
from service.storage.review.verdicts import MISSING, PENDING, STORED, VerdictStore
from service.storage.segment import Needed
from service.subscription import rung

log = logging.getLogger(__name__)

LOOK_S = 5.0
AT_ONCE = 50  # that are looked at in one round
MOST_WAITING = 2000  # verdicts without their clip yet
MOST_CLIPS = 20_000  # some 1 MB each
NICENESS = 15

T = TypeVar("T")
COUNTERS = ("corrections_stored_total", "corrections_missing_total", "corrections_lost_total")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where clips come from. ``min_free_bytes``: below so much room none is stored."""

    footage: FootageFinder
    catalogue: Catalogue
    min_free_bytes: int


class _Waits(Exception):
    """There is no clip yet, for a reason that may pass. The message says which."""


class ClipKeeper:
    """Runs on the event loop; ``ring`` says that something waits."""

    def __init__(self, folder: CorrectionFolder, verdicts: VerdictStore, sources: Sources) -> None:
        self.folder = folder
        self._verdicts, self._sources = verdicts, sources
        self._executor = ThreadPoolExecutor(1, "corrections", _give_way)
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._looked_at: VerdictRecord | None = None  # the last one; whoever waits long is not to be first for ever

    async def open(self) -> None:
        await self._on_thread(self.folder.open)
        for verdict in await self._verdicts.superseded():
            await self._supersede(verdict)
        self._task = asyncio.create_task(self._keep_forever(), name="corrections")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await asyncio.to_thread(self._executor.shutdown)

    def ring(self) -> None:
        self._bell.set()

    async def followed(self, event_id: str) -> None:
        """A newer verdict stands: the older ones' folders say so."""
        for verdict in await self._verdicts.versions(event_id):
            if verdict.superseded_by is not None and verdict.clip == STORED:
                await self._supersede(verdict)

    async def _supersede(self, verdict: VerdictRecord) -> None:
        try:
            await self._on_thread(lambda: self.folder.supersede(verdict))
        except (OSError, DatasetError) as error:
            log.error("correction %s does not say that it was superseded: %s", verdict.id, error)

    async def _keep_forever(self) -> None:
        while True:
            self._bell.clear()
            try:
                await self._look()
            except (StoreError, OSError) as error:
                log.error("clips of corrections wait: %s", error)
            await rung(self._bell, LOOK_S)

    async def _look(self) -> None:
        """One round: the next few after those of the round before, until one finds that the disk takes nothing."""
        waiting = await self._verdicts.pending(AT_ONCE, self._looked_at) or await self._verdicts.pending(AT_ONCE)
        self._looked_at = None
        for verdict in waiting:
            try:
                await self._keep_or_give_up(verdict)
            except _Waits as error:
                self._looked_at = verdict
                await self._say(verdict, str(error))
                return
        if len(waiting) == AT_ONCE:
            self._looked_at = waiting[-1]

    async def _say(self, verdict: VerdictRecord, reason: str) -> None:
        if reason != verdict.clip_reason:
            log.error("correction %s waits for its clip: %s", verdict.id, reason)
            await self._verdicts.clip_known(verdict.id, PENDING, reason)

    async def _keep_or_give_up(self, verdict: VerdictRecord) -> None:
        try:
            await self.keep(verdict)
        except (_Waits, StoreError, OSError):
            raise
        except Exception:  # one clip's outermost frame: the others behind it must not wait for ever
            log.exception("the clip of correction %s failed", verdict.id)
            await self._none(verdict, "an error of the service, whose log says more")

    async def keep(self, verdict: VerdictRecord) -> bool:
        """Stores a verdict's clip, or says why there will be none. → False where its end is still to come."""
        try:
            sha256 = await self._on_thread(lambda: self.folder.kept(verdict.id)) or await self._cut(verdict)
        except NoClip as error:
            await self._none(verdict, str(error))
            return True
        if sha256 is None:
            return False
        await self._verdicts.clip_known(verdict.id, STORED, sha256=sha256)
        await self.followed(verdict.event_id)  # if a newer one came meanwhile
        self._counters["corrections_stored_total"] += 1
        return True

    async def _none(self, verdict: VerdictRecord, reason: str) -> None:
        if verdict.clip_reason:  # it waited for room, as _say wrote down, until there was nothing left to cut
            reason = f"{reason}; before that: {verdict.clip_reason}"
            log.error("the clip of correction %s is lost: %s", verdict.id, reason)
            self._counters["corrections_lost_total"] += 1
        await self._verdicts.clip_known(verdict.id, MISSING, reason)
        self._counters["corrections_missing_total"] += 1

    async def needed(self) -> tuple[Needed, ...]:
        """→ what the clips that wait need of recordings: retention leaves it as it leaves what incidents show."""
        waiting = await self._verdicts.pending(MOST_WAITING)
        cards = await self._sources.catalogue.cards() if waiting else {}
        return tuple(needed for each in waiting if (needed := _needed(each, cards)) is not None)

    async def _cut(self, verdict: VerdictRecord) -> str | None:
        """→ the checksum; None where the end is still to come."""
        config = _config(verdict, await self._sources.catalogue.cards())
        earlier = await self._earlier(verdict)
        if earlier is not None:
            return await self._store(verdict, lambda: earlier, config)
        window = Window.around(verdict.start_s, verdict.end_s, config)
        try:
            shown = await self._sources.footage.find(verdict, window)
            if shown is None:
                return None
            async with self._sources.footage.at_hand(shown) as footage:
                return await self._store(verdict, lambda: cut_crops(footage, verdict.track_id, window, config), config)
        except Unavailable as error:
            raise _Waits(str(error)) from error

    async def _store(self, verdict: VerdictRecord, crops: Callable[[], Any], config: ClipConfig) -> str:
        try:
            await self._on_thread(self._check_room)
            return await self._on_thread(lambda: self.folder.store(verdict, crops(), config.rate_hz))
        except OSError as error:
            raise _Waits(f"it could not be stored: {error.strerror or error}") from error

    async def _earlier(self, verdict: VerdictRecord) -> str | None:
        """→ an earlier verdict of the same time whose clip is there: its recording may be gone."""
        for each in await self._verdicts.versions(verdict.event_id):
            same = (each.start_s, each.end_s) == (verdict.start_s, verdict.end_s)
            if each.clip == STORED and same and each.id != verdict.id:
                return each.id
        return None

    def _check_room(self) -> None:
        if self.folder.free_bytes() < self._sources.min_free_bytes:
            raise _Waits("the disk has too little room")
        if self.folder.count() >= MOST_CLIPS:
            raise _Waits(f"{MOST_CLIPS} clips are kept, which is the limit")

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        return {"counters": dict(self._counters), "gauges": {}, "histograms": {}}


def _needed(verdict: VerdictRecord, cards: Mapping[str, ModelCard]) -> Needed | None:
    """→ None where no clip will be cut."""
    try:
        return needed_by(verdict, Window.around(verdict.start_s, verdict.end_s, _config(verdict, cards)))
    except NoClip:
        return None


def _config(verdict: VerdictRecord, cards: Mapping[str, ModelCard]) -> ClipConfig:
    """How the network of the event reads people; as most do, where it is gone."""
    card = card_of(verdict.model, cards)
    form = ModelInput() if card is None else card.input
    if form.kind == "scene":
        raise NoClip("its network reads whole scenes, of which no clips are kept")
    return form.clip_config(ClipConfig.hop)


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
