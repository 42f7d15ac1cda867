"""Who is logged in, in the database. Only the SHA-256 of what a cookie holds is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from service.storage.access.tables import SessionRow, UserRow
from service.storage.access.users import UserRecord, to_user
from service.storage.database import Database

MAX_OF_A_USER = 20  # the oldest ends where one more begins
MAX_AGENT = 200  # characters of a browser's name


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """``id``: SHA-256 in hex."""

    id: str
    user_id: str
    created_at: float
    used_at: float
    address: str = ""
    agent: str = ""


class Sessions:
    """Every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: SessionRecord, user: UserRecord, created_since: float, used_since: float) -> bool:
        """Those created or last used before these times go. → False where ``user``, as known when the password was
        looked at, has changed or gone meanwhile: what is right by an old password must not outlive it.
        """

        def work(session: Session) -> bool:
            over = or_(SessionRow.created_at < created_since, SessionRow.used_at < used_since)
            session.execute(delete(SessionRow).where(over))  # first: from here on no other process writes to SQLite
            row = session.get(UserRow, new.user_id, with_for_update=True)
            if row is None or to_user(row) != user:
                return False
            ids = select(SessionRow.id).where(SessionRow.user_id == new.user_id)
            ids = ids.order_by(SessionRow.created_at.desc(), SessionRow.id).offset(MAX_OF_A_USER - 1)
            session.execute(delete(SessionRow).where(SessionRow.id.in_(session.scalars(ids).all())))
            session.add(
                SessionRow(
                    id=new.id,
                    user_id=new.user_id,
                    created_at=new.created_at,
                    used_at=new.used_at,
                    address=new.address,
                    agent=new.agent[:MAX_AGENT],
                )
            )
            return True

        return await self._database.write(work)

    async def find(self, session_id: str) -> tuple[SessionRecord, UserRecord] | None:
        statement = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id)
        statement = statement.where(SessionRow.id == session_id)

        def work(session: Session) -> tuple[SessionRecord, UserRecord] | None:
            found = session.execute(statement).one_or_none()
            return None if found is None else (_to_session(found[0]), to_user(found[1]))

        return await self._database.read(work)

    async def used(self, session_id: str, at: float) -> None:
        statement = update(SessionRow).where(SessionRow.id == session_id).values(used_at=at)
        await self._database.write(lambda session: session.execute(statement))

    async def remove(self, session_id: str) -> None:
        statement = delete(SessionRow).where(SessionRow.id == session_id)
        await self._database.write(lambda session: session.execute(statement))


def _to_session(row: SessionRow) -> SessionRecord:
    return SessionRecord(row.id, row.user_id, row.created_at, row.used_at, row.address, row.agent)
