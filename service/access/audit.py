"""The audit log: who did what, when, from where, with what result; as ``storage/audit.py`` chains it.

What is recorded has been done: a database that fails takes no answer back. Such a loss is logged, counted, and said in
the chain itself once rows can be written again. Refusals that repeat within a minute are one row and a number, so that
whoever guesses passwords cannot fill the disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from service.access.audit_protocol import NOTHING
from service.access.audit_words import clean_detail, clean_text
from service.access.repeats import Repeats
from service.rights import Principal
from service.storage.access import audit as chain
from service.storage.access.audit import AuditEntry
from service.storage.database import Database, StoreError

log = logging.getLogger(__name__)

RESULTS = ("ok", "refused", "failed")
REPEAT_S = 60.0  # refusals that are alike are one row in this time
VIEW_S = 600.0  # and so is what a player fetches of one recording in many parts
HEAD_EVERY_S = 3600.0  # how often the log names the chain's end, for whoever keeps logs elsewhere
VIEW = "media.view"
LOST = "audit.lost"


class AuditLog:
    """``record`` from any task; rows are written one after the other. One a process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._refusals, self._views = Repeats(REPEAT_S), Repeats(VIEW_S)
        self._unsaid = 0  # lost rows that no row tells of yet
        self._head_said_at = 0.0
        self.written = 0
        self.lost = 0

    async def record(
        self,
        principal: Principal | None,
        action: str,
        object: str,
        result: str = "ok",
        detail: Mapping[str, Any] = NOTHING,
        address: str = "",
    ) -> None:
        """Returns once it is kept, or lost and counted. Raises ValueError for a result that is none of RESULTS."""
        if result not in RESULTS:
            raise ValueError(f"expected a result of {', '.join(RESULTS)}, got {result}")
        entry = AuditEntry(
            at=self._clock(),
            principal=principal_text(principal),
            address=clean_text(address),
            action=clean_text(action, 64),
            object=clean_text(object),
            result=result,
            detail=clean_detail(detail),
        )
        async with self._turn:
            for each in self._due(entry):
                await self._write(each)

    def _due(self, entry: AuditEntry) -> list[AuditEntry]:
        counted = [*self._refusals.over(entry.at), *self._views.over(entry.at)]
        if entry.action == VIEW:
            admitted = self._views.admit(entry)
        else:
            admitted = entry if entry.result == "ok" else self._refusals.admit(entry)
        return counted if admitted is None else [*counted, admitted]

    async def close(self) -> None:
        """Writes what was only counted so far."""
        async with self._turn:
            for each in (*self._refusals.all(self._clock()), *self._views.all(self._clock())):
                await self._write(each)

    def measures(self) -> dict[str, Any]:
        """For ``/metrics``."""
        return {"counters": {"rows_total": self.written, "lost_total": self.lost}}

    async def _write(self, entry: AuditEntry) -> None:
        try:
            if self._unsaid:
                await self._append(_loss(entry, self._unsaid))
                self._unsaid = 0
            await self._append(entry)
        except StoreError as error:
            self.lost += 1
            self._unsaid += 1
            log.error("the audit lost %s of %s (%d lost so far): %s", entry.action, entry.principal, self.lost, error)

    async def _append(self, entry: AuditEntry) -> None:
        record = await chain.append(self._database, entry)
        self.written += 1
        if abs(entry.at - self._head_said_at) >= HEAD_EVERY_S:
            self._head_said_at = entry.at
            log.info("the audit has %d rows, its head is %s", record.id, record.hash)


def _loss(entry: AuditEntry, rows: int) -> AuditEntry:
    nobody: dict[str, Any] = {"principal": "-", "address": "", "object": "audit"}
    return replace(entry, **nobody, action=LOST, result="failed", detail={"rows": rows})


def principal_text(principal: Principal | None) -> str:
    """→ ``user:usr_… anna``, ``token:1a2b3c4d``, ``local``, ``local:command``; ``-`` for nobody who is known."""
    if principal is None:
        return "-"
    if principal.kind == principal.id == "local":
        return "local"
    name = "" if principal.name in ("", principal.id) else f" {principal.name}"
    return clean_text(f"{principal.kind}:{principal.id}{name}")
