"""Who asks: one answer for HTTP and websocket, from a connection's headers and what the database says now."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from service.access.audit_protocol import Audit
from service.access.cookies import cookie_of, session_id
from service.access.grants import administers, needs_groups, visible_of
from service.access.peers import is_local, peer_of
from service.access.proxied import ProxyIdentity
from service.access.token_text import TokenText, parse_token, token_in_query
from service.access.watch import AccessWatch
from service.errors_base import Unauthorized
from service.rights import LOCAL, Grant, Kind, Principal, Scope
from service.storage.access.sessions import SessionRecord, Sessions
from service.storage.access.tokens import TokenRecord, Tokens
from service.storage.access.users import UserRecord
from service.storage.database import Database, StoreError
from service.storage.groups import stream_groups

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

log = logging.getLogger(__name__)

IDLE_S = 24 * 3600.0  # a session that is not used ends
LONGEST_S = 30 * 24 * 3600.0  # and any other after this
USED_EVERY_S = 60.0  # how exactly the database knows when a session or token was used last
_HOUR_S = 3600.0

_IN_URL = (
    "an API token does not belong into a URL, where logs and histories keep it: "
    "send Authorization: Bearer, and revoke this one"
)
_NOBODY = "nobody is logged in: log in at /login, or send Authorization: Bearer with an API token"
_NOT_KNOWN = "this API token is not known, has expired or was revoked"


class Principals:
    """``resolve`` is asked for every request, and again for a websocket whose principal may have changed."""

    def __init__(
        self,
        database: Database,
        watch: AccessWatch,
        audit: Audit,
        proxy: ProxyIdentity | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._sessions, self._tokens = Sessions(database), Tokens(database)
        self._watch = watch
        self._audit = audit
        self._proxy = proxy
        self._clock = clock
        self._used: dict[str, float] = {}  # id → when its use was last written; as many as there are tokens, sessions

    async def resolve(self, connection: HTTPConnection) -> Principal:
        """A token counts before a proxy's word, that before a session, that before being local.

        Raises Unauthorized, Forbidden (a proxy's user without a role), StoreError.
        """
        refuse_token_in_url(connection)
        bearer = _bearer(connection)
        if bearer is not None:
            return await self._by_token(parse_token(bearer), peer_of(connection).client)
        if self._proxy is not None and (named := self._proxy.principal(connection)) is not None:
            return named
        if (user := await self._by_session(connection)) is not None:
            return user
        if self._is_first_start and is_local(connection):
            return LOCAL
        raise Unauthorized(_NOBODY)

    async def user(self, user: UserRecord) -> Principal:
        """→ what this user may now."""
        return await self._granted("user", user.id, user.name, user.grants, None)

    @property
    def _is_first_start(self) -> bool:
        return self._proxy is None and not self._watch.has_users

    async def _by_token(self, given: TokenText | None, address: str) -> Principal:
        found = None if given is None else await self._tokens.find(given.id)
        if given is None or found is None or not given.fits(found[0].secret_hash):
            raise Unauthorized(_NOT_KNOWN)
        token, maker = found
        now = self._clock()
        if why := _why_over(token, maker, now):
            raise Unauthorized(why)
        granted = await self._granted("token", token.id, token.name, token.grants, token.scopes)
        principal = replace(granted, until=token.expires_at)
        await self._note_token_use(token, principal, now, address)
        return principal

    async def _note_token_use(self, token: TokenRecord, principal: Principal, now: float, address: str) -> None:
        last = max(self._used.get(token.id, 0.0), token.used_at or 0.0)
        if 0 <= now - last < USED_EVERY_S:
            return
        await self._note_use(token.id, now, self._tokens.used)
        if last // _HOUR_S != now // _HOUR_S:
            await self._audit.record(principal, "token.use", token.id, address=address)

    async def _by_session(self, connection: HTTPConnection) -> Principal | None:
        cookie = cookie_of(connection)
        secret = connection.cookies.get(cookie.name) if cookie is not None else None
        found = await self._sessions.find(session_id(secret)) if secret else None
        now = self._clock()
        if found is None or not is_live(*found, now):
            return None
        session, user = found
        last = max(self._used.get(session.id, 0.0), session.used_at)
        if not 0 <= now - last < USED_EVERY_S:
            await self._note_use(session.id, now, self._sessions.used)
        return replace(await self.user(user), until=session.created_at + LONGEST_S)

    async def _note_use(self, key: str, now: float, write: Callable[[str, float], Awaitable[None]]) -> None:
        """A full disk must not keep anybody out."""
        self._used = {each: at for each, at in self._used.items() if now - at < USED_EVERY_S} | {key: now}
        try:
            await write(key, now)
        except StoreError as error:
            log.warning("the use of a session or token could not be noted: %s", error)

    async def _granted(
        self, kind: Kind, principal_id: str, name: str, grants: Sequence[Grant], scopes: frozenset[Scope] | None
    ) -> Principal:
        groups = await stream_groups(self._database) if needs_groups(grants) else {}
        role, roles, visible = visible_of(grants, groups)
        return Principal(kind, principal_id, name, role, roles, scopes, visible)


def is_live(session: SessionRecord, user: UserRecord, now: float) -> bool:
    """Not of somebody who was locked out or changed since, not too old, not unused for too long."""
    return (
        user.enabled
        and session.created_at >= user.changed_at
        and now - session.created_at < LONGEST_S
        and now - session.used_at < IDLE_S
    )


def refuse_token_in_url(connection: HTTPConnection) -> None:
    """Raises Unauthorized."""
    if token_in_query(connection.scope.get("query_string", b"")) is not None:
        raise Unauthorized(_IN_URL)


def _bearer(connection: HTTPConnection) -> str | None:
    """→ what stands after ``Bearer``; other schemes are a proxy's own log-in. Two headers are no credential at all."""
    given = [value.strip() for value in connection.headers.getlist("authorization")]
    bearers = [value.partition(" ")[2].strip() for value in given if value.lower().split(" ")[0] == "bearer"]
    return None if not bearers else bearers[0] if len(given) == 1 else ""


def _why_over(token: TokenRecord, maker: UserRecord | None, now: float) -> str | None:
    """Only whoever holds the secret is told. What somebody made ends with the right to make it."""
    if token.revoked_at is not None:
        return "this API token was revoked"
    if token.expires_at is not None and now >= token.expires_at:
        return "this API token has expired"
    if token.made_by.startswith("usr_") and (maker is None or not maker.enabled or not administers(maker.grants)):
        return "this API token does not count: who made it is no admin (any more)"
    return None
