"""``actoscope tokens revoke ID``."""

from __future__ import annotations

import argparse

from service.commands.access_desk import ACTOR, Desk, work
from service.commands.printing import say


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the eight digits after acto_")


def run(arguments: argparse.Namespace) -> int:
    """Raises ServiceError for an unknown id."""

    async def revoke(desk: Desk) -> int:
        token = await desk.tokens.revoke(ACTOR, arguments.id)
        say(f"{token.name} counts no more")
        return 0

    return work(revoke)
