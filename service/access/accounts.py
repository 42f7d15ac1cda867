"""Users: added, changed and removed, by the routes and by ``actoscope users`` alike. Who may is decided before."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.access.audit_protocol import Audit
from service.access.grants import administers, check_grants
from service.access.names import name_key, shown_name
from service.access.passwords import Passwords, check_password
from service.access.watch import AccessWatch
from service.errors_base import Conflict
from service.ids import new_id
from service.rights import Grant, Principal
from service.storage.access.users import UserRecord, Users


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it, and from where; for the audit."""

    principal: Principal | None
    address: str = ""


@dataclass(frozen=True, slots=True)
class UserChange:
    """None: stays as it is."""

    name: str | None = None
    password: str | None = None
    grants: tuple[Grant, ...] | None = None
    enabled: bool | None = None

    def __repr__(self) -> str:
        return f"UserChange({', '.join(self.fields)})"

    @property
    def fields(self) -> list[str]:
        """What is given, by name: no value of it may come into a log."""
        return [name for name in ("name", "password", "grants", "enabled") if getattr(self, name) is not None]


class Accounts:
    """``keep_admin``: whether an admin has to be among the users; ``listens``: also after somebody was removed."""

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        audit: Audit,
        watch: AccessWatch | None = None,
        *,
        keep_admin: bool = True,
        listens: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._audit = audit
        self._watch = watch
        self._keep_admin = keep_admin
        self._listens = listens
        self._clock = clock

    async def all(self) -> Sequence[UserRecord]:
        return await self._users.all()

    async def get(self, user_id: str) -> UserRecord:
        """Raises NotFound."""
        return await self._users.get(user_id)

    async def named(self, name: str) -> UserRecord | None:
        return await self._users.named(name_key(name))

    async def add(self, actor: Actor, name: str, password: str, grants: tuple[Grant, ...]) -> UserRecord:
        """Raises InvalidRequest, Conflict (a name that is taken; nobody would be an admin)."""
        shown = shown_name(name)
        check_grants(grants, self._clock())
        check_password(password)
        hashed, now = await self._passwords.hash(password), self._clock()
        user = UserRecord(new_id("usr"), shown, name_key(shown), hashed, grants, True, now, now)
        await self._users.add(user, self._check)
        await self._tell(actor, "users.add", user, {"grants": [_words(grant) for grant in grants]})
        return user

    async def change(
        self, actor: Actor, user_id: str, wanted: UserChange, known: UserRecord | None = None
    ) -> UserRecord:
        """Any change ends the user's sessions. ``known``: what was decided by; Conflict if it is that no more.

        Raises InvalidRequest, NotFound, Conflict.
        """
        wanted = replace(wanted, name=None if wanted.name is None else shown_name(wanted.name))
        if wanted.grants is not None:
            check_grants(wanted.grants, self._clock())
        if wanted.password is not None:
            check_password(wanted.password)
        hashed = None if wanted.password is None else await self._passwords.hash(wanted.password)
        now = self._clock()

        def apply(user: UserRecord) -> UserRecord:
            if known is not None and user != known:
                raise Conflict("the account was changed at this moment: try again")
            return _changed(user, wanted, hashed, now)

        user = await self._users.change(user_id, apply, self._check)
        await self._tell(actor, "users.change", user, {"changed": wanted.fields})
        return user

    async def remove(self, actor: Actor, user_id: str) -> None:
        """API tokens that the user made do not count any more. Raises NotFound, Conflict."""
        user = await self._users.get(user_id)
        await self._users.remove(user_id, self._check if self._listens else _anything)
        await self._tell(actor, "users.remove", user, {})

    def _check(self, users: Sequence[UserRecord]) -> None:
        if self._keep_admin and not any(user.enabled and administers(user.grants) for user in users):
            raise Conflict("nobody would be left who may change users: make somebody else an admin first")

    async def _tell(self, actor: Actor, action: str, user: UserRecord, detail: dict[str, object]) -> None:
        if self._watch is not None:
            await self._watch.look()
        detail = {"name": user.name, **detail}
        await self._audit.record(actor.principal, action, user.id, detail=detail, address=actor.address)


def _changed(user: UserRecord, wanted: UserChange, hashed: str | None, now: float) -> UserRecord:
    name = user.name if wanted.name is None else wanted.name
    return replace(
        user,
        name=name,
        key=name_key(name),
        password_hash=hashed or user.password_hash,
        grants=user.grants if wanted.grants is None else wanted.grants,
        enabled=user.enabled if wanted.enabled is None else wanted.enabled,
        changed_at=now,
    )


def _anything(_users: Sequence[UserRecord]) -> None:
    """Nothing speaks against it."""


def _words(grant: Grant) -> str:
    since = "" if grant.history_since is None else f" since {grant.history_since:.0f}"
    return f"{grant.role.value} on {grant.streams}{since}"
