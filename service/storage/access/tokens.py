"""API tokens in the database: of each the SHA-256 of its secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.errors_base import Conflict, not_found
from service.rights import Grant, Scope
from service.storage.access.grants import from_json, to_json
from service.storage.access.tables import TokenRow, UserRow
from service.storage.access.users import UserRecord, to_user
from service.storage.database import Database

MAX_TOKENS = 1000


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """``made_by``: the id of a principal, ``usr_…`` where it is a user."""

    id: str
    name: str
    secret_hash: str
    scopes: frozenset[Scope]
    grants: tuple[Grant, ...]
    made_by: str
    created_at: float
    expires_at: float | None
    used_at: float | None = None
    revoked_at: float | None = None


class Tokens:
    """Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[TokenRecord]:
        """Oldest first."""
        statement = select(TokenRow).order_by(TokenRow.created_at, TokenRow.id)
        return await self._database.read(lambda session: tuple(map(_to_token, session.scalars(statement))))

    async def find(self, token_id: str) -> tuple[TokenRecord, UserRecord | None] | None:
        """→ the token, and the user who made it where that is one that there is."""
        statement = select(TokenRow, UserRow).outerjoin(UserRow, UserRow.id == TokenRow.made_by)
        statement = statement.where(TokenRow.id == token_id)

        def work(session: Session) -> tuple[TokenRecord, UserRecord | None] | None:
            found = session.execute(statement).one_or_none()
            if found is None:
                return None
            token, maker = found
            return _to_token(token), None if maker is None else to_user(maker)

        return await self._database.read(work)

    async def add(self, new: TokenRecord, over_since: float) -> None:
        """Those that were over before that time are forgotten. Raises Conflict for one too many."""

        def work(session: Session) -> None:
            over = func.coalesce(TokenRow.revoked_at, TokenRow.expires_at) < over_since
            session.execute(delete(TokenRow).where(over))
            if (session.scalar(select(func.count()).select_from(TokenRow)) or 0) >= MAX_TOKENS:
                raise Conflict(f"there are {MAX_TOKENS} tokens, which is the limit")
            session.add(
                TokenRow(
                    id=new.id,
                    name=new.name,
                    secret_hash=new.secret_hash,
                    scopes=sorted(scope.value for scope in new.scopes),
                    grants=to_json(new.grants),
                    made_by=new.made_by,
                    created_at=new.created_at,
                    expires_at=new.expires_at,
                )
            )

        await self._database.write(work)

    async def revoke(self, token_id: str, at: float) -> TokenRecord:
        """→ the token; revoked earlier, it stays as it was. Raises NotFound."""

        def work(session: Session) -> TokenRecord:
            row = session.get(TokenRow, token_id)
            if row is None:
                raise not_found("token", token_id)
            row.revoked_at = at if row.revoked_at is None else row.revoked_at
            return _to_token(row)

        return await self._database.write(work)

    async def used(self, token_id: str, at: float) -> None:
        statement = update(TokenRow).where(TokenRow.id == token_id).values(used_at=at)
        await self._database.write(lambda session: session.execute(statement))


def _to_token(row: TokenRow) -> TokenRecord:
    return TokenRecord(
        id=row.id,
        name=row.name,
        secret_hash=row.secret_hash,
        scopes=frozenset(map(Scope, row.scopes)),
        grants=from_json(row.grants),
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
