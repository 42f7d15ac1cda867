"""``actoscope users passwd NAME``: a new password, which ends the user's sessions."""

from __future__ import annotations

import argparse

from service.access.accounts import UserChange
from service.commands.access_desk import ACTOR, Desk, add_password_option, find_user, read_password, work
from service.commands.printing import say


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the user")
    add_password_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises ServiceError: an unknown name, a password too short."""
    password = read_password(arguments)

    async def change(desk: Desk) -> int:
        user = await find_user(desk, arguments.name)
        await desk.accounts.change(ACTOR, user.id, UserChange(password=password))
        say(f"{user.name} has a new password; the sessions of before have ended")
        return 0

    return work(change)
