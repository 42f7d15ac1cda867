"""/v1/audit: who did what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from service.bodies import Items, PageQuery, Text
from service.errors import problems
from service.errors_base import invalid
from service.rights import needs
from service.routes.context import Here
from service.routes.streams import parse_cursor
from service.routes.times import unix
from service.storage.access.audit import AuditFilter, AuditRecord, list_audit
from service.wire_messages import rfc3339

router = APIRouter(prefix="/v1/audit", tags=["access"])

Result = Literal["ok", "refused", "failed"]


class AuditQuery(PageQuery):
    principal: list[Text] = Field(
        default_factory=list, max_length=100, description="`kind:id`, id or name; may be repeated"
    )
    action: list[Text] = Field(default_factory=list, max_length=100, description="as `streams:write`; may be repeated")
    result: list[Result] = Field(default_factory=list, max_length=3, description="may be repeated")
    since: AwareDatetime | None = Field(None, description="at this time or later (RFC 3339)")
    until: AwareDatetime | None = Field(None, description="before this time (RFC 3339)")


class AuditItem(BaseModel):
    """One row. ``hash`` covers it and the hash of the one before; `actoscope audit verify` checks the chain."""

    id: int = Field(examples=[17])
    at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    principal: str = Field(description="`-`: nobody who is known", examples=["user:usr_0123456789abcdef anna"])
    address: str = Field(examples=["192.0.2.7"])
    action: str = Field(description="the permission that was used, or login, denied …", examples=["streams:write"])
    object: str = Field(examples=["str_0123456789abcdef"])
    result: Result
    detail: dict[str, Any] = Field(examples=[{"method": "PATCH", "status": 200}])
    hash: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])


@router.get("", responses=problems(422))
@needs("audit:read")
async def read_audit(query: Annotated[AuditQuery, Query()], here: Here) -> Items[AuditItem]:
    """Newest first."""
    wanted = AuditFilter(query.principal, query.action, query.result, since=unix(query.since), until=unix(query.until))
    try:
        page = await list_audit(here.database, wanted, parse_cursor(query.cursor), query.limit)
    except ValueError as error:
        raise invalid("cursor", str(error).removeprefix("expected "), query.cursor) from None
    return Items(items=[to_item(record) for record in page.items], next_cursor=page.next_cursor)


def to_item(record: AuditRecord) -> AuditItem:
    return AuditItem(**{name: getattr(record, name) for name in _SAME}, at=rfc3339(record.at))


_SAME = ("id", "principal", "address", "action", "object", "result", "detail", "hash")
