"""Who asks, and what that principal may: pure values, known to routes, hub and store alike.

Two rights meet in every answer. A *permission* ("events:read") belongs to a route, which declares it with ``needs``; a
principal has it by role. *Visible* says which streams, and since when, a principal's grants cover; it is a filter in
the store's queries, so that lists, counts, media, exports and the websocket agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeVar

NEEDS = "__needs__"  # the attribute of a route's function
EVERYTHING = "*"  # in a grant: all streams
GROUP = "group:"  # in a grant: the streams of a group, ``group:yard``

SELF = "self"  # a permission that no role is needed for

Kind = Literal["user", "token", "proxy", "local"]
Function = TypeVar("Function", bound=Callable[..., Any])


class Role(str, Enum):
    """What a principal may do with the streams of a grant; each includes the ones before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        return _ORDER[self] >= _ORDER[other]


_ORDER = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


class Scope(str, Enum):
    """What an API token was made for; it limits the role that its owner gave it."""

    READ = "read"
    LABEL = "label"
    CONTROL = "control"
    ADMIN = "admin"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Permission:
    """The least role, and the scope that a token needs besides."""

    role: Role
    scope: Scope


_READ = Permission(Role.VIEWER, Scope.READ)
_LABEL = Permission(Role.OPERATOR, Scope.LABEL)
_CONTROL = Permission(Role.OPERATOR, Scope.CONTROL)
_ADMIN = Permission(Role.ADMIN, Scope.ADMIN)

PERMISSIONS: Mapping[str, Permission] = {
    "streams:read": _READ,
    "streams:restart": _CONTROL,
    "streams:write": _ADMIN,
    "live:read": _READ,
    "events:read": _READ,
    "events:review": Permission(Role.VIEWER, Scope.LABEL),
    "events:label": _LABEL,
    "recordings:read": _READ,
    "recordings:delete": _ADMIN,
    "models:read": _READ,
    "models:write": _ADMIN,
    "trainings:read": Permission(Role.OPERATOR, Scope.READ),
    "trainings:write": _ADMIN,
    "zones:read": _READ,
    "zones:write": _ADMIN,
    "rules:read": _READ,
    "rules:write": _ADMIN,
    "rules:snooze": _CONTROL,
    "incidents:read": _READ,
    "incidents:write": _LABEL,
    "exports:read": _READ,
    "exports:write": _LABEL,
    "sinks:read": _ADMIN,
    "sinks:write": _ADMIN,
    "deliveries:read": _ADMIN,
    "deliveries:retry": _ADMIN,
    "users:read": _ADMIN,
    "users:write": _ADMIN,
    "tokens:read": _ADMIN,
    "tokens:write": _ADMIN,
    "media-keys:write": _ADMIN,
    "audit:read": _ADMIN,
    "system:read": _READ,
    "nodes:read": Permission(Role.OPERATOR, Scope.READ),
    "nodes:write": _ADMIN,
    "metrics:read": Permission(Role.VIEWER, Scope.METRICS),
    SELF: Permission(Role.VIEWER, Scope.READ),  # one's own session and password, whatever is granted
}

OPEN = "open"  # needs nobody: the log-in page, ``/healthz``, a link that is signed


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on a stream's id, on ``group:NAME`` or on ``*``; ``history_since`` (Unix time) hides what was before."""

    role: Role
    streams: str = EVERYTHING
    history_since: float | None = None


@dataclass(frozen=True, slots=True)
class Visible:
    """Which streams may be seen: id → since when (Unix time, None: all that is stored). ``streams`` None: all."""

    streams: Mapping[str, float | None] | None = None

    def sees(self, stream_id: str, at: float | None = None) -> bool:
        """Whether what a stream showed at a time (None: now) may be seen."""
        if self.streams is None:
            return True
        if stream_id not in self.streams:
            return False
        since = self.streams[stream_id]
        return at is None or since is None or at >= since


ALL = Visible()
NONE = Visible({})


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks. ``roles`` maps a stream's id to the role there (groups are resolved); ``role`` is the one on ``*``,
    None where there is none. ``scopes`` None: no token, every scope. ``until``: when its credential ends by itself
    (Unix time; None: it does not).
    """

    kind: Kind
    id: str
    name: str
    role: Role | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    scopes: frozenset[Scope] | None = None
    visible: Visible = NONE
    until: float | None = None

    def may(self, permission: str, stream_id: str | None = None) -> bool:
        """Whether it may at all (``stream_id`` None: somewhere), or with this stream."""
        needed = PERMISSIONS[permission]
        if self.scopes is not None and needed.scope not in self.scopes:
            return False
        if permission == SELF or (self.role is not None and self.role.covers(needed.role)):
            return True
        if stream_id is not None:
            return stream_id in self.roles and self.roles[stream_id].covers(needed.role)
        return needed.role is not Role.ADMIN and any(role.covers(needed.role) for role in self.roles.values())


LOCAL = Principal("local", "local", "local", role=Role.ADMIN, visible=ALL)


def needs(permission: str) -> Callable[[Function], Function]:
    """Declares what a route needs: below the router's decorator. The service does not start with a route without."""
    if permission != OPEN and permission not in PERMISSIONS:
        raise ValueError(f"expected one of {', '.join([OPEN, *PERMISSIONS])}, got {permission}")

    def declare(function: Function) -> Function:
        setattr(function, NEEDS, permission)
        return function

    return declare


def needed(function: Callable[..., Any]) -> str | None:
    """→ what a route's function declared, None if it did not."""
    return getattr(function, NEEDS, None)
