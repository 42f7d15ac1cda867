"""/v1/corrections: what people said of events, with the clips that networks learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from service.bodies import Items, PageQuery, Text
from service.errors import problems
from service.errors_base import NotFound
from service.rights import needs
from service.routes.context import Here, Who
from service.routes.files import file_answer
from service.routes.review.objects import FoundCorrection
from service.routes.streams import parse_cursor
from service.storage.review.records import CorrectionFilter, VerdictRecord
from service.storage.review.verdicts import STORED
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/corrections", tags=["corrections"])

Split = Literal["train", "audit"]
ClipState = Literal["stored", "pending", "none"]


class CorrectionQuery(PageQuery):
    stream: list[Text] = Field(default_factory=list, max_length=100, description="stream id; may be repeated")
    label: list[Text] = Field(default_factory=list, max_length=100, description="what it was; may be repeated")
    split: list[Split] = Field(default_factory=list, max_length=2, description="may be repeated")
    clip: list[ClipState] = Field(default_factory=list, max_length=3, description="may be repeated")


class Correction(BaseModel):
    """A verdict that stands. ``said``: the network's label. ``split`` audit: networks are measured on it alone."""

    id: str = Field(examples=["ver_0123456789abcdef"])
    event_id: str = Field(examples=["evt_0123456789abcdef"])
    stream_id: str = Field(examples=["str_0123456789abcdef"])
    track_id: int = Field(examples=[7])
    label: str | None = Field(description="null: nobody knows", examples=["squat"])
    verdict: Literal["right", "wrong", "unsure"]
    said: str = Field(examples=["push up"])
    by: str = Field(examples=["anna"])
    at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    split: Split
    clip: ClipState
    clip_reason: str = Field(description="why there is none (yet)", examples=["nothing was recorded in that time"])


class StreamCorrections(BaseModel):
    """Clips that are stored, label → number."""

    id: str = Field(examples=["str_0123456789abcdef"])
    name: str = Field(examples=["Gate"])
    train: dict[str, int] = Field(examples=[{"squat": 12}])
    audit: dict[str, int] = Field(examples=[{"squat": 2}])


class Summary(BaseModel):
    streams: list[StreamCorrections]


@router.get("", responses=problems(422))
@needs("events:read")
async def list_corrections(query: Annotated[CorrectionQuery, Query()], here: Here, who: Who) -> Items[Correction]:
    """Newest first; of each event the verdict that stands."""
    wanted = CorrectionFilter(query.stream, query.label, query.split, query.clip)
    page = await here.review.verdicts.list(wanted, who.visible, parse_cursor(query.cursor), query.limit)
    return Items(items=[to_correction(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/summary")
@needs("events:read")
async def summary(here: Here, who: Who) -> Summary:
    """How many clips there are to train and to measure with; of deleted streams too."""
    names = await here.review.verdicts.names(who.visible)
    counts = await here.review.verdicts.counts(who.visible)
    return Summary(
        streams=[_counted(key, name, counts) for key, name in sorted(names.items(), key=lambda each: each[1])]
    )


_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"description": "the whole file", "content": {"video/mp4": {}}},
    206: {"description": "the range asked for", "content": {"video/mp4": {}}},
    304: {"description": "the client has this very file"},
    **problems(404, 416),
}


@router.get("/{correction_id}/clip.mp4", response_class=FileResponse, responses=_VIDEO)
@needs("events:read")
async def clip(correction: FoundCorrection, here: Here, request: Request) -> Response:
    """The crops of one person that networks are given. Understands ``Range``."""
    if correction.clip != STORED:
        raise NotFound("this correction has no clip, or not yet")
    return file_answer(request, here.review.keeper.folder.clip(correction.id), "video/mp4")


def to_correction(record: VerdictRecord) -> Correction:
    fields = {name: getattr(record, name) for name in Correction.model_fields if name != "at"}
    return Correction(**fields, at=rfc3339(record.at))


def _counted(stream_id: str, name: str, counts: Sequence[tuple[str, str, str, int]]) -> StreamCorrections:
    of_stream = [each[1:] for each in counts if each[0] == stream_id]
    train, audit = ({label: n for part, label, n in of_stream if part == split} for split in ("train", "audit"))
    return StreamCorrections(id=stream_id, name=name, train=train, audit=audit)
