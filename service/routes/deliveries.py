"""/v1/deliveries: the messages of the outbox."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.bodies import Items
from service.errors import problems
from service.errors_base import not_found
from service.rights import needs
from service.routes.context import Here
from service.routes.streams import parse_cursor
from service.sinks.bodies import Delivery, DeliveryQuery, to_delivery
from service.storage.deliveries import DeliveryFilter

router = APIRouter(prefix="/v1/deliveries", tags=["sinks"])

_ID = re.compile(r"msg_([0-9]{1,18})", re.ASCII)


def delivery_id(delivery_id: Annotated[str, Path(description="id of a message", examples=["msg_17"])]) -> int:
    """Raises NotFound for a text that cannot be an id."""
    if (match := _ID.fullmatch(delivery_id)) is None:
        raise not_found("delivery", delivery_id)
    return int(match.group(1))


DeliveryId = Annotated[int, Depends(delivery_id)]


@router.get("", responses=problems(422))
@needs("deliveries:read")
async def list_deliveries(query: Annotated[DeliveryQuery, Query()], here: Here) -> Items[Delivery]:
    """Newest first. Delivered messages are kept for 7 days, others for 30."""
    wanted = DeliveryFilter(tuple(query.state), tuple(query.sink), tuple(query.incident))
    page = await here.sinks.deliveries(wanted, parse_cursor(query.cursor), query.limit)
    return Items(items=[to_delivery(record) for record in page.items], next_cursor=page.next_cursor)


@router.post("/{delivery_id}/retry", status_code=202, responses=problems(404, 409))
@needs("deliveries:retry")
async def retry_delivery(delivery_id: DeliveryId, here: Here) -> Delivery:
    """Sends a message that is dead, expired or waits, now and with all its attempts again."""
    return to_delivery(await here.sinks.retry(delivery_id))
