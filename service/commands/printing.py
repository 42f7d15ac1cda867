"""What commands print for people besides progress: lines, tables, the beginning of long lists."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from models.errors import DatasetError
from service.commands.exit_status import EXIT_FAILED

SHOWN = 20  # lines of a long list
_NUMBER = re.compile(r"\d+(\.\d+)?")


def say(text: object) -> None:
    """One line of the command's output, at once."""
    print(text, flush=True)


def show_table(
    rows: Sequence[Sequence[object]], *, heading: bool = True, least: Sequence[int] = (), gap: str = "  "
) -> None:
    """Columns of equal width, ``least`` characters at least, with ``gap`` between them.

    The first row is the ``heading``: columns with nothing but numbers below it go to the right. Without one all
    columns go to the left.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(*cells, strict=True))
    floors = [*least, *[0] * (len(columns) - len(least))]
    widths = [max(floor, *map(len, column)) for floor, column in zip(floors, columns, strict=True)]
    right = [heading and _are_numbers(column[1:]) for column in columns]
    for row in cells:
        aligned = zip(row, widths, right, strict=True)
        say(gap.join(cell.rjust(width) if last else cell.ljust(width) for cell, width, last in aligned).rstrip())


def _are_numbers(cells: Sequence[str]) -> bool:
    return bool(cells) and all(_NUMBER.fullmatch(cell) for cell in cells if cell)


def show_failures(what: str, lines: Sequence[str]) -> int:
    """To standard error: how many of many could not be done, and every one of them → the exit status."""
    if not lines:
        return 0
    print(f"actoscope: {what}: {len(lines)}", file=sys.stderr)
    for line in lines:
        print(f"  {line}", file=sys.stderr)
    return EXIT_FAILED


@contextmanager
def failures_told(what: str, lines: Sequence[str]) -> Iterator[None]:
    """Where a later step raises a DatasetError, the failures so far are told as well, but none that it tells itself."""
    try:
        yield
    except DatasetError as error:
        show_failures(what, [line for line in lines if line not in str(error)])
        raise


def show_list(title: str, lines: Sequence[str]) -> None:
    """To standard error: how many there are, and the first of them; nothing where there is none."""
    if lines:
        print(f"{title}: {len(lines)}", file=sys.stderr)
    for line in lines[:SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"  … and {len(lines) - SHOWN} more", file=sys.stderr)
