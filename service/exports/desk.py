"""The cases that were asked for: a bounded queue, one made at a time, taken up again after a kill.

What is stored says what is to be done; the folder ``exports/<id>`` holds the case. A start removes what no row knows of
and what was half written, and begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.access.audit_protocol import Audit
from service.errors_base import Conflict, Unavailable
from service.exports.case import CASE
from service.exports.contents import Archive
from service.exports.downloads import Downloads
from service.exports.job import Made
from service.exports.maker import CaseFailed, CaseMaker
from service.storage.database import StoreError
from service.storage.review.exports import Ending, ExportRecord, ExportStore
from service.subscription import rung

log = logging.getLogger(__name__)

MOST = 500  # cases that are kept
MOST_WAITING = 16
MOST_ATTEMPTS = 3
LOOK_S = 5.0  # whether what was being recorded is finished
RETRY_S = 2.0
_MADE = "exports:made"
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one case is: ``progress`` in 0..1, ``eta_s`` in seconds, None where nobody knows yet."""

    progress: float
    eta_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """What is being made."""

    record: ExportRecord
    maker: CaseMaker
    began_s: float  # monotonic

    def standing(self, now_s: float) -> Standing:
        done, gone_s = self.maker.done, now_s - self.began_s
        known = done >= 0.02 and gone_s >= 1.0
        return Standing(round(done, 3), round(gone_s * (1 - done) / done, 1) if known else None)


