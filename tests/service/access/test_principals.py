"""Who asks: sessions and tokens on a clock of the test's own."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from service.access.accounts import Actor, UserChange
from service.access.logins import Visitor
from service.errors_base import Conflict, Forbidden, InvalidRequest, NotFound, TooManyTries, Unauthorized
from service.rights import ALL, LOCAL, Grant, Principal, Role, Scope
from service.storage.access.state import AccessState, read_access_state
from service.storage.database import Database, StoreError
from tests.service.access.desk import ADDRESS, BY, PASSWORD, Desk, at_desk, sqlite

HOUR, DAY = 3600.0, 86400.0
HERE = Visitor(ADDRESS)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite(tmp_path)


async def stranger(desk: Desk, cookie: str | None = None, token: object = None) -> str:
    with pytest.raises(Unauthorized) as refused:
        await desk.who(cookie, token)
    return str(refused.value)


def test_session_is_its_user_with_what_was_granted(url: str):
    async def work(desk: Desk) -> None:
        user = await desk.add_user()
        bert = await desk.add_user("Bert", Role.OPERATOR, "str_0123456789abcdef")
        anna = await desk.who(await desk.log_in("ANNA"))
        assert anna == Principal("user", user.id, "anna", Role.ADMIN, visible=ALL, until=anna.until)
        who = await desk.who(await desk.log_in("ｂｅｒｔ"))
        assert (who.id, who.role, dict(who.roles)) == (bert.id, None, {"str_0123456789abcdef": Role.OPERATOR})
        assert who.visible.sees("str_0123456789abcdef") and not who.visible.sees("str_1")
        assert "nobody is logged in" in await stranger(desk)
        assert "nobody is logged in" in await stranger(desk, "x" * 43)

    at_desk(url, work)


def test_session_ends_a_day_after_its_last_use(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user()
        cookie = await desk.log_in()
        for _ in range(3):
            desk.clock.now += DAY - 60
            assert (await desk.who(cookie)).name == "anna"
        desk.clock.now += DAY
        await stranger(desk, cookie)

    at_desk(url, work)


def test_session_ends_after_thirty_days_however_much_it_is_used(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user()
        cookie = await desk.log_in()
        for _ in range(59):
            desk.clock.now += DAY / 2
            await desk.who(cookie)
        desk.clock.now += DAY / 2 - 1
        await desk.who(cookie)
        desk.clock.now += 1
        await stranger(desk, cookie)

    at_desk(url, work)


@pytest.mark.parametrize(
    "change",
    [
        UserChange(password="another password"),
        UserChange(grants=(Grant(Role.VIEWER),)),
        UserChange(enabled=False),
        UserChange(name="anne"),
    ],
    ids=lambda change: change.fields[0],
)
def test_any_change_ends_the_sessions_of_that_user_alone(url: str, change: UserChange):
    async def work(desk: Desk) -> None:
        await desk.add_user("root")
        user = await desk.add_user()
        root, cookies = await desk.log_in("root"), [await desk.log_in(), await desk.log_in()]
        desk.clock.now += 1
        with desk.changes.subscribed() as bell:
            await desk.accounts.change(BY, user.id, change)
            assert bell.is_set()
        for cookie in cookies:
            await stranger(desk, cookie)
        assert (await desk.who(root)).name == "root"

    at_desk(url, work)


def test_disabled_user_cannot_log_in_and_is_told_nothing_more(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user("root")
        user = await desk.add_user()
        await desk.accounts.change(BY, user.id, UserChange(enabled=False))
        said = []
        for name, password in (("anna", PASSWORD), ("anna", "wrong"), ("nobody", PASSWORD)):
            with pytest.raises(Unauthorized) as refused:
                await desk.log_in(name, password)
            said.append(str(refused.value))
        assert set(said) == {"the name or the password is wrong"}

    at_desk(url, work)


def test_own_password_is_changed_with_the_old_one_and_goes_on_in_a_new_session(url: str):
    async def work(desk: Desk) -> None:
        user = await desk.add_user()
        old, other = await desk.log_in(), await desk.log_in()
        who = await desk.who(old)
        with pytest.raises(Unauthorized, match="old password"):
            await desk.logins.change_password(who, "wrong", "staple by staple", HERE)
        with pytest.raises(InvalidRequest, match="12 to 256"):
            await desk.logins.change_password(who, PASSWORD, "short", HERE)
        new = await desk.logins.change_password(who, PASSWORD, "staple by staple", HERE)
        for cookie in (old, other):
            await stranger(desk, cookie)
        assert (await desk.who(new)).id == user.id
        with pytest.raises(Unauthorized):
            await desk.log_in()
        await desk.log_in(password="staple by staple")
        with pytest.raises(Conflict, match="this is a local"):
            await desk.logins.change_password(LOCAL, "", "staple by staple", HERE)

    at_desk(url, work)


@pytest.mark.parametrize("change", [UserChange(password="another password"), UserChange(grants=(Grant(Role.VIEWER),))])
def test_password_that_was_right_begins_no_session_after_a_change(url: str, change: UserChange):
    """An admin changes the user while the old password is being compared."""

    async def work(desk: Desk) -> None:
        await desk.add_user("root")
        user = await desk.add_user()
        desk.clock.now += 1
        principal, compare = await desk.who(await desk.log_in()), desk.passwords.matches

        async def compare_slowly(password: str, hashed: str | None) -> bool:
            same = await compare(password, hashed)
            await desk.accounts.change(BY, user.id, change)
            desk.clock.now += 1
            return same

        desk.passwords.matches = compare_slowly  # type: ignore[method-assign]
        with pytest.raises(Unauthorized, match="changed at this moment"):
            await desk.log_in()
        desk.passwords.matches = compare  # type: ignore[method-assign]
        await desk.accounts.change(BY, user.id, UserChange(password=PASSWORD, grants=(Grant(Role.ADMIN),)))
        desk.passwords.matches = compare_slowly  # type: ignore[method-assign]
        with pytest.raises(Conflict, match="changed at this moment"):
            await desk.logins.change_password(principal, PASSWORD, "a thief's password", HERE)

    at_desk(url, work)


def test_logout_ends_one_session(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user()
        one, other = await desk.log_in(), await desk.log_in()
        with desk.changes.subscribed() as bell:
            await desk.logins.logout(one, await desk.who(one), HERE)
            assert bell.is_set()
        await stranger(desk, one)
        await desk.who(other)

    at_desk(url, work)


def test_token_is_what_it_was_made_for_until_it_ends(url: str):
    async def work(desk: Desk) -> None:
        text, record = await desk.add_token(Scope.READ, role=Role.ADMIN, days=2)
        who = await desk.who(token=text)
        assert (who.kind, who.id, who.scopes) == ("token", text.id, frozenset({Scope.READ}))
        assert who.may("events:read") and not who.may("streams:write")
        desk.clock.now += 2 * DAY - 1
        await desk.who(token=text)
        desk.clock.now += 1
        assert "expired" in await stranger(desk, token=text)
        for_ever, _ = await desk.add_token(days=None)
        desk.clock.now += 5000 * DAY
        await desk.who(token=for_ever)
        await desk.tokens.revoke(BY, for_ever.id)
        assert "revoked" in await stranger(desk, token=for_ever)
        wrong = replace(for_ever, secret="A" * 43)
        for unknown in (wrong, replace(text, id="00000000"), "acto_", "", str(for_ever).lower()):
            assert "not known, has expired or was revoked" in await stranger(desk, token=unknown)
        assert record.expires_at is not None

    at_desk(url, work)


def test_token_ends_with_its_makers_right_to_make_it(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user("root")
        anna = await desk.add_user()
        text, _ = await desk.add_token(by=Actor(await desk.who(await desk.log_in()), ADDRESS))
        await desk.who(token=text)
        for change, back in (
            (UserChange(enabled=False), UserChange(enabled=True)),
            (UserChange(grants=(Grant(Role.OPERATOR),)), UserChange(grants=(Grant(Role.ADMIN),))),
        ):
            await desk.accounts.change(BY, anna.id, change)
            assert "no admin" in await stranger(desk, token=text)
            await desk.accounts.change(BY, anna.id, back)
            await desk.who(token=text)
        await desk.accounts.remove(BY, anna.id)
        assert "no admin" in await stranger(desk, token=text)

    at_desk(url, work)


def test_token_makes_no_tokens(url: str):
    async def work(desk: Desk) -> None:
        text, _ = await desk.add_token(Scope.ADMIN, role=Role.ADMIN)
        with pytest.raises(Forbidden, match="a token makes no tokens"):
            await desk.add_token(by=Actor(await desk.who(token=text), ADDRESS))

    at_desk(url, work)


def test_audit_has_log_ins_good_and_bad_changes_and_the_first_use_of_a_token_in_an_hour(url: str):
    async def work(desk: Desk) -> None:
        anna = await desk.add_user()
        cookie = await desk.log_in()
        with pytest.raises(Unauthorized):
            await desk.log_in("anna", "wrong password")
        text, _ = await desk.add_token()
        desk.clock.now = 1_777_003_200.0  # a full hour
        for _ in range(3):
            desk.clock.now += 900
            await desk.who(token=text)
        desk.clock.now += 900
        await desk.who(token=text)
        await desk.logins.change_password(await desk.who(cookie), PASSWORD, "staple by staple", HERE)
        await desk.tokens.revoke(BY, text.id)
        assert desk.audit.rows == [
            ("local", "users.add", anna.id, "ok"),
            (anna.id, "login", anna.id, "ok"),
            ("-", "login", "anna", "refused"),
            ("local", "tokens.add", text.id, "ok"),
            (text.id, "token.use", text.id, "ok"),
            (text.id, "token.use", text.id, "ok"),
            (anna.id, "users.change", anna.id, "ok"),
            ("local", "tokens.revoke", text.id, "ok"),
        ]
        assert desk.audit.addresses == {ADDRESS, "127.0.0.1"}  # the latter of tokens' requests
        kept = str(desk.audit.rows) + str(desk.audit.details)
        assert not [secret for secret in (PASSWORD, "staple", text.secret, cookie, "wrong password") if secret in kept]

    at_desk(url, work)


def test_thousand_wrong_passwords_of_one_address_lock_that_one_out_alone(url: str):
    async def work(desk: Desk) -> None:
        await desk.add_user()
        wrong, turned_away = 0, 0
        for _ in range(1000):
            try:
                await desk.log_in("anna", "wrong password", ADDRESS)
            except Unauthorized:
                wrong += 1
            except TooManyTries:
                turned_away += 1
            desk.clock.now += 0.01
        assert (wrong, turned_away) == (5, 995)
        assert desk.audit.details.count({"why": "too many tries"}) == 995  # which the real one keeps as a number
        with pytest.raises(TooManyTries):
            await desk.log_in()
        secret, _ = await desk.logins.login("anna", PASSWORD, Visitor("198.51.100.1"))
        await desk.who(secret)

    at_desk(url, work)


def test_last_admin_stays(url: str):
    async def work(desk: Desk) -> None:
        with pytest.raises(Conflict, match="admin"):
            await desk.add_user("viewer", Role.VIEWER)
        anna = await desk.add_user()
        await desk.add_user("viewer", Role.VIEWER)
        for change in (UserChange(enabled=False), UserChange(grants=(Grant(Role.OPERATOR),))):
            with pytest.raises(Conflict, match="admin"):
                await desk.accounts.change(BY, anna.id, change)
        with pytest.raises(Conflict, match="admin"):
            await desk.accounts.remove(BY, anna.id)
        other = await desk.add_user("other")
        await desk.accounts.remove(BY, anna.id)
        with pytest.raises(Conflict, match="admin"):
            await desk.accounts.remove(BY, other.id)
        with pytest.raises(NotFound):
            await desk.accounts.remove(BY, anna.id)

    at_desk(url, work)


def test_local_admin_is_there_until_the_first_user_and_heard_of_then(url: str, monkeypatch: pytest.MonkeyPatch):
    async def work(desk: Desk) -> None:
        assert await desk.who() == LOCAL
        rung: list[str | None] = []
        monkeypatch.setattr(desk.changes, "notify", rung.append)
        anna = await desk.add_user()
        assert set(rung) == {anna.id, "local"}
        await stranger(desk)

    at_desk(url, work)


def test_look_that_began_before_a_user_was_added_does_not_bring_the_local_admin_back(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    held, reads = asyncio.Event(), 0

    async def read(database: Database) -> AccessState:
        nonlocal reads
        state, reads = await read_access_state(database), reads + 1
        if reads == 1:
            await held.wait()
        return state

    async def work(desk: Desk) -> None:
        monkeypatch.setattr("service.access.watch.read_access_state", read)
        looking = asyncio.create_task(desk.watch.look())
        while not reads:
            await asyncio.sleep(0.01)
        adding = asyncio.create_task(desk.add_user())
        await asyncio.wait({adding}, timeout=0.5)
        held.set()
        await asyncio.gather(looking, adding)
        assert desk.watch.has_users
        assert "nobody is logged in" in await stranger(desk)

    at_desk(url, work)


def test_full_disk_keeps_nobody_out(url: str, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: object) -> None:
        raise StoreError("database: disk full")

    async def work(desk: Desk) -> None:
        await desk.add_user()
        cookie = await desk.log_in()
        text, _ = await desk.add_token()
        monkeypatch.setattr(desk.database, "write", full)
        desk.clock.now += HOUR
        assert (await desk.who(cookie)).name == "anna"
        assert (await desk.who(token=text)).name == "program"

    at_desk(url, work)


def test_what_another_process_changes_is_noticed_by_looking(url: str, monkeypatch: pytest.MonkeyPatch):
    async def work(desk: Desk) -> None:
        anna = await desk.add_user()
        other = Desk(url)  # as the command line: another engine on the same file
        try:
            rung: list[str | None] = []
            monkeypatch.setattr(desk.changes, "notify", rung.append)
            await desk.watch.look()
            assert rung == []
            other.clock.now += 5
            await other.accounts.change(BY, anna.id, UserChange(password="staple by staple"))
            await desk.watch.look()
            assert rung == [anna.id]
        finally:
            other.passwords.close()
            await other.database.close()

    at_desk(url, work)
