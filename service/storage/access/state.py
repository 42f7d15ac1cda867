"""Who there is, in short: what another process (``actoscope users``, ``actoscope tokens``) changed shows in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.storage.access.tables import SigningKeyRow, TokenRow, UserRow
from service.storage.database import Database

KEY = "key"  # of signed links: nobody's
AccessState = Mapping[tuple[str, str], Any]  # (table, id) → what changes with every change of rights


async def read_access_state(database: Database) -> AccessState:
    """A few columns of tables of at most some thousand rows. Raises StoreError."""
    return await database.read(_read)


def _read(session: Session) -> AccessState:
    state: dict[tuple[str, str], Any] = {}
    for user_id, changed_at in session.execute(select(UserRow.id, UserRow.changed_at)):
        state["user", user_id] = changed_at
    for token_id, revoked_at, expires_at in session.execute(
        select(TokenRow.id, TokenRow.revoked_at, TokenRow.expires_at)
    ):
        state["token", token_id] = (revoked_at, expires_at)
    for key_id, revoked_at in session.execute(select(SigningKeyRow.id, SigningKeyRow.revoked_at)):
        state[KEY, key_id] = revoked_at
    return state
