"""Groups of streams: a stream names those it is in, a grant those it covers."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from service.rights import EVERYTHING
from service.storage.database import Database
from service.storage.tables import StreamRow


async def stream_groups(database: Database) -> Mapping[str, frozenset[str]]:
    """→ name of a group → ids of its streams; ``*`` → all streams. Raises StoreError."""
    return await database.read(members)


def members(session: Session) -> Mapping[str, frozenset[str]]:
    groups: dict[str, set[str]] = {EVERYTHING: set()}
    for stream_id, names in session.execute(select(StreamRow.id, StreamRow.options["groups"])):
        for name in (EVERYTHING, *(names or ())):  # streams of older versions have no groups
            groups.setdefault(name, set()).add(stream_id)
    return {name: frozenset(ids) for name, ids in groups.items()}


def in_group(session: Session, name: str) -> ColumnElement[bool]:
    """→ the condition for streams of this group; an unknown one has none."""
    return StreamRow.id.in_(members(session).get(name, ()))
