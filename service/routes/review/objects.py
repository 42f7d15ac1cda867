"""The event or correction that a path names, found where whoever asks may see it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from service.errors_base import not_found
from service.routes.context import Here, Who
from service.routes.objects import check_may
from service.storage.review.events import reviewer
from service.storage.review.records import SeenEvent, VerdictRecord

_EVENT = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_CORRECTION = re.compile(r"ver_[0-9a-f]{16}")


async def find_event(
    event_id: Annotated[str, Path(description="id of an event", examples=["evt_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> SeenEvent:
    """Raises NotFound and Forbidden."""
    known = _EVENT.fullmatch(event_id)
    found = await here.review.events.get(event_id, who.visible, reviewer(who)) if known else None
    if found is None:
        raise not_found("event", event_id)
    check_may(connection, who, found.event.stream_id)
    return found


async def find_correction(
    correction_id: Annotated[str, Path(description="id of a correction", examples=["ver_0123456789abcdef"])],
    here: Here,
    who: Who,
    connection: HTTPConnection,
) -> VerdictRecord:
    """Raises NotFound and Forbidden."""
    known = _CORRECTION.fullmatch(correction_id)
    found = await here.review.verdicts.get(correction_id, who.visible) if known else None
    if found is None:
        raise not_found("correction", correction_id)
    check_may(connection, who, found.stream_id)
    return found


FoundEvent = Annotated[SeenEvent, Depends(find_event)]
FoundCorrection = Annotated[VerdictRecord, Depends(find_correction)]
