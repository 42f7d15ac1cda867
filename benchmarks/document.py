"""A measured table inside a document: what stands between two marks is the script's, the rest is the writer's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.files import write_atomically

Marks = tuple[str, str]


def marks(script: str) -> Marks:
    """→ the two lines between which ``script`` (its path in the repository) keeps its table."""
    return f"<!-- table: {script} -->\n", "<!-- end of table -->\n"


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """→ a table in Markdown; every row has a cell for each column of ``head``."""
    every = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in every) + "\n"


def with_table(text: str, table: str, between: Marks) -> str:
    """→ the document with what stands between the marks replaced. Raises ValueError where it has none."""
    before, first, rest = text.partition(between[0])
    _, last, after = rest.partition(between[1])
    if not first or not last:
        raise ValueError(f"expected the marks {between[0].strip()} and {between[1].strip()}")
    return f"{before}{first}\n{table}\n{last}{after}"


def put_table(page: Path, table: str, between: Marks) -> None:
    """The same in the file itself. Raises ValueError, OSError."""
    write_atomically(page, with_table(page.read_text("utf-8"), table, between))
