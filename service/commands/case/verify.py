"""``actoscope case verify``: whether an exported case is as it was made."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pipeline.files import file_sha256
from service.commands.printing import say, show_failures
from service.exports.proof import verify_case

_HASH = re.compile(r"[0-9a-f]{64}")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError(f"expected a SHA-256 as the service tells it, 64 hex digits, got {text}")
    return text.lower()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.zip")
    parser.add_argument(
        "--sha256",
        type=_hash,
        metavar="HASH",
        help="of the whole file, as the service or its audit tells it: shows besides whether all was made anew",
    )


def run(arguments: argparse.Namespace) -> int:
    """→ 0, or 1 where something is not as it was made. Raises ServiceError, OSError."""
    verdict = verify_case(arguments.file)
    digest = file_sha256(arguments.file)
    problems = list(verdict.problems)
    if arguments.sha256 not in (None, digest):
        problems.append(f"the file is another one: its SHA-256 is {digest}")
    about = verdict.manifest
    say(f"case {about.get('id')}, {about.get('name')}, by {about.get('made_by')} at {about.get('made_at')}")
    say(f"SHA-256 of the file: {digest}")
    if problems:
        return show_failures("not as it was made", problems)
    say(f"{verdict.files} files are as they were made")
    if arguments.sha256 is None:
        say("with --sha256 and what the service's audit says of it (exports:made) nobody can have made all of it anew")
    return 0
