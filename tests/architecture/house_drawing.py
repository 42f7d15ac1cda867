"""The drawing of the house in docs/architecture.md: a fenced tree, which this reads as a reader would.

The first fenced block below the heading ``## The house``. In it every line begins with a name, or with several of one
folder side by side, and says after two spaces or more what they are for:

    models/              networks, and how to run them
      classifier.py      clips → scores
      data/              from videos to batches
        tracks/          people found in videos
      errors.py  ids.py  what the package raises; what it counts by

A folder's name ends with a slash, a module's with ``.py``. What is indented deeper than a folder lies in it. A line
that begins with no such name goes on with what the line above it says.
"""

from __future__ import annotations

import re

HEADING = "## The house"
_NAME = r"[\w.-]+(?:/|\.py)"
_ENTRY = re.compile(rf"(?P<indent> *)(?P<names>{_NAME}(?: {{1,2}}{_NAME})*)(?: {{2,}}(?P<meaning>\S.*))?$")


class DrawingError(ValueError):
    """The page has no drawing, or one that cannot be read. The message quotes the line."""


def drawn(page: str) -> dict[str, str]:
    """→ ``{"models/": "networks, …", "models/classifier.py": "clips → scores", …}`` of a page's text."""
    meanings: dict[str, str] = {}
    folders: list[tuple[int, str]] = []  # those that the line lies in, each with its indentation
    last: list[str] = []
    for line in _block(page):
        entry = _ENTRY.match(line.rstrip())
        if entry is None:
            _go_on(meanings, last, line)
            continue
        indent = len(entry["indent"])
        folders = [folder for folder in folders if folder[0] < indent]
        within = "".join(name for _, name in folders)
        names = entry["names"].split()
        last = [within + name for name in names]
        meanings |= dict.fromkeys(last, entry["meaning"] or "")
        if names[-1].endswith("/"):
            folders.append((indent, names[-1]))
    return meanings


def _block(page: str) -> list[str]:
    _, heading, below = page.partition(f"{HEADING}\n")
    section = below.partition("\n## ")[0]
    block = re.search(r"^```[^\n]*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    if not heading or block is None:
        raise DrawingError(f"expected a fenced block below {HEADING!r}")
    return [line for line in block[1].splitlines() if line.strip()]


def _go_on(meanings: dict[str, str], last: list[str], line: str) -> None:
    if not last:
        raise DrawingError(f"expected a name, ending with / or .py, at the beginning of {line!r}")
    for name in last:
        meanings[name] = f"{meanings[name]} {line.strip()}".strip()
