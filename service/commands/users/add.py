"""``actoscope users add NAME --role admin``."""

from __future__ import annotations

import argparse

from service.commands.access_desk import (
    ACTOR,
    Desk,
    add_grant_options,
    add_password_option,
    grants_of,
    grants_text,
    read_password,
    work,
)
from service.commands.printing import say


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="what the user logs in with")
    add_grant_options(parser, role=None)
    add_password_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises ServiceError: a name that is taken, a password too short, a first user who is no admin."""
    password = read_password(arguments)

    async def add(desk: Desk) -> int:
        user = await desk.accounts.add(ACTOR, arguments.name, password, grants_of(arguments))
        say(f"{user.name} may log in: {grants_text(user.grants)}")
        return 0

    return work(add)
