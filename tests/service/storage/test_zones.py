"""Zones of streams, and events by zone, on both databases."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.entities import Zone
from service.errors_base import Outdated
from service.rights import ALL
from service.storage.records import EventFilter
from service.storage.store import Store
from service.storage.zones import zones_tag
from tests.service.conftest import action
from tests.service.storage.listing import list_events
from tests.service.storage.test_store import STREAM, numbered, with_store

GATE = Zone("gate", ((0.1, 0.5), (0.6, 0.5), (0.6, 1.0)))
YARD = Zone('a "b\\ü', ((0.0, 0.0), (1.0, 0.0), (1.0, 1 / 3)))


def test_zones_come_back_as_they_were_put_in_and_go_with_their_stream(url: str, tmp_path: Path):
    async def put(store: Store) -> None:
        await store.add_stream(STREAM)
        assert await store.zones.of(STREAM.id) == ()
        assert await store.zones.put(STREAM.id, (GATE,))
        assert await store.zones.put(STREAM.id, (YARD, GATE))

    async def remove(store: Store) -> tuple[Any, ...]:
        before = await store.zones.of(STREAM.id)
        await store.delete_stream(STREAM.id)
        gone = await store.zones.of(STREAM.id), await store.zones.put(STREAM.id, (GATE,))
        await store.add_stream(STREAM)
        return before, gone, await store.zones.of(STREAM.id)

    with_store(url, tmp_path, put)
    assert with_store(url, tmp_path, remove) == ((YARD, GATE), ((), False), ())


def test_zones_are_replaced_only_where_they_are_those_expected(url: str, tmp_path: Path):
    async def scenario(store: Store) -> tuple[Zone, ...]:
        await store.add_stream(STREAM)
        assert await store.zones.put(STREAM.id, (GATE,), frozenset([zones_tag(())]))
        with pytest.raises(Outdated, match="read them again"):
            await store.zones.put(STREAM.id, (YARD,), frozenset([zones_tag(()), "*", f"W/{zones_tag((GATE,))}"]))
        kept = await store.zones.of(STREAM.id)
        assert await store.zones.put(STREAM.id, (YARD,), frozenset([zones_tag((GATE,))]))
        return kept

    assert with_store(url, tmp_path, scenario) == (GATE,)


def test_tag_tells_names_points_and_order_apart():
    variants = [(), (GATE,), (YARD,), (GATE, YARD), (YARD, GATE), (Zone("gate", GATE.polygon[::-1]),)]
    assert len({zones_tag(zones) for zones in variants}) == len(variants)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["gate"], {"evt_1", "evt_2"}),
        ([YARD.name], {"evt_2"}),
        (["gate", YARD.name], {"evt_1", "evt_2"}),
        (["GATE"], set()),
        (["gat", "%", '"gate"', "null"], set()),
        ([], {"evt_1", "evt_2", "evt_3", "evt_4"}),
    ],
)
def test_event_is_found_by_any_zone_that_any_of_its_messages_named(
    url: str, tmp_path: Path, wanted: list[str], found: set[str]
):
    old = action("evt_4")
    old.pop("zones", None)  # as an older version sent it

    async def scenario(store: Store) -> set[str]:
        messages = (
            action("evt_1", zones=[]),
            action("evt_1", "updated", zones=["gate"]),
            action("evt_1", "ended", zones=[]),
            action("evt_2", zones=["gate"]),
            action("evt_2", "updated", zones=[YARD.name, "gate"]),
            action("evt_3", zones=[]),
            old,
        )
        await store.append(numbered(*messages))
        page = await list_events(store, EventFilter(zones=wanted), ALL, None, 50)
        zones = {event.id: event.zones for event in page.items}
        assert zones.get("evt_2", ["gate", YARD.name]) == ["gate", YARD.name]
        assert (zones.get("evt_3"), zones.get("evt_4")) == (None, None)
        return set(zones)

    assert with_store(url, tmp_path, scenario) == found
