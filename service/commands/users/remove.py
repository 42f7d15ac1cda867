"""``actoscope users remove NAME``."""

from __future__ import annotations

import argparse

from service.commands.access_desk import ACTOR, Desk, find_user, work
from service.commands.printing import say


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="of the user")


def run(arguments: argparse.Namespace) -> int:
    """Raises ServiceError: an unknown name, the last admin while the service runs."""

    async def remove(desk: Desk) -> int:
        user = await find_user(desk, arguments.name)
        await desk.accounts.remove(ACTOR, user.id)
        say(f"{user.name} may not log in any more; API tokens that this user made do not count any more")
        return 0

    return work(remove)
