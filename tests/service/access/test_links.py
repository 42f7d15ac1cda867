"""Signed links: one resource, a day at most, ended by a change of keys."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from service.access.changes import Changes
from service.access.links import LONGEST_S, Links
from service.access.watch import AccessWatch
from service.errors_base import Forbidden
from service.storage.access.signing_keys import MAX_KEYS
from service.storage.database import Database
from service.storage.secret_box import KEY_NAME, SecretBox
from tests.support.fresh_database import fresh_url

CLIP = "/v1/media/inc_1/clip.mp4"
NOW = 1_777_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def with_links(folder: Path, work: Callable[[Links, Clock], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        database, clock = Database(fresh_url(folder)), Clock()
        await database.open()
        try:
            return await work(await Links.open(database, SecretBox.open(folder), clock), clock)
        finally:
            await database.close()

    return asyncio.run(main())


def query(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, strict_parsing=True))


def valid(links: Links, path: str, asked: dict[str, str]) -> bool:
    try:
        links.check(path, asked)
    except Forbidden:
        return False
    return True


def test_link_opens_its_own_resource_until_it_expires(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> None:
        asked = query(links.sign(CLIP, NOW + 60))
        assert valid(links, CLIP, asked)
        for other in ("/v1/media/inc_1/snapshot.jpg", "/v1/media/inc_2/clip.mp4", CLIP + "/", ""):
            assert not valid(links, other, asked)
        clock.now = NOW + 59
        assert valid(links, CLIP, asked)
        clock.now = NOW + 60
        assert not valid(links, CLIP, asked)

    with_links(tmp_path, work)


def test_changed_link_is_refused(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> None:
        asked = query(links.sign(CLIP, NOW + 60))
        later = str(int(asked["exp"]) + 1)
        wrong: list[dict[str, str]] = [
            {**asked, "exp": later},
            {**asked, "exp": asked["exp"] + ".0"},
            {**asked, "exp": "-1"},
            {**asked, "exp": "9" * 5000},
            {**asked, "exp": "١٢٣"},
            {**asked, "sig": asked["sig"][:-1]},
            {**asked, "sig": asked["sig"].swapcase()},
            {**asked, "sig": "ü"},
            {"exp": asked["exp"]},
            {"sig": asked["sig"]},
            {},
        ]
        assert [case for case in wrong if valid(links, CLIP, case)] == []

    with_links(tmp_path, work)


def test_link_is_made_for_a_day_at_most(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> None:
        assert valid(links, CLIP, query(links.sign(CLIP, NOW + LONGEST_S)))
        for expires_at in (NOW + LONGEST_S + 1, NOW, NOW - 1):
            with pytest.raises(ValueError, match="within 24 h"):
                links.sign(CLIP, expires_at)

    with_links(tmp_path, work)


def test_new_key_ends_links_or_lets_them_live_on(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> None:
        first = query(links.sign(CLIP, NOW + 60))
        await links.rotate(revoke=False)
        second = query(links.sign(CLIP, NOW + 60))
        assert first["sig"] != second["sig"]
        assert valid(links, CLIP, first) and valid(links, CLIP, second)
        await links.rotate()
        assert not valid(links, CLIP, first) and not valid(links, CLIP, second)
        assert valid(links, CLIP, query(links.sign(CLIP, NOW + 60)))

    with_links(tmp_path, work)


def test_links_outlive_a_restart_and_revoked_ones_do_not(tmp_path: Path):
    async def before(links: Links, clock: Clock) -> list[dict[str, str]]:
        ended = query(links.sign(CLIP, NOW + 60))
        await links.rotate()
        return [ended, query(links.sign(CLIP, NOW + 60))]

    async def after(links: Links, clock: Clock) -> list[bool]:
        return [valid(links, CLIP, asked) for asked in told]

    told = with_links(tmp_path, before)
    assert with_links(tmp_path, after) == [False, True]


def test_keys_are_sealed_and_bounded(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> str:
        oldest = query(links.sign(CLIP, NOW + 60))
        for _ in range(MAX_KEYS):
            clock.now += 1
            await links.rotate(revoke=False)
        assert not valid(links, CLIP, oldest)
        return links._keys[0].get_secret_value()

    key = with_links(tmp_path, work)
    with sqlite3.connect(tmp_path / "actoscope.db") as database:
        rows = database.execute("SELECT key_sealed FROM signing_keys").fetchall()
    assert len(rows) == MAX_KEYS
    assert not any(key in sealed for (sealed,) in rows)


def test_lost_secret_key_ends_links_and_makes_a_new_key(tmp_path: Path):
    async def before(links: Links, clock: Clock) -> dict[str, str]:
        return query(links.sign(CLIP, NOW + 60))

    async def after(links: Links, clock: Clock) -> tuple[bool, bool]:
        return valid(links, CLIP, told), valid(links, CLIP, query(links.sign(CLIP, NOW + 60)))

    told = with_links(tmp_path, before)
    (tmp_path / KEY_NAME).unlink()
    assert with_links(tmp_path, after) == (False, True)


def test_keys_that_another_process_changed_are_followed(tmp_path: Path):
    async def work(links: Links, clock: Clock) -> None:
        other = await Links.open(links._database, SecretBox.open(tmp_path), clock)
        watch = AccessWatch(links._database, Changes())
        watch.on_keys.append(other.follow)
        await watch.look()
        ended = query(links.sign(CLIP, NOW + 60))
        assert valid(other, CLIP, ended)
        await links.rotate()
        await watch.look()
        assert not valid(other, CLIP, ended)
        assert valid(other, CLIP, query(links.sign(CLIP, NOW + 60)))

    with_links(tmp_path, work)
