"""Users, sessions and tokens on a real database, a clock of the test's own, an audit that can be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from service.access.accounts import Accounts, Actor
from service.access.api_tokens import ApiTokens, TokenWish
from service.access.changes import Changes
from service.access.login_limits import LoginLimits
from service.access.logins import Logins, Visitor
from service.access.passwords import Cost, Passwords
from service.access.principals import Principals
from service.access.proxied import ProxyIdentity
from service.access.token_text import TokenText
from service.access.watch import AccessWatch
from service.rights import LOCAL, Grant, Principal, Role, Scope
from service.storage.access.tokens import TokenRecord, Tokens
from service.storage.access.users import UserRecord, Users
from service.storage.database import Database
from tests.service.access.connections import connection
from tests.support.fresh_database import fresh_url

T = TypeVar("T")
ADDRESS = "192.0.2.7"
PASSWORD = "correct horse battery"
BY = Actor(LOCAL, ADDRESS)
CHEAP = Cost(memory_kib=8, passes=1)


class Recorder:
    """An audit: ``rows`` of (principal's id, action, object, result)."""

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.rows: list[tuple[str, str, str, str]] = []
        self.details: list[dict[str, Any]] = []

    async def record(
        self,
        principal: Principal | None,
        action: str,
        object: str,
        result: str = "ok",
        detail: Any = None,
        address: str = "",
    ) -> None:
        self.addresses.add(address)
        self.rows.append(("-" if principal is None else principal.id, action, object, result))
        self.details.append(dict(detail or {}))


class Clock:
    def __init__(self) -> None:
        self.now = 1_777_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """As ``open_access`` puts the parts together."""

    def __init__(self, url: str, proxy: ProxyIdentity | None = None) -> None:
        self.clock, self.audit, self.changes = Clock(), Recorder(), Changes()
        self.database = Database(url)
        self.passwords = Passwords(CHEAP)
        self.watch = AccessWatch(self.database, self.changes)
        self.accounts = Accounts(Users(self.database), self.passwords, self.audit, self.watch, clock=self.clock)
        self.limits = LoginLimits(self.clock)
        self.logins = Logins(
            self.database, self.passwords, self.accounts, self.audit, self.changes, self.limits, clock=self.clock
        )
        self.tokens = ApiTokens(Tokens(self.database), self.audit, self.watch, self.clock)
        self.principals = Principals(self.database, self.watch, self.audit, proxy, self.clock)

    async def add_user(self, name: str = "anna", role: Role = Role.ADMIN, streams: str = "*") -> UserRecord:
        return await self.accounts.add(BY, name, PASSWORD, (Grant(role, streams),))

    async def log_in(self, name: str = "anna", password: str = PASSWORD, address: str = ADDRESS) -> str:
        """→ what the cookie holds."""
        return (await self.logins.login(name, password, Visitor(address, "a browser")))[0]

    async def add_token(
        self, *scopes: Scope, role: Role = Role.VIEWER, by: Actor = BY, days: float | None = 90
    ) -> tuple[TokenText, TokenRecord]:
        expires_at = None if days is None else self.tokens.in_days(days)
        wish = TokenWish("program", frozenset(scopes or {Scope.READ}), (Grant(role),), expires_at)
        return await self.tokens.make(by, wish)

    async def who(self, cookie: str | None = None, token: object = None, **options: Any) -> Principal:
        """Whoever comes with these. Raises Unauthorized."""
        headers = [("Host", "127.0.0.1:8000")]
        headers += [("Cookie", f"actoscope={cookie}")] if cookie is not None else []
        headers += [("Authorization", f"Bearer {token}")] if token is not None else []
        return await self.principals.resolve(connection(*headers, **options))


def at_desk(url: str, work: Callable[[Desk], Awaitable[T]], proxy: ProxyIdentity | None = None) -> T:
    """Runs ``work(desk)`` on an event loop."""

    async def run() -> T:
        desk = Desk(url, proxy)
        await desk.database.open()
        await desk.watch.look()
        try:
            return await work(desk)
        finally:
            desk.passwords.close()
            await desk.database.close()

    return asyncio.run(run())


def sqlite(folder: Path) -> str:
    return fresh_url(folder)
