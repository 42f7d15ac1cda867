"""Users, sessions and tokens, on SQLite and on PostgreSQL."""

from dataclasses import replace
from typing import Any

import pytest

from service.errors_base import Conflict, NotFound
from service.rights import Grant, Role, Scope
from service.storage.access import sessions as sessions_module
from service.storage.access import tokens as tokens_module
from service.storage.access import users as users_module
from service.storage.access.sessions import SessionRecord, Sessions
from service.storage.access.state import read_access_state
from service.storage.access.tokens import TokenRecord, Tokens
from service.storage.access.users import UserRecord, Users
from service.storage.database import Database
from tests.service.storage.conftest import with_database

ANNA = UserRecord("usr_1", "Anna", "anna", "$hash", (Grant(Role.ADMIN),), True, 100.5, 100.5)
BERT = replace(
    ANNA, id="usr_2", name="Bert", key="bert", created_at=101.0, grants=(Grant(Role.VIEWER, "group:yard", 5.25),)
)
TOKEN = TokenRecord(
    "1a2b3c4d", "HA", "f" * 64, frozenset({Scope.READ, Scope.LABEL}), BERT.grants, "usr_1", 100.0, 900.0
)


def anything(_: Any) -> None:
    """Nothing speaks against it."""


def test_users_are_kept_as_they_were_given(url: str):
    async def work(database: Database) -> None:
        users = Users(database)
        await users.add(BERT, anything)
        await users.add(ANNA, anything)
        assert await users.all() == (ANNA, BERT)
        assert await users.get("usr_2") == BERT
        assert (await users.named("anna"), await users.named("Anna")) == (ANNA, None)
        with pytest.raises(Conflict, match="Anna already"):
            await users.add(replace(ANNA, id="usr_3"), anything)
        with pytest.raises(Conflict, match="Anna already"):
            await users.change("usr_2", lambda user: replace(user, name="Anna", key="anna"), anything)
        assert await users.get("usr_2") == BERT
        with pytest.raises(NotFound):
            await users.get("usr_9")

    with_database(url, work)


def test_change_ends_sessions_of_that_user_alone_and_a_check_that_fails_changes_nothing(url: str):
    async def work(database: Database) -> None:
        users, sessions = Users(database), Sessions(database)
        for user in (ANNA, BERT):
            await users.add(user, anything)
            await sessions.add(SessionRecord(f"s{user.id}", user.id, 200.0, 200.0), user, 0, 0)

        def refuse(after: Any) -> None:
            assert [user.enabled for user in after] == [False, True]
            raise Conflict("scripted")

        with pytest.raises(Conflict, match="scripted"):
            await users.change("usr_1", lambda user: replace(user, enabled=False), refuse)
        assert await sessions.find("susr_1") is not None
        same = await users.change("usr_1", lambda user: replace(user, changed_at=300.0), refuse)
        assert same == ANNA  # nothing was changed
        changed = await users.change("usr_1", lambda user: replace(user, enabled=False, changed_at=300.0), anything)
        assert await users.get("usr_1") == changed == replace(ANNA, enabled=False, changed_at=300.0)
        assert await sessions.find("susr_1") is None
        assert await sessions.find("susr_2") == (SessionRecord("susr_2", "usr_2", 200.0, 200.0), BERT)
        await users.remove("usr_2", anything)
        assert await sessions.find("susr_2") is None
        with pytest.raises(NotFound):
            await users.remove("usr_2", anything)

    with_database(url, work)


def test_users_are_bounded(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(users_module, "MAX_USERS", 1)

    async def work(database: Database) -> None:
        await Users(database).add(ANNA, anything)
        with pytest.raises(Conflict, match="limit"):
            await Users(database).add(BERT, anything)

    with_database(url, work)


def test_sessions_of_a_user_are_bounded_and_those_that_are_over_go(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions_module, "MAX_OF_A_USER", 2)

    async def work(database: Database) -> None:
        sessions = Sessions(database)
        await Users(database).add(ANNA, anything)
        for number in range(4):
            await sessions.add(SessionRecord(f"s{number}", "usr_1", 200.0 + number, 200.0 + number), ANNA, 0, 0)
        assert [await sessions.find(f"s{number}") is not None for number in range(4)] == [False, False, True, True]
        await sessions.used("s2", 500.0)
        await sessions.add(SessionRecord("s4", "usr_1", 600.0, 600.0, "192.0.2.1", "x" * 999), ANNA, 0, 300.0)
        assert [await sessions.find(f"s{number}") is not None for number in (2, 3, 4)] == [True, False, True]
        found = await sessions.find("s4")
        assert found is not None and (found[0].address, found[0].agent) == ("192.0.2.1", "x" * 200)
        await sessions.remove("s4")
        assert await sessions.find("s4") is None
        for known in (replace(ANNA, password_hash="$old"), replace(ANNA, enabled=False), BERT):
            assert not await sessions.add(SessionRecord("s5", known.id, 700.0, 700.0), known, 0, 0)
        assert await sessions.find("s5") is None

    with_database(url, work)


def test_tokens_are_kept_with_their_maker_until_long_after_their_end(url: str, monkeypatch: pytest.MonkeyPatch):
    async def work(database: Database) -> None:
        tokens = Tokens(database)
        await Users(database).add(ANNA, anything)
        await tokens.add(TOKEN, 0)
        assert await tokens.find(TOKEN.id) == (TOKEN, ANNA)
        await tokens.used(TOKEN.id, 150.0)
        used = replace(TOKEN, used_at=150.0)
        revoked = await tokens.revoke(TOKEN.id, 160.0)
        assert revoked == replace(used, revoked_at=160.0)
        assert await tokens.revoke(TOKEN.id, 170.0) == revoked
        other = replace(TOKEN, id="00000000", made_by="local", expires_at=None)
        await tokens.add(other, 160.0)
        assert await tokens.find("00000000") == (other, None)
        assert await tokens.all() == (other, revoked)
        await tokens.add(replace(other, id="00000001"), 161.0)  # forgets the one that was revoked
        assert [token.id for token in await tokens.all()] == ["00000000", "00000001"]
        with pytest.raises(NotFound):
            await tokens.revoke(TOKEN.id, 170.0)
        monkeypatch.setattr(tokens_module, "MAX_TOKENS", 2)
        with pytest.raises(Conflict, match="limit"):
            await tokens.add(replace(other, id="00000002"), 0)

    with_database(url, work)


def test_state_shows_every_change_of_rights(url: str):
    async def work(database: Database) -> None:
        seen = [await read_access_state(database)]

        async def look() -> set[Any]:
            seen.append(await read_access_state(database))
            return {key for key in seen[-1].keys() | seen[-2].keys() if seen[-1].get(key) != seen[-2].get(key)}

        users, tokens = Users(database), Tokens(database)
        await users.add(ANNA, anything)
        assert await look() == {("user", "usr_1")}
        await tokens.add(TOKEN, 0)
        assert await look() == {("token", TOKEN.id)}
        await users.change("usr_1", lambda user: replace(user, grants=(), changed_at=200.0), anything)
        assert await look() == {("user", "usr_1")}
        await tokens.used(TOKEN.id, 5.0)
        assert await look() == set()
        await tokens.revoke(TOKEN.id, 5.0)
        assert await look() == {("token", TOKEN.id)}
        await users.remove("usr_1", anything)
        assert await look() == {("user", "usr_1")}

    with_database(url, work)
