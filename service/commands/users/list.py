"""``actoscope users list``."""

from __future__ import annotations

import argparse

from service.commands.access_desk import Desk, day, grants_text, work
from service.commands.printing import show_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    return work(_list)


async def _list(desk: Desk) -> int:
    rows = [("id", "name", "may", "enabled", "since")]
    for user in await desk.accounts.all():
        enabled = "yes" if user.enabled else "no"
        rows.append((user.id, user.name, grants_text(user.grants), enabled, day(user.created_at, "")))
    show_table(rows)
    return 0
