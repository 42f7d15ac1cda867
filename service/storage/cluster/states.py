"""What a standby knows of streams: what the log says of each last. Functions of a Session."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.storage.tables import MessageRow


def newest_states(session: Session) -> dict[str, dict[str, Any]]:
    """→ stream → its newest ``stream`` message."""
    newest = select(func.max(MessageRow.seq)).where(MessageRow.type == "stream").group_by(MessageRow.stream_id)
    bodies = session.scalars(select(MessageRow.body).where(MessageRow.seq.in_(newest)))
    return {body["stream_id"]: body for body in bodies}
