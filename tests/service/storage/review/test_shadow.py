"""What a version that is tried would have said, on both databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.rights import ALL, Visible
from service.storage.review import shadow
from service.storage.review.shadow import ShadowStore
from service.storage.review.shadow_tables import ShadowDisagreementRow, ShadowScoreRow
from service.storage.store import Store
from service.versions.tally import ShadowTally
from tests.service.conftest import action
from tests.service.storage.test_store import numbered, with_store

ONE = (0, 0, 0, 0, 0, 0, 0, 0, 1, 0)
TALLY = ShadowTally("gym@2", 10.0, 4, 3, {"squat": ONE}, {"squat": ONE, "lunge": ONE}, {}, ("evt_1",))
A, B = "str_00000000000000aa", "str_00000000000000bb"
NOW = 1_777_000_000.0


def shadow_of(store: Store) -> ShadowStore:
    return ShadowStore(store._database)


def test_reports_of_an_hour_are_added_and_hours_and_streams_told_apart(url: str, tmp_path: Path):
    async def scenario(store: Store) -> Any:
        for at in (NOW, NOW + 5, NOW + 3600):
            await shadow_of(store).add(A, TALLY, at)
        await shadow_of(store).add(B, replace(TALLY, version="gym@3"), NOW)
        await shadow_of(store).add(B, TALLY, NOW)
        rows = await store._database.read(lambda session: len(session.scalars(select(ShadowScoreRow)).all()))
        seen = await shadow_of(store).of("gym@2", Visible({B: None}))
        return rows, await shadow_of(store).of("gym@2", ALL), set(seen)

    rows, found, seen = with_store(url, tmp_path, scenario)
    assert rows == 4
    assert set(found) == {A, B} and seen == {B}
    assert (found[A].clips, found[A].agreed, found[A].seconds) == (12, 9, 30.0)
    assert found[A].champion == {"squat": tuple(3 * each for each in ONE)}
    assert found[A].challenger["lunge"] == tuple(3 * each for each in ONE)


def test_trial_that_begins_anew_knows_nothing_of_the_one_before(url: str, tmp_path: Path):
    async def scenario(store: Store) -> Any:
        await shadow_of(store).add(A, TALLY, NOW)
        await shadow_of(store).add(A, replace(TALLY, version="gym@3"), NOW)
        await shadow_of(store).forget("gym@2")
        return await shadow_of(store).of("gym@2", ALL), set(await shadow_of(store).of("gym@3", ALL))

    assert with_store(url, tmp_path, scenario) == ({}, {A})


def test_hours_long_ago_are_deleted_and_disputed_events_are_bounded(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shadow, "MAX_DISAGREEMENTS", 3)

    async def scenario(store: Store) -> Any:
        await shadow_of(store).add(A, TALLY, NOW - 3600 * (shadow.KEEP_HOURS + 2))
        for number in range(6):
            await shadow_of(store).add(A, replace(TALLY, disagreed=(f"evt_{number}",)), NOW + number)
        await shadow_of(store).add(A, replace(TALLY, disagreed=("evt_5",)), NOW + 9)  # once more, which is no error

        def left(session: Any) -> Any:
            return sorted(session.scalars(select(ShadowDisagreementRow.event_id))), sorted(
                session.scalars(shadow.disputed())
            )

        return (await shadow_of(store).of("gym@2", ALL))[A].clips, await store._database.read(left)

    clips, (stored, told) = with_store(url, tmp_path, scenario)
    assert clips == 7 * TALLY.clips
    assert stored == told == ["evt_3", "evt_4", "evt_5"]


def test_events_of_some_models_since_a_time_are_told_with_their_highest_confidence(url: str, tmp_path: Path):
    async def scenario(store: Store) -> Any:
        messages = [
            action("evt_1", confidence=0.7, model="gym@2"),
            action("evt_1", "ended", confidence=0.9, model="gym@2"),
            action("evt_2", confidence=0.6, model="gym"),
        ]
        await store.append(numbered(*messages))
        since = 1_777_863_721.0  # before 2026-05-04T03:02:01Z
        return await shadow_of(store).events_since(["gym@2"], since - 100), await shadow_of(store).events_since(
            ["gym@2"], since + 100
        )

    assert with_store(url, tmp_path, scenario) == ([("str_0000000000000001", "push up", 0.9)], [])
