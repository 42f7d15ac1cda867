"""/v1/search: words that people type, as filters of /v1/events."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints

from service.bodies import Request
from service.errors import problems
from service.rights import Principal, needs
from service.routes.context import Context, Here, Who
from service.routes.times import Timezone, zone_of
from service.search.days import Now
from service.search.names import Vocabulary
from service.search.parser import MAX_TEXT, understand

router = APIRouter(prefix="/v1/search", tags=["events"])


class SearchQuery(Request):
    q: Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        description="as `fighting gate last night`, `wrong walking over 5 s friday 22-6`"
    )
    timezone: Timezone | None = Field(None, description="IANA name; default: the service's, else UTC")


class Read(BaseModel):
    words: str = Field(examples=["last night"])
    means: str = Field(examples=["Sun 2026-05-03, night (20:00-06:00)"])


class SearchAnswer(BaseModel):
    """``query`` as `GET /v1/events` takes it."""

    query: dict[str, list[str]] = Field(examples=[{"action": ["Fighting"], "stream": ["str_0123456789abcdef"]}])
    understood: list[Read]
    rest: str = Field(description="words that mean nothing here", examples=[""])


@router.get("", responses=problems(422))
@needs("events:read")
async def search(query: Annotated[SearchQuery, Query()], here: Here, who: Who) -> SearchAnswer:
    """Knows labels, the names of streams, zones and rules, days and times, verdicts, durations and confidences."""
    now = Now(time.time(), zone_of(query.timezone, here.settings))
    found = understand(query.q, await _vocabulary(here, who), now)
    read = [Read(words=given, means=means) for given, means in found.words]
    return SearchAnswer(query=found.query, understood=read, rest=found.rest)


async def _vocabulary(here: Context, who: Principal) -> Vocabulary:
    """Names of what whoever asks may see."""
    streams = await here.store.all_streams(who.visible)
    zones = [zone.name for each in streams for zone in await here.store.zones.of(each.id)]
    rules = [rule for rule in await here.alerts.rules.all() if rule.seen_by(who.visible)]
    cards = await here.catalogue.cards()
    labels = [label for card in cards.values() for label in card.labels]
    return Vocabulary(
        {
            "stream": [(each.name, each.id) for each in streams],
            "zone": [(name, name) for name in dict.fromkeys(zones)],
            "rule": [(rule.name, rule.id) for rule in rules],
            "action": [(label, label) for label in dict.fromkeys(labels)],
        }
    )
