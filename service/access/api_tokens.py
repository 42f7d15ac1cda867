"""API tokens: made, listed, revoked, by the routes and by ``actoscope tokens`` alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.access.accounts import Actor
from service.access.audit_protocol import Audit
from service.access.grants import check_grants
from service.access.names import shown_name
from service.access.token_text import TokenText, new_token
from service.access.watch import AccessWatch
from service.errors_base import Forbidden, invalid
from service.rights import Grant, Scope
from service.storage.access.tokens import TokenRecord, Tokens

DAY_S = 24 * 3600.0
DEFAULT_DAYS = 90
KEPT_DAYS = 30  # after its end a token is still listed


@dataclass(frozen=True, slots=True)
class TokenWish:
    """``expires_at``: Unix time; None: never."""

    name: str
    scopes: frozenset[Scope]
    grants: tuple[Grant, ...]
    expires_at: float | None


class ApiTokens:
    """Every method may raise StoreError."""

    def __init__(
        self, tokens: Tokens, audit: Audit, watch: AccessWatch | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._audit = audit
        self._watch = watch
        self._clock = clock

    async def all(self) -> Sequence[TokenRecord]:
        return await self._tokens.all()

    def in_days(self, days: float = DEFAULT_DAYS) -> float:
        """→ when a token made now ends."""
        return self._clock() + days * DAY_S

    async def make(self, actor: Actor, wish: TokenWish) -> tuple[TokenText, TokenRecord]:
        """→ (the token, this once; what is kept of it). Raises InvalidRequest, Conflict, Forbidden."""
        if actor.principal is not None and actor.principal.kind == "token":
            raise Forbidden("a token makes no tokens: it would outlive its own revocation")
        name, now = shown_name(wish.name), self._clock()
        check_grants(wish.grants, now)
        if not wish.scopes:
            raise invalid("scopes", f"one or more of {', '.join(Scope)}", "none")
        if wish.expires_at is not None and wish.expires_at <= now:
            raise invalid("expires_at", "a time to come", "one that is over")
        token = new_token()
        maker = "command" if actor.principal is None else actor.principal.id
        record = TokenRecord(token.id, name, token.secret_hash, wish.scopes, wish.grants, maker, now, wish.expires_at)
        await self._tokens.add(record, now - KEPT_DAYS * DAY_S)
        await self._tell(actor, "tokens.add", record)
        return token, record

    async def revoke(self, actor: Actor, token_id: str) -> TokenRecord:
        """Raises NotFound."""
        record = await self._tokens.revoke(token_id, self._clock())
        await self._tell(actor, "tokens.revoke", record)
        return record

    async def _tell(self, actor: Actor, action: str, token: TokenRecord) -> None:
        if self._watch is not None:
            await self._watch.look()
        detail = {"name": token.name, "scopes": sorted(token.scopes)}
        await self._audit.record(actor.principal, action, token.id, detail=detail, address=actor.address)
