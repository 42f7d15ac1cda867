"""The results on a terminal and as Markdown for docs/networks.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import document
from benchmarks.comparison.rows import Measured

MARKS = document.marks("benchmarks/classifier.py")
_HEAD = (
    "network", "runtime", "clip", "M params", "GMACs", "clips/s", "CPU s", "CPU to SE-I3D", "CPU to own f32", "RSS MB",
    "logit diff", "top-1",
)  # fmt: skip


def cells(row: Measured) -> tuple[str, ...]:
    """One row's texts in the order of the head; a row without figures says why instead."""
    clip = f"{row.clip[0]}×{row.clip[1]}²" if row.clip else ""
    size = (f"{row.parameters / 1e6:.2f}", f"{row.gmacs:.1f}" if row.gmacs else "")
    name = (row.network, f"{row.runtime} {row.precision}".strip(), clip, *size)
    if row.problem:
        return (*name, f"none: {row.problem[:80]}", "", "", "", "", "", "")
    difference = "" if row.largest_logit_difference is None else f"{row.largest_logit_difference:.1e}"
    agreement = "" if row.top1_agreement is None else f"{row.top1_agreement:.0%}"
    own = f"{row.own_ratio:.2f}" if row.own_ratio else ""
    figures = (f"{row.clips_per_s:.2f}", f"{row.cpu_s:.3f}", f"{row.anchor_ratio:.3f}", own, f"{row.peak_rss_mb:.0f}")
    return (*name, *figures, difference, agreement)


def plain(rows: Iterable[Measured]) -> str:
    table = [_HEAD, *map(cells, rows)]
    # A problem's text may run on over the empty cells behind it.
    widths = [max(min(len(line[i]), 30) for line in table) for i in range(len(_HEAD))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in table)


def markdown(rows: Sequence[Measured]) -> str:
    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(text.replace("|", "/") for text in texts) + " |"

    return "\n".join([line(_HEAD), "|" + "---|" * len(_HEAD), *(line(cells(row)) for row in rows)]) + "\n"
