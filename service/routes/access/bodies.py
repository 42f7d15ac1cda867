"""Bodies of log-in, users and tokens. A password goes in and never out; a token's secret goes out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from service.access.token_text import TokenText
from service.bodies import Request
from service.rights import EVERYTHING, PERMISSIONS, Grant, Principal, Role, Scope
from service.settings import Settings
from service.storage.access.tokens import TokenRecord
from service.storage.access.users import UserRecord
from service.wire_messages import rfc3339

Streams = Annotated[str, StringConstraints(max_length=210)]
Secret = Annotated[SecretStr, Field(max_length=1024)]
UserName = Annotated[str, StringConstraints(max_length=200)]

_GRANT: dict[str, Any] = {"role": "viewer", "streams": "*", "history_since": None}
_USER: dict[str, Any] = {"name": "anna", "password": "correct horse battery", "grants": [_GRANT]}


class GrantBody(Request):
    """A role on streams. Admins have it on all of them, with all of their past."""

    role: Role
    streams: Streams = Field(EVERYTHING, description="`*`, the id of a stream, or `group:NAME`")
    history_since: AwareDatetime | None = Field(None, description="nothing from before this time is shown (RFC 3339)")


Grants = Annotated[list[GrantBody], Field(min_length=1, max_length=1000)]


class Login(Request):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "anna", "password": "correct horse battery"}]}
    )

    name: UserName
    password: Secret


class PasswordChange(Request):
    """Of whoever is logged in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"old_password": "correct horse battery", "password": "staple by staple"}]},
    )

    old_password: Secret
    password: Secret = Field(description="12 to 256 characters; there is no other rule")


class UserCreate(Request):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_USER]})

    name: UserName = Field(description="compared without regard to case and width of characters")
    password: Secret = Field(description="12 to 256 characters; there is no other rule")
    grants: Grants


class UserPatch(Request):
    """What is given changes, the rest stays. A change ends the user's sessions."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"enabled": False}, {"grants": [_GRANT]}]}
    )

    name: UserName | None = None
    password: Secret | None = None
    grants: Grants | None = None
    enabled: bool | None = None


class TokenCreate(Request):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Home Assistant", "scopes": ["read"]}]}
    )

    name: UserName = Field(description="what it is for")
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), description="what it may, of what its role may")
    grants: Grants = Field(default_factory=lambda: [GrantBody(role=Role.VIEWER)], description="default: viewer of all")
    expires_at: AwareDatetime | None = Field(None, description="default: in 90 days; null: never")


class GrantShown(BaseModel):
    role: Role
    streams: str
    history_since: str | None = Field(examples=["2026-05-04T03:02:01.123Z"])


class User(BaseModel):
    id: str = Field(examples=["usr_0123456789abcdef"])
    name: str = Field(examples=["anna"])
    grants: list[GrantShown]
    enabled: bool
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    changed_at: str = Field(description="when its sessions were last ended by a change")


class Token(BaseModel):
    id: str = Field(examples=["1a2b3c4d"])
    name: str = Field(examples=["Home Assistant"])
    scopes: list[Scope]
    grants: list[GrantShown]
    made_by: str = Field(description="id of the principal; a token counts while the user who made it is an admin")
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    expires_at: str | None
    used_at: str | None = Field(description="to a minute")
    revoked_at: str | None


class NewToken(Token):
    token: str = Field(description="shown this once", examples=["acto_1a2b3c4d_" + "A" * 43])


class Me(BaseModel):
    """Whoever asks, and what that principal may."""

    kind: Literal["user", "token", "proxy", "local"]
    id: str = Field(examples=["usr_0123456789abcdef"])
    name: str = Field(examples=["anna"])
    role: Role | None = Field(description="on all streams; null where there is none")
    roles: dict[str, Role] = Field(description="stream → role, where it is granted by itself")
    permissions: list[str] = Field(description="of routes, on some stream at least", examples=[["events:read"]])
    scopes: list[Scope] | None = Field(description="of a token")
    visible: Literal["all"] | dict[str, str | None] = Field(
        description="all, or stream → since when its past may be seen; null: from the beginning"
    )
    logout_url: str | None = Field(description="where to go after logging out, if anywhere")
    timezone: str | None = Field(description="of times of day; null: the browser's own", examples=["Europe/Berlin"])


class LoggedOut(BaseModel):
    logout_url: str | None = Field(description="where to go now, if anywhere")


def to_grants(bodies: Sequence[GrantBody]) -> tuple[Grant, ...]:
    return tuple(
        Grant(each.role, each.streams, None if each.history_since is None else each.history_since.timestamp())
        for each in bodies
    )


def to_user(user: UserRecord) -> User:
    return User(
        id=user.id,
        name=user.name,
        grants=_shown(user.grants),
        enabled=user.enabled,
        created_at=rfc3339(user.created_at),
        changed_at=rfc3339(user.changed_at),
    )


def to_token(token: TokenRecord) -> Token:
    return Token(**_token_fields(token))


def to_new_token(text: TokenText, token: TokenRecord) -> NewToken:
    return NewToken(**_token_fields(token), token=str(text))


def to_me(principal: Principal, settings: Settings) -> Me:
    streams = principal.visible.streams
    return Me(
        kind=principal.kind,
        id=principal.id,
        name=principal.name,
        role=principal.role,
        roles=dict(principal.roles),
        permissions=[name for name in PERMISSIONS if principal.may(name)],
        scopes=None if principal.scopes is None else sorted(principal.scopes),
        visible="all" if streams is None else {stream: _time(since) for stream, since in streams.items()},
        logout_url=settings.logout_url or None,
        timezone=settings.timezone,
    )


def _token_fields(token: TokenRecord) -> Mapping[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "grants": _shown(token.grants),
        "made_by": token.made_by,
        "created_at": rfc3339(token.created_at),
        "expires_at": _time(token.expires_at),
        "used_at": _time(token.used_at),
        "revoked_at": _time(token.revoked_at),
    }


def _shown(grants: Sequence[Grant]) -> list[GrantShown]:
    return [
        GrantShown(role=each.role, streams=each.streams, history_since=_time(each.history_since)) for each in grants
    ]


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
