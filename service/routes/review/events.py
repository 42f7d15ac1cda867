"""/v1/events: what people did, and what others say of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from service.bodies import Items
from service.errors import problems
from service.errors_base import invalid
from service.local_time.time_of_day import TimeOfDay
from service.review.desk import Judgement
from service.rights import needs
from service.routes.context import Context, Here, Who
from service.routes.review.bodies import (
    Event,
    EventQuery,
    ManyReviewed,
    ReviewedRequest,
    Verdict,
    VerdictRequest,
    to_event,
    to_verdict,
)
from service.routes.review.objects import FoundEvent
from service.routes.streams import parse_cursor
from service.routes.times import unix, zone_of
from service.storage.records import EventFilter
from service.storage.review.events import reviewer

router = APIRouter(prefix="/v1/events", tags=["events"])


def to_filter(query: EventQuery, here: Context) -> EventFilter:
    day = None if query.time_of_day is None else TimeOfDay.parse(query.time_of_day)
    return EventFilter(
        streams=query.stream,
        actions=query.action,
        tracks=query.track,
        zones=query.zone,
        since=unix(query.since),
        until=unix(query.until),
        min_confidence=query.min_confidence,
        max_confidence=query.max_confidence,
        min_duration_s=query.min_duration_s,
        models=query.model,
        verdicts=query.verdict,
        rules=query.rule,
        reviewed=query.reviewed,
        audit=query.audit_sample,
        time_of_day=None if day is None else (day, zone_of(query.timezone, here.settings)),
    )


@router.get("", responses=problems(422))
@needs("events:read")
async def list_events(query: Annotated[EventQuery, Query()], here: Here, who: Who) -> Items[Event]:
    """One item for each action of a person, newest start first; those that still go on have no ``end_s``."""
    wanted, events, cursor = to_filter(query, here), here.review.events, parse_cursor(query.cursor)
    if query.order == "newest":
        page = await events.list(wanted, who.visible, reviewer(who), cursor, query.limit)
    else:
        thresholds = await here.review.thresholds()
        try:
            page = await events.to_review(wanted, who.visible, reviewer(who), thresholds, (cursor, query.limit))
        except ValueError as error:
            raise invalid("cursor", str(error).removeprefix("expected "), query.cursor) from None
    return Items(items=[to_event(seen) for seen in page.items], next_cursor=page.next_cursor)


@router.get("/{event_id}", responses=problems(404))
@needs("events:read")
async def get_event(event: FoundEvent) -> Event:
    return to_event(event)


@router.put("/{event_id}/verdict", responses=problems(403, 404, 422))
@needs("events:label")
async def put_verdict(event: FoundEvent, body: VerdictRequest, here: Here, who: Who) -> Verdict:
    """Everybody sees it. Its clip is cut from the recording as soon as that is on disk."""
    said = Judgement(body.verdict, body.label, body.start_s, body.end_s)
    return to_verdict(await here.review.judge(event.event, said, who))


@router.get("/{event_id}/verdicts", responses=problems(404))
@needs("events:read")
async def list_verdicts(event: FoundEvent, here: Here) -> Items[Verdict]:
    """All versions, newest first."""
    return Items(
        items=[to_verdict(each) for each in await here.review.verdicts.versions(event.event.id)], next_cursor=None
    )


@router.put("/{event_id}/reviewed", status_code=204, responses=problems(404, 422))
@needs("events:review")
async def mark_reviewed(event: FoundEvent, body: ReviewedRequest, here: Here, who: Who) -> None:
    """For whoever asks only."""
    await here.review.events.mark([event.event.id], body.reviewed, who.visible, reviewer(who))


@router.post("/reviewed", status_code=204, responses=problems(422))
@needs("events:review")
async def mark_many_reviewed(body: ManyReviewed, here: Here, who: Who) -> None:
    """For whoever asks only. One that is not there leaves all as they were."""
    unknown = await here.review.events.mark(body.ids, body.reviewed, who.visible, reviewer(who))
    if unknown is not None:
        raise invalid("ids", "events that there are", unknown)
