"""/v1/events: what people did."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from service.bodies import Event, EventQuery, Items, to_event
from service.errors import problems
from service.routes.context import Here
from service.routes.streams import parse_cursor
from service.storage.records import EventFilter

router = APIRouter(prefix="/v1/events", tags=["events"])


def unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


@router.get("", responses=problems(422))
async def list_events(query: Annotated[EventQuery, Query()], here: Here) -> Items[Event]:
    """One item for each action of a person, newest start first; those that still go on have no ``end_s``."""
    wanted = EventFilter(
        streams=query.stream,
        actions=query.action,
        tracks=query.track,
        since=unix(query.since),
        until=unix(query.until),
        min_confidence=query.min_confidence,
    )
    page = await here.store.list_events(wanted, parse_cursor(query.cursor), query.limit)
    return Items(items=[to_event(record) for record in page.items], next_cursor=page.next_cursor)