class ExportDesk:
    """Runs on the event loop; cases are made by a process each."""

    def __init__(
        self, folder: Path, exports: ExportStore, archive: Archive, audit: Audit, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder.resolve()
        self.exports, self._archive, self._audit, self._clock = exports, archive, audit, clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._work: _Work | None = None
        self.downloads = Downloads()
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._waiting = 0
        self._not_before: dict[str, float] = {}  # monotonic, of cases that wait for the bucket

    async def open(self) -> None:
        """Raises StoreError, OSError."""
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        await self._clean()
        self._task = asyncio.create_task(self._run_forever(), name="exports")

    async def close(self) -> None:
        """What is being made is begun anew by the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def add(self, record: ExportRecord) -> None:
        """Raises Conflict where there are too many, or there is no room on the disk for it; StoreError."""
        needed = await self._archive.estimate(record)
        await self._check_room(needed)
        refusal = await self.exports.add(record, MOST, MOST_WAITING)
        if refusal:
            raise Conflict(refusal)
        self._counters["exports_total"] += 1
        self._wake.set()

    async def remove(self, export_id: str) -> None:
        """Also one that is being made. Raises StoreError, and OSError where its files cannot be removed."""
        await self.exports.delete(export_id)
        if self._work is not None and self._work.record.id == export_id:
            self._work.maker.end()
            return  # its files go when its process has gone
        await asyncio.to_thread(_remove, self._folder / export_id)

    def file(self, export_id: str) -> Path:
        return self._folder / export_id / CASE

    def standing(self, record: ExportRecord) -> Standing:
        if self._work is not None and self._work.record.id == record.id and record.state == "running":
            return self._work.standing(time.monotonic())
        return Standing(1.0 if record.state == "done" else 0.0)

    async def _check_room(self, needed: int) -> None:
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free - self._archive.min_free_bytes
        if needed > free:
            raise Conflict(
                f"there is no room for it: about {needed // _MB} MB are needed, {max(0, free) // _MB} MB may be used"
            )

    # -- the loop

    async def _run_forever(self) -> None:
        while True:
            try:
                while (record := await self._next()) is not None:
                    await self._make(record)
            except (StoreError, OSError) as error:
                log.error("cases wait: %s", error)
                await asyncio.sleep(RETRY_S)
            except Exception:  # the task's outermost frame: cases must not wait for ever, silently
                log.exception("making cases failed, trying again")
                await asyncio.sleep(RETRY_S)
            await rung(self._wake, LOOK_S)
            self._wake.clear()

    async def _next(self) -> ExportRecord | None:
        """→ the oldest one whose recordings are all on the disk."""
        waiting = await self.exports.open_ones()
        self._waiting = len(waiting)
        now_s = time.monotonic()
        self._not_before = {key: at for key, at in self._not_before.items() if at > now_s}
        for record in waiting:
            if record.id in self._not_before:
                continue
            reason = await self._archive.still_recorded(record, self._clock())
            if not reason:
                return record
            if reason != record.reason:
                await self.exports.wait(record.id, reason)
        return None

    async def _make(self, record: ExportRecord) -> None:
        if record.attempts >= MOST_ATTEMPTS:
            await self._fail(record, f"the service ended {MOST_ATTEMPTS} times while it was made")
            return
        if not await self.exports.begin(record.id):
            return
        folder = self._folder / record.id
        await asyncio.to_thread(_make_anew, folder)
        try:
            await self._check_room(await self._archive.estimate(record))
            async with self._archive.at_hand(record):
                job = await self._archive.job(record, folder)
                self._work = _Work(record, CaseMaker(job), time.monotonic())
                await self._keep(record, await self._work.maker.run())
        except asyncio.CancelledError:
            await self._put_back(record)
            raise
        except Unavailable as error:  # the bucket does not answer: its recordings are nowhere else
            await self._put_back(record)
            await self.exports.wait(record.id, str(error))
            self._not_before[record.id] = time.monotonic() + error.retry_after_s
        except (CaseFailed, Conflict, ValueError) as error:
            await self._fail(record, str(error))
        finally:
            self._work = None
            await self._remove_unless_known(record.id)

    async def _put_back(self, record: ExportRecord) -> None:
        """Raises nothing: whoever ends the service waits for the end of what calls this."""
        try:
            await self.exports.put_back(record.id)
        except (StoreError, OSError) as error:
            log.error("case %s counts as tried once more: %s", record.id, error)

    async def _keep(self, record: ExportRecord, made: Made) -> None:
        ending = Ending("done", self._clock(), bytes=made.bytes, sha256=made.sha256)
        if await self.exports.end(record.id, ending):
            self._counters["exports_made_total"] += 1
            detail = {"sha256": made.sha256, "bytes": made.bytes}
            await self._audit.record(None, _MADE, record.id, detail=detail)

    async def _fail(self, record: ExportRecord, reason: str) -> None:
        if await self.exports.end(record.id, Ending("failed", self._clock(), reason)):
            self._counters["exports_failed_total"] += 1
            log.error("case %s was not made: %s", record.id, reason)
            await self._audit.record(None, _MADE, record.id, "failed", {"reason": reason})

    async def _remove_unless_known(self, export_id: str) -> None:
        """A case that was deleted while it was made leaves nothing; raises nothing: the next start cleans up too."""
        try:
            if export_id not in await self.exports.ids():
                await asyncio.to_thread(_remove, self._folder / export_id)
        except (StoreError, OSError) as error:
            log.error("files of case %s may be left: %s", export_id, error)

    async def _clean(self) -> None:
        """What was half written when the service ended, and what no row knows."""
        known = await self.exports.ids()
        unfinished = {record.id for record in await self.exports.open_ones()}
        for folder in await asyncio.to_thread(lambda: list(self._folder.iterdir())):
            if folder.name not in known or folder.name in unfinished:
                await asyncio.to_thread(_remove, folder)

    def measures(self) -> dict[str, Any]:
        """→ a snapshot like ``Measures.snapshot``, for the metrics."""
        return {"counters": dict(self._counters), "gauges": {"exports_waiting": self._waiting}, "histograms": {}}


def _make_anew(folder: Path) -> None:
    _remove(folder)
    folder.mkdir(parents=True)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


COUNTERS = ("exports_total", "exports_made_total", "exports_failed_total")
