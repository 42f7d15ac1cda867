"""``actoscope tokens list``: all but their secrets."""

from __future__ import annotations

import argparse

from service.commands.access_desk import Desk, day, grants_text, work
from service.commands.printing import show_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    return work(_list)


async def _list(desk: Desk) -> int:
    rows = [("id", "name", "scopes", "may", "expires", "used", "revoked")]
    for token in await desk.tokens.all():
        scopes = ",".join(sorted(scope.value for scope in token.scopes))
        times = (day(token.expires_at, "never"), day(token.used_at, "never"), day(token.revoked_at, ""))
        rows.append((token.id, token.name, scopes, grants_text(token.grants), *times))
    show_table(rows)
    return 0
