"""The parts that decide who asks, put together for the running service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.access.accounts import Accounts
from service.access.api_tokens import ApiTokens
from service.access.audit_protocol import Audit
from service.access.changes import Changes
from service.access.logins import Logins
from service.access.passwords import Passwords
from service.access.principals import Principals
from service.access.proxied import ProxyIdentity
from service.access.watch import AccessWatch
from service.errors_base import ServiceError
from service.storage.access.tokens import Tokens
from service.storage.access.users import Users

if TYPE_CHECKING:
    from service.settings import Settings
    from service.storage.database import Database


class NobodyMayEnter(ServiceError, PermissionError):
    """The service would be open to a network, with nobody who could log in."""


@dataclass(frozen=True)
class Access:
    principals: Principals
    accounts: Accounts
    logins: Logins
    tokens: ApiTokens
    changes: Changes
    watch: AccessWatch


async def open_access(
    settings: Settings, database: Database, changes: Changes, audit: Audit, stack: AsyncExitStack
) -> Access:
    """``stack`` ends what is begun here. Raises NobodyMayEnter, StoreError."""
    proxy = proxy_identity(settings)
    watch = AccessWatch(database, changes)
    stack.push_async_callback(watch.close)
    await watch.open()
    if not settings.listens_on_loopback and not watch.has_users and proxy is None:
        raise NobodyMayEnter(
            f"{settings.host} can be reached from other machines, and there are no users yet: add one with\n"
            "    actoscope users add NAME --role admin\n"
            "(in containers: docker compose run --rm actoscope users add NAME --role admin), then start again; "
            "or listen on 127.0.0.1, or configure an authenticating proxy (docs/proxy.md)"
        )
    passwords = Passwords()
    stack.callback(passwords.close)
    keep_admin = proxy is None or not proxy.makes_admins
    accounts = Accounts(Users(database), passwords, audit, watch, keep_admin=keep_admin)
    return Access(
        Principals(database, watch, audit, proxy),
        accounts,
        Logins(database, passwords, accounts, audit, changes),
        ApiTokens(Tokens(database), audit, watch),
        changes,
        watch,
    )


def proxy_identity(settings: Settings) -> ProxyIdentity | None:
    """→ None where no proxy logs people in."""
    if not settings.proxy_user_header:
        return None
    return ProxyIdentity(
        settings.proxy_user_header,
        settings.proxy_groups_header,
        settings.proxy_separator,
        settings.proxy_role_map,
        settings.proxy_secret,
    )
