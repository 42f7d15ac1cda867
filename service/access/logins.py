"""Logging in and out: a name and a password become a session, bounded in tries, the same time for every name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.access.accounts import Accounts, Actor, UserChange
from service.access.audit_protocol import Audit
from service.access.changes import Changes
from service.access.cookies import new_secret, session_id
from service.access.grants import visible_of
from service.access.login_limits import Counted, LoginLimits
from service.access.names import name_key
from service.access.passwords import LONGEST, Passwords
from service.access.principals import IDLE_S, LONGEST_S
from service.errors_base import Conflict, TooManyTries, Unauthorized, shown
from service.rights import Principal
from service.storage.access.sessions import SessionRecord, Sessions
from service.storage.access.users import UserRecord, Users
from service.storage.database import Database

_WRONG = "the name or the password is wrong"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a log-in comes from: the client's address, and what its browser calls itself."""

    address: str
    agent: str = ""


class Logins:
    """Every method may raise StoreError, and Unavailable while too many log in."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        accounts: Accounts,
        audit: Audit,
        changes: Changes,
        limits: LoginLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users, self._sessions = Users(database), Sessions(database)
        self._passwords, self._accounts = passwords, accounts
        self._audit, self._changes = audit, changes
        self._clock = clock
        self.limits = limits or LoginLimits()

    async def login(self, name: str, password: str, visitor: Visitor) -> tuple[str, UserRecord]:
        """→ (what the cookie shall hold, the user). Raises Unauthorized, TooManyTries."""
        key = name_key(name)[:LONGEST]
        counted = await self._begin_try(None, "login", key, shown(name), visitor)
        user = await self._users.named(key)
        right = await self._passwords.matches(password, None if user is None else user.password_hash)
        if user is None or not right or not user.enabled:
            await self._audit.record(None, "login", shown(name), "refused", address=visitor.address)
            raise Unauthorized(_WRONG)
        self.limits.succeeded(key, visitor.address, counted)
        secret = await self._begin(user, visitor)
        await self._audit.record(_principal(user), "login", user.id, address=visitor.address)
        return secret, user

    async def logout(self, secret: str, principal: Principal, visitor: Visitor) -> None:
        """Ends this session; the user's others go on."""
        await self._sessions.remove(session_id(secret))
        self._changes.notify(principal.id)
        await self._audit.record(principal, "logout", principal.id, address=visitor.address)

    async def change_password(self, principal: Principal, old: str, new: str, visitor: Visitor) -> str:
        """→ what the cookie of a new session shall hold: all others have ended.

        Raises Conflict for who has no password or was changed meanwhile, Unauthorized for a wrong password,
        InvalidRequest, TooManyTries.
        """
        if principal.kind != "user":
            raise Conflict(f"only users have a password here, and this is a {principal.kind}")
        user = await self._users.get(principal.id)
        counted = await self._begin_try(principal, "password", user.key, user.id, visitor)
        if not await self._passwords.matches(old, user.password_hash):
            await self._audit.record(principal, "password", user.id, "refused", address=visitor.address)
            raise Unauthorized("the old password is wrong")
        self.limits.succeeded(user.key, visitor.address, counted)
        change = UserChange(password=new)
        user = await self._accounts.change(Actor(principal, visitor.address), user.id, change, known=user)
        return await self._begin(user, visitor)

    async def _begin_try(
        self, principal: Principal | None, action: str, key: str, about: str, visitor: Visitor
    ) -> Counted:
        """Raises TooManyTries, which the audit has too."""
        try:
            return self.limits.begin(key, visitor.address)
        except TooManyTries:
            why = {"why": "too many tries"}
            await self._audit.record(principal, action, about, "refused", why, visitor.address)
            raise

    async def _begin(self, user: UserRecord, visitor: Visitor) -> str:
        secret, now = new_secret(), self._clock()
        session = SessionRecord(session_id(secret), user.id, now, now, visitor.address, visitor.agent)
        if not await self._sessions.add(session, user, now - LONGEST_S, now - IDLE_S):
            raise Unauthorized("the account was changed at this moment: log in again")
        return secret


def _principal(user: UserRecord) -> Principal:
    """For the audit, which names it; what it may is resolved by its next request."""
    role, roles, _ = visible_of(user.grants, {})
    return replace(Principal("user", user.id, user.name), role=role, roles=roles)
