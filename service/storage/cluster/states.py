"""What a standby knows of streams: what the log says of each last. Functions of a Session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.storage.tables import MessageRow, StreamRow


@dataclass(frozen=True, slots=True)
class Told:
    """``states``: of each stream that there is, its newest ``stream`` message, in the log up to number ``upto``."""

    upto: int = 0
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def told_by(session: Session, before: Told) -> Told:
    """→ what is known now. Only what was stored since ``before`` is read: the log may have millions of rows."""
    upto = session.scalar(select(func.max(MessageRow.seq))) or 0
    if upto < before.upto:  # another log: one that was put back
        before = Told()
    new = (MessageRow.type == "stream", MessageRow.seq > before.upto, MessageRow.seq <= upto)
    newest = select(func.max(MessageRow.seq)).where(*new).group_by(MessageRow.stream_id)
    bodies = session.scalars(select(MessageRow.body).where(MessageRow.seq.in_(newest)))
    states = {**before.states, **{body["stream_id"]: body for body in bodies}}
    return Told(upto, {one: states[one] for one in session.scalars(select(StreamRow.id)) if one in states})
