"""``actoscope audit verify``: whether the audit is what was written, from the first row to the last."""

from __future__ import annotations

import argparse
import re

from service.commands.audit.stored import with_database
from service.commands.exit_status import EXIT_FAILED
from service.commands.printing import say
from service.storage.access.audit import Verdict, verify

_HASH = re.compile(r"[0-9a-f]{64}")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError(f"expected a head as this command prints it, 64 hex digits, got {text}")
    return text.lower()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--head",
        type=_hash,
        metavar="HASH",
        help="a head that was kept elsewhere: shows besides whether the end was cut off, or all was written anew",
    )


def run(arguments: argparse.Namespace) -> int:
    """→ 0, or 1 where the chain is broken. Raises ServiceError."""
    verdict = with_database(lambda database: verify(database, arguments.head))
    for line in lines(verdict, arguments.head):
        say(line)
    return 0 if verdict.broken_at is None else EXIT_FAILED


def lines(verdict: Verdict, kept: str | None) -> list[str]:
    if verdict.broken_at is not None:
        return [f"broken at row {verdict.broken_at}: {verdict.reason}", f"rows before it that hold: {verdict.rows}"]
    whole = [f"the audit holds: {verdict.rows} rows", f"head: {verdict.head}"]
    if kept is None:
        whole.append("keep the head elsewhere: without --head nobody sees that the newest rows were cut off")
    return whole
