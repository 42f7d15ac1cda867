"""Tables of who may what: users, their sessions, API tokens, keys of signed links, the audit. Times: Unix seconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.storage.tables import Base, Sequence


class UserRow(Base):
    """Somebody with a password. ``grants``: ``[{"role", "streams", "history_since"}]``."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # usr_…
    name: Mapped[str] = mapped_column(Text)  # as it is shown
    key: Mapped[str] = mapped_column(Text, unique=True)  # as it is compared: normalised, without case
    password_hash: Mapped[str] = mapped_column(Text)  # Argon2id, PHC string format
    grants: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    enabled: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Float(53))
    changed_at: Mapped[float] = mapped_column(Float(53))  # of password or grants: sessions from before have ended


class SessionRow(Base):
    """Somebody who is logged in. ``id`` is the SHA-256 of what the cookie holds."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user", "user_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(Float(53))
    used_at: Mapped[float] = mapped_column(Float(53))  # written once a minute at most
    address: Mapped[str] = mapped_column(Text)
    agent: Mapped[str] = mapped_column(Text)


class TokenRow(Base):
    """A program's key, ``acto_<id>_<secret>``; only the SHA-256 of the secret is here."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    grants: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    made_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    expires_at: Mapped[float | None] = mapped_column(Float(53))
    used_at: Mapped[float | None] = mapped_column(Float(53))
    revoked_at: Mapped[float | None] = mapped_column(Float(53))


class SigningKeyRow(Base):
    """What links to a single picture or clip are signed with; the newest signs, those not revoked are believed."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # key_…
    key_sealed: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Float(53))
    revoked_at: Mapped[float | None] = mapped_column(Float(53))


class AuditRow(Base):
    """Who did what. Rows are added only; ``hash`` covers the row and the hash of the one before."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at", "id"),)

    id: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=False)  # 1, 2, 3 … without a gap
    at: Mapped[float] = mapped_column(Float(53))
    principal: Mapped[str] = mapped_column(Text)  # "user:usr_… anna", "token:1a2b3c4d", "local", "-"
    address: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(64))  # login, token.use, users.add, stream.change, denied …
    object: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(String(16))  # ok, refused, failed
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
