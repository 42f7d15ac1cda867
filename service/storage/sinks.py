"""Sinks as they are stored: where messages go, their secrets sealed. Every method may raise StoreError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.storage.alert_tables import SinkRow
from service.storage.database import Database
from service.storage.secret_box import SecretBox, SecretBoxError


@dataclass(frozen=True, slots=True)
class SinkRecord:
    """One sink. ``config`` has nothing secret in it, ``secrets`` is kept out of every text of the record.

    ``failing_since``: Unix time of the first failure after the last success. ``readable`` is False where the secrets
    were sealed with another key: they have to be given again.
    """

    id: str
    kind: str
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    enabled: bool = True
    disabled_reason: str = ""
    failing_since: float | None = None
    created_at: float = 0.0
    readable: bool = True


class SinkStore:
    """Async face of the table."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def add(self, record: SinkRecord, most: int) -> bool:
        """→ False where there are ``most`` sinks already."""
        values = self._values(record)

        def work(session: Session) -> bool:
            if (session.scalar(select(func.count()).select_from(SinkRow)) or 0) >= most:
                return False
            session.execute(insert(SinkRow).values(id=record.id, created_at=record.created_at, **values))
            return True

        return await self._database.write(work)

    async def change(self, record: SinkRecord) -> bool:
        """Replaces the sink of this id. → False if there is none (any more)."""
        statement = update(SinkRow).where(SinkRow.id == record.id).values(**self._values(record))
        return await self._changed(statement)

    async def delete(self, sink_id: str) -> bool:
        """Its messages are given up by the outbox. → False if there is none."""
        return await self._changed(delete(SinkRow).where(SinkRow.id == sink_id))

    async def get(self, sink_id: str) -> SinkRecord | None:
        def work(session: Session) -> SinkRecord | None:
            row = session.get(SinkRow, sink_id)
            return None if row is None else self._to_record(row)

        return await self._database.read(work)

    async def all(self) -> tuple[SinkRecord, ...]:
        """Oldest first."""
        statement = select(SinkRow).order_by(SinkRow.created_at, SinkRow.id)
        return await self._database.read(lambda s: tuple(self._to_record(row) for row in s.scalars(statement)))

    async def _changed(self, statement: Any) -> bool:
        return await self._database.write(
            lambda session: bool(session.execute(statement).rowcount)  # type: ignore[attr-defined] # CursorResult's
        )

    def _values(self, record: SinkRecord) -> dict[str, Any]:
        secrets = json.dumps(dict(record.secrets), ensure_ascii=False)
        return {
            "kind": record.kind,
            "name": record.name,
            "config": dict(record.config),
            "secrets_sealed": self._box.seal(SecretStr(secrets)) if record.secrets else None,
            "enabled": record.enabled,
            "disabled_reason": record.disabled_reason,
            "failing_since": record.failing_since,
        }

    def _to_record(self, row: SinkRow) -> SinkRecord:
        secrets, readable = self._unseal(row)
        return SinkRecord(
            row.id,
            row.kind,
            row.name,
            row.config,
            secrets,
            enabled=row.enabled,
            disabled_reason=row.disabled_reason,
            failing_since=row.failing_since,
            created_at=row.created_at,
            readable=readable,
        )

    def _unseal(self, row: SinkRow) -> tuple[dict[str, Any], bool]:
        if row.secrets_sealed is None:
            return {}, True
        try:
            return json.loads(self._box.unseal(row.secrets_sealed).get_secret_value()), True
        except SecretBoxError:
            return {}, False
