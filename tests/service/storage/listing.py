"""The events of a store, as routes list them."""

from __future__ import annotations

from service.rights import Visible
from service.storage.records import Cursor, EventFilter, EventRecord, Page
from service.storage.review.events import EventStore
from service.storage.store import Store


async def list_events(
    store: Store, wanted: EventFilter, visible: Visible, cursor: Cursor | None, limit: int
) -> Page[EventRecord]:
    page = await EventStore(store._database).list(wanted, visible, "local:local", cursor, limit)
    return Page(tuple(seen.event for seen in page.items), page.next_cursor)
