"""Who an authenticating proxy says is asking (Authelia, Authentik, oauth2-proxy): a name and groups, in headers.

Believed from trusted proxies alone, and, where a secret is agreed on, with that secret: anybody else who sends such
headers is whoever he would be without them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.access.names import name_key
from service.access.peers import peer_of
from service.errors_base import Forbidden, Unauthorized, shown
from service.rights import ALL, Principal, Role

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.requests import HTTPConnection

PROOF_HEADER = "x-proxy-secret"  # what it holds is compared in constant time
ANYBODY = "*"  # in a role map: everyone whom the proxy lets through
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class ProxyIdentity:
    """The headers' names, what stands between groups, and role → groups."""

    user_header: str
    groups_header: str
    separator: str
    roles: Mapping[Role, Sequence[str]]
    secret: SecretStr | None = None

    def principal(self, connection: HTTPConnection) -> Principal | None:
        """→ None where the proxy names nobody. Raises Unauthorized or Forbidden for somebody without a role."""
        if not self._speaks(connection):
            return None
        names = [_text(value) for value in connection.headers.getlist(self.user_header)]
        if not any(names):
            return None
        if len(names) > 1 or len(names[0]) > MAX_NAME or not names[0].isprintable():
            raise Unauthorized(f"expected one name of at most {MAX_NAME} characters in {self.user_header}")
        role = self._role(connection)
        if role is None:
            raise Forbidden(self._why_no_role(connection, names[0]))
        return Principal("proxy", name_key(names[0]), names[0], role=role, visible=ALL)

    @property
    def makes_admins(self) -> bool:
        return bool(self.roles.get(Role.ADMIN))

    def _speaks(self, connection: HTTPConnection) -> bool:
        """Whether it is the proxy itself that sends these headers."""
        if not peer_of(connection).trusted:
            return False
        if self.secret is None:
            return True
        given = connection.headers.getlist(PROOF_HEADER)
        expected = self.secret.get_secret_value().encode()
        return len(given) == 1 and hmac.compare_digest(given[0].encode("latin-1", "replace"), expected)

    def _groups(self, connection: HTTPConnection) -> frozenset[str]:
        values = connection.headers.getlist(self.groups_header)
        parts = [part.strip() for value in values for part in _text(value).split(self.separator)]
        return frozenset(filter(None, parts))

    def _role(self, connection: HTTPConnection) -> Role | None:
        groups = self._groups(connection)
        for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER):
            wanted = self.roles.get(role, ())
            if ANYBODY in wanted or groups.intersection(wanted):
                return role
        return None

    def _why_no_role(self, connection: HTTPConnection, name: str) -> str:
        seen = connection.headers.get(self.groups_header)
        groups = f"no header {self.groups_header} came" if seen is None else f"{self.groups_header}: {_text(seen)}"
        return f"{self.user_header} names {shown(name)}, but none of the groups has a role here ({shown(groups)})"


def _text(value: str) -> str:
    """Headers come as Latin-1; proxies write UTF-8."""
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeError:
        return value.strip()
