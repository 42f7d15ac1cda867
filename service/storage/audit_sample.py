"""Which events belong to a camera's audit sample: drawn by chance, so that what is measured on them is no flattery.

People are drawn, not single events: whoever is in the sample is so with every event, so that no picture of a person is
measured on that a network has learnt another of. The draw is a hash, the same in every process. At first it is
generous: a camera's sample has to become something before it can prove anything, so until it has ``FIRST`` events the
chance of a new person is ``FIRST_SHARE``, whatever the share asked for; nobody's actions change it.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.storage.tables import EventRow

FIRST, FIRST_SHARE = 20, 0.2


def draw(stream_id: str, track_id: int) -> float:
    """→ 0 ≤ number < 1, always the same for this person."""
    digest = hashlib.sha256(f"audit sample {stream_id} {track_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def in_sample(session: Session, stream_id: str, track_id: int, share: float) -> bool:
    """Whether a new event of this person is in its camera's sample. ``share``: of people, 0: there is no sample."""
    if share <= 0:
        return False
    sample = select(EventRow.track_id).where(EventRow.stream_id == stream_id, EventRow.audit.is_(True))
    drawn = draw(stream_id, track_id)
    if drawn < share or session.scalar(sample.where(EventRow.track_id == track_id).limit(1)) is not None:
        return True
    known = session.scalar(select(func.count()).select_from(sample.limit(FIRST).subquery())) or 0
    return known < FIRST and drawn < FIRST_SHARE
