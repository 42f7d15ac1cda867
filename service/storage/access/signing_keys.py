"""The keys that links to a single picture or clip are signed with. Every function may raise StoreError."""

from __future__ import annotations

import logging

from pydantic import SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.ids import new_id
from service.storage.access.tables import SigningKeyRow
from service.storage.database import Database
from service.storage.secret_box import SecretBox, SecretBoxError

log = logging.getLogger(__name__)

MAX_KEYS = 8  # that are believed at once; older ones are forgotten


async def believed_keys(database: Database, box: SecretBox) -> tuple[SecretStr, ...]:
    """→ the keys that were not revoked, newest first. One that cannot be decrypted any more is left out."""
    statement = select(SigningKeyRow).where(SigningKeyRow.revoked_at.is_(None)).order_by(*_NEWEST_FIRST)
    rows = await database.read(lambda session: [(row.id, row.key_sealed) for row in session.scalars(statement)])
    opened = [_opened(box, key_id, sealed) for key_id, sealed in rows]
    return tuple(key for key in opened if key is not None)[:MAX_KEYS]


def _opened(box: SecretBox, key_id: str, sealed: str) -> SecretStr | None:
    try:
        return box.unseal(sealed)
    except SecretBoxError as error:
        log.warning("links signed with %s are not believed any more: %s", key_id, error)
        return None


async def add_key(database: Database, box: SecretBox, key: SecretStr, now: float, revoke: bool) -> None:
    """``key`` signs from now on. ``revoke``: those before it are not believed any more."""
    row = SigningKeyRow(id=new_id("key"), key_sealed=box.seal(key), created_at=now, revoked_at=None)

    def work(session: Session) -> None:
        if revoke:
            session.execute(update(SigningKeyRow).where(SigningKeyRow.revoked_at.is_(None)).values(revoked_at=now))
        session.add(row)
        session.flush()
        kept = session.scalars(select(SigningKeyRow.id).order_by(*_NEWEST_FIRST).limit(MAX_KEYS)).all()
        session.execute(delete(SigningKeyRow).where(SigningKeyRow.id.not_in(kept)))

    await database.write(work)


_NEWEST_FIRST = (SigningKeyRow.created_at.desc(), SigningKeyRow.id.desc())
