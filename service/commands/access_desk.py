"""What ``actoscope users`` and ``actoscope tokens`` work with: the data folder's database, also while a service runs.

It notices their changes within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from service.access.access import proxy_identity
from service.access.accounts import Accounts, Actor
from service.access.api_tokens import ApiTokens
from service.access.audit import AuditLog
from service.access.passwords import Passwords
from service.commands.options import names
from service.errors_base import NotFound, ServiceError, shown
from service.recording.locks import DataDirInUse, DataDirLock
from service.rights import ALL, EVERYTHING, Grant, Principal, Role
from service.settings import Settings, load_settings
from service.storage.access.tokens import Tokens
from service.storage.access.users import UserRecord, Users
from service.storage.database import Database

COMMAND = Principal("local", "command", "command", role=Role.ADMIN, visible=ALL)
ACTOR = Actor(COMMAND)


class NoPassword(ServiceError, ValueError):
    """None was given, or two that differ."""


@dataclass(frozen=True)
class Desk:
    accounts: Accounts
    tokens: ApiTokens


def work(task: Callable[[Desk], Awaitable[int]]) -> int:
    """Runs ``task`` on the database of the settings. → its exit status. Raises ServiceError."""

    async def run() -> int:
        async with _opened(load_settings()) as desk:
            return await task(desk)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Desk]:
    listens = _listens(settings)
    database, passwords = Database(settings.sqlalchemy_url()), Passwords()
    audit = AuditLog(database)
    try:
        await database.open()
        proxy = proxy_identity(settings)
        keep_admin = proxy is None or not proxy.makes_admins
        accounts = Accounts(Users(database), passwords, audit, keep_admin=keep_admin, listens=listens)
        yield Desk(accounts, ApiTokens(Tokens(database), audit))
    finally:
        passwords.close()
        await audit.close()
        await database.close()


def _listens(settings: Settings) -> bool:
    """Whether a service runs on the data folder, which is made where there is none."""
    try:
        DataDirLock(settings.data_dir).release()
    except DataDirInUse:
        return True
    return False


async def find_user(desk: Desk, name: str) -> UserRecord:
    """Raises NotFound."""
    user = await desk.accounts.named(name)
    if user is None:
        raise NotFound(f"there is no user {shown(name)}; `actoscope users list` names them")
    return user


def add_grant_options(parser: argparse.ArgumentParser, *, role: Role | None) -> None:
    """``role``: unless another is given; None: one has to be given."""
    roles = [each.value for each in Role]
    default = None if role is None else role.value
    parser.add_argument("--role", choices=roles, required=role is None, default=default, help="what it may do")
    parser.add_argument(
        "--streams", type=names, default=(EVERYTHING,), metavar="STREAM,…", help="ids or group:NAME; default: all"
    )


def grants_of(arguments: argparse.Namespace) -> tuple[Grant, ...]:
    return tuple(Grant(Role(arguments.role), each) for each in arguments.streams)


def add_password_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input, one line")


def read_password(arguments: argparse.Namespace) -> str:
    """Asks twice at a terminal. Raises NoPassword."""
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise NoPassword("expected a terminal to ask for the password at, or --password-stdin")
    password = getpass.getpass("Password (at least 12 characters): ")
    if getpass.getpass("Again: ") != password:
        raise NoPassword("expected the same password twice, got two that differ")
    return password


def grants_text(grants: tuple[Grant, ...]) -> str:
    return ", ".join(f"{grant.role.value} on {grant.streams}" for grant in grants)


def day(at: float | None, otherwise: str) -> str:
    return otherwise if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M")
