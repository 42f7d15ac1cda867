"""The audit as it is stored: a chain of rows, each with the hash of the one before.

A row is hashed as UTF-8 JSON of ``[id, at, principal, address, action, object, result, detail, previous]`` with sorted
keys and without blanks. The first row's ``previous`` is 64 zeros. The chain shows a row that was changed, taken out or
put in between; not that its end was cut off, nor that all of it was written anew: whoever keeps a head elsewhere sees
that too. Several processes may write: two that chose the same id cannot both keep it, and the second chooses again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.storage.access.tables import AuditRow
from service.storage.database import Database, StoreError
from service.storage.records import Cursor, Page

FIRST = "0" * 64
_TRIES = 8  # as often may another process be quicker
_CHUNK = 1000  # rows that are verified at once


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, not yet in the chain. ``at`` is Unix time; ``detail`` holds what JSON can hold."""

    at: float
    principal: str
    address: str
    action: str
    object: str
    result: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link of the chain."""

    id: int
    at: float
    principal: str
    address: str
    action: str
    object: str
    result: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty means everything. ``principal``: as stored, or its id or its name; since ≤ at < until (Unix)."""

    principals: Sequence[str] = ()
    actions: Sequence[str] = ()
    results: Sequence[str] = ()
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the whole chain found. ``broken_at``: id of the first row that is wrong; ``head``: of the last."""

    rows: int
    head: str
    broken_at: int | None = None
    reason: str = ""


def link_hash(row_id: int, entry: AuditEntry | AuditRecord, previous: str) -> str:
    """→ SHA-256 in hex of a row in its canonical form."""
    values = [row_id, float(entry.at), entry.principal, entry.address, entry.action, entry.object, entry.result]
    text = json.dumps([*values, dict(entry.detail), previous], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def append(database: Database, entry: AuditEntry) -> AuditRecord:
    """Raises StoreError, also where other processes were quicker each time."""
    for _ in range(_TRIES):
        try:
            return await database.write(lambda session: _append(session, entry))
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
    raise StoreError(f"database: the audit was written by others {_TRIES} times in a row")


def _append(session: Session, entry: AuditEntry) -> AuditRecord:
    last = session.execute(select(AuditRow.id, AuditRow.hash).order_by(AuditRow.id.desc()).limit(1)).first()
    row_id, previous = (1, FIRST) if last is None else (last.id + 1, last.hash)
    values = {name: getattr(entry, name) for name in AuditEntry.__slots__} | {"detail": dict(entry.detail)}
    record = AuditRecord(row_id, **values, previous=previous, hash=link_hash(row_id, entry, previous))
    session.add(AuditRow(**{name: getattr(record, name) for name in AuditRecord.__slots__}))
    session.flush()
    return record


async def list_audit(database: Database, wanted: AuditFilter, cursor: Cursor | None, limit: int) -> Page[AuditRecord]:
    """Newest first. Raises ValueError for a cursor of another list, StoreError."""
    statement = select(AuditRow).where(*_conditions(wanted)).order_by(AuditRow.id.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(AuditRow.id < _row_id(cursor))
    rows = await database.read(lambda session: [_record(row) for row in session.scalars(statement)])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(tuple(rows[:limit]), None if last is None else Cursor(last.at, str(last.id)).encode())


def _row_id(cursor: Cursor) -> int:
    if not (cursor.id.isascii() and cursor.id.isdecimal()) or len(cursor.id) > 18:
        raise ValueError("expected a next_cursor of an earlier answer")
    return int(cursor.id)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.principals:
        conditions.append(_of_any(wanted.principals))
    if wanted.actions:
        conditions.append(AuditRow.action.in_(wanted.actions))
    if wanted.results:
        conditions.append(AuditRow.result.in_(wanted.results))
    if wanted.since is not None:
        conditions.append(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditRow.at < wanted.until)
    return conditions


def _of_any(principals: Sequence[str]) -> ColumnElement[bool]:
    """A principal is stored as ``kind:id name``, and looked for by that, by ``kind:id``, by the id or by the name."""
    column = AuditRow.principal
    found: ColumnElement[bool] = column.in_(principals)
    for text in principals:
        found |= column.startswith(f"{text} ", autoescape=True) | column.endswith(f" {text}", autoescape=True)
        found |= column.contains(f":{text} ", autoescape=True) | column.endswith(f":{text}", autoescape=True)
    return found


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(**{name: getattr(row, name) for name in AuditRecord.__slots__})


async def verify(database: Database, kept_head: str | None = None) -> Verdict:
    """Reads the whole chain. ``kept_head``: a hash that it had once, and must still have. Raises StoreError."""
    verdict, found = Verdict(0, FIRST), kept_head in (None, FIRST)
    while verdict.broken_at is None:
        chunk = await _rows_after(database, verdict.rows)
        if not chunk:
            break
        found = found or any(record.hash == kept_head for record in chunk)
        verdict = follow(verdict, chunk)
    if verdict.broken_at is None and not found:
        reason = f"no row has the kept head {kept_head}: the end was cut off, or the chain was written anew"
        return Verdict(verdict.rows, verdict.head, verdict.rows + 1, reason)
    return verdict


async def _rows_after(database: Database, row_id: int) -> list[AuditRecord]:
    statement = select(AuditRow).where(AuditRow.id > row_id).order_by(AuditRow.id).limit(_CHUNK)
    return await database.read(lambda session: [_record(row) for row in session.scalars(statement)])


def follow(verdict: Verdict, records: Sequence[AuditRecord]) -> Verdict:
    """The chain up to here and what comes behind it → the chain up to there, or to the first row that is wrong."""
    for record, reason in _judged(verdict, records):
        if reason:
            return Verdict(verdict.rows, verdict.head, record.id, reason)
        verdict = Verdict(record.id, record.hash)
    return verdict


def _judged(verdict: Verdict, records: Sequence[AuditRecord]) -> Iterator[tuple[AuditRecord, str]]:
    due, head = verdict.rows + 1, verdict.head
    for record in records:
        yield record, _fault(record, due, head)
        due, head = record.id + 1, record.hash


def _fault(record: AuditRecord, due: int, head: str) -> str:
    if record.id != due:
        return f"a gap: expected row {due}, got row {record.id}"
    if record.previous != head:
        return f"row {record.id} does not follow row {due - 1}: expected previous {head}, got {record.previous}"
    if record.hash != link_hash(record.id, record, record.previous):
        return f"row {record.id} was changed: its hash is not that of its content"
    return ""
