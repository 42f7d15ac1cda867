"""``actoscope tokens add NAME --scopes read``: prints the token, this once."""

from __future__ import annotations

import argparse
import sys

from service.access.api_tokens import DEFAULT_DAYS, TokenWish
from service.commands.access_desk import ACTOR, Desk, add_grant_options, day, grants_of, work
from service.commands.options import names, positive
from service.commands.printing import say
from service.rights import Role, Scope

_NEVER = 0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="what it is for")
    scopes = ", ".join(scope.value for scope in Scope)
    parser.add_argument(
        "--scopes", type=_scopes, required=True, metavar="SCOPE,…", help=f"what it may, of what its role may: {scopes}"
    )
    add_grant_options(parser, role=Role.VIEWER)
    parser.add_argument(
        "--days",
        type=_days,
        default=DEFAULT_DAYS,
        help=f"how long it counts, or never to expire: never ({DEFAULT_DAYS})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Raises ServiceError."""

    async def add(desk: Desk) -> int:
        expires_at = None if arguments.days == _NEVER else desk.tokens.in_days(arguments.days)
        wish = TokenWish(arguments.name, arguments.scopes, grants_of(arguments), expires_at)
        text, record = await desk.tokens.make(ACTOR, wish)
        until = "never expires" if expires_at is None else f"counts until {day(expires_at, '')} UTC"
        print(f"{record.name}: {until}; it is shown this once", file=sys.stderr)
        say(text)
        return 0

    return work(add)


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(name) for name in names(text))
    except ValueError:
        expected = ", ".join(scope.value for scope in Scope)
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None


def _days(text: str) -> int:
    return _NEVER if text == "never" else positive(text)
