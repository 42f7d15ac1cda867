"""Users in the database. A change of what somebody may, or of the password, ends that user's sessions with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.errors_base import Conflict, not_found, shown
from service.rights import Grant
from service.storage.access.grants import from_json, to_json
from service.storage.access.tables import SessionRow, UserRow
from service.storage.database import Database

MAX_USERS = 1000


@dataclass(frozen=True, slots=True)
class UserRecord:
    """``key`` is the name as it is compared; sessions from before ``changed_at`` do not count."""

    id: str
    name: str
    key: str
    password_hash: str
    grants: tuple[Grant, ...]
    enabled: bool
    created_at: float
    changed_at: float


Check = Callable[[Sequence[UserRecord]], None]  # of all users as they will be; raises what speaks against it


class Users:
    """Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[UserRecord, ...]:
        """Oldest first."""
        return await self._database.read(lambda session: tuple(map(to_user, _rows(session))))

    async def get(self, user_id: str) -> UserRecord:
        """Raises NotFound."""
        return await self._database.read(lambda session: to_user(_row(session, user_id)))

    async def named(self, key: str) -> UserRecord | None:
        def work(session: Session) -> UserRecord | None:
            row = session.scalar(select(UserRow).where(UserRow.key == key))
            return None if row is None else to_user(row)

        return await self._database.read(work)

    async def add(self, user: UserRecord, check: Check) -> None:
        """Raises Conflict for a name that is taken, or one user too many."""

        def work(session: Session) -> None:
            rows = _rows(session)
            if len(rows) >= MAX_USERS:
                raise Conflict(f"there are {MAX_USERS} users, which is the limit")
            _refuse_taken(rows, user)
            check([*map(to_user, rows), user])
            session.add(_fill(UserRow(id=user.id, created_at=user.created_at), user))

        await self._database.write(work)

    async def change(self, user_id: str, change: Callable[[UserRecord], UserRecord], check: Check) -> UserRecord:
        """→ the user as it is now; its sessions have ended if it changed. Raises NotFound, Conflict."""

        def work(session: Session) -> UserRecord:
            rows = _rows(session)
            row = _row(session, user_id)
            before = to_user(row)
            after = change(before)
            if after == replace(before, changed_at=after.changed_at):
                return before
            _refuse_taken(rows, after)
            check([after if each.id == user_id else to_user(each) for each in rows])
            _fill(row, after)
            _end_sessions(session, user_id)
            return after

        return await self._database.write(work)

    async def remove(self, user_id: str, check: Check) -> None:
        """With its sessions. Raises NotFound, Conflict."""

        def work(session: Session) -> None:
            row = _row(session, user_id)
            check([to_user(each) for each in _rows(session) if each.id != user_id])
            session.delete(row)
            _end_sessions(session, user_id)

        await self._database.write(work)


def to_user(row: UserRow) -> UserRecord:
    return UserRecord(
        id=row.id,
        name=row.name,
        key=row.key,
        password_hash=row.password_hash,
        grants=from_json(row.grants),
        enabled=row.enabled,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _rows(session: Session) -> Sequence[UserRow]:
    return session.scalars(select(UserRow).order_by(UserRow.created_at, UserRow.id).with_for_update()).all()


def _row(session: Session, user_id: str) -> UserRow:
    row = session.get(UserRow, user_id)
    if row is None:
        raise not_found("user", user_id)
    return row


def _refuse_taken(rows: Sequence[UserRow], user: UserRecord) -> None:
    if any(row.key == user.key and row.id != user.id for row in rows):
        raise Conflict(f"there is a user {shown(user.name)} already")


def _fill(row: UserRow, user: UserRecord) -> UserRow:
    row.name, row.key, row.password_hash = user.name, user.key, user.password_hash
    row.grants, row.enabled, row.changed_at = to_json(user.grants), user.enabled, user.changed_at
    return row


def _end_sessions(session: Session, user_id: str) -> None:
    session.execute(delete(SessionRow).where(SessionRow.user_id == user_id))
