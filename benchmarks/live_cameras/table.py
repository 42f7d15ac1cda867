"""The rows on a terminal and as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import document
from benchmarks.live_cameras.rows import Result

MARKS = document.marks("benchmarks/live.py")
HEAD = (
    "row", "people", "found", "labelled", "own IDs", "age p50 / p95 s", "IDs / annotate's", "told/s", "det/s",
    "wait p50 / p95 ms", "tiers", "clips/s", "CPU s/s", "PSS MB", "ready / label s",
)  # fmt: skip


def cells(result: Result) -> tuple[str, ...]:
    """→ the texts in the order of the head; a row without figures says why instead."""
    if result.get("problem"):
        return (result["row"], f"none: {result['problem'][:80]}", *[""] * (len(HEAD) - 2))
    return (
        result["row"],
        _text(result["people"]),
        _share(result["found"]),
        _share(result["labelled"]),
        _share(result["labelled_own"]),
        _pair(result, "label_age_s_p50", "label_age_s_p95"),
        f"{result['ids']} / {result['ids_straight_line']} = {_text(result['ids_ratio'])}",
        _text(result["told_a_second"]),
        _text(result["detections_a_second"]),
        _pair(result, "detect_wait_ms_p50", "detect_wait_ms_p95"),
        _tiers(result["tiers"]),
        _text(result["clips_a_second"]),
        _text(result["cpu_s_a_second"]),
        _text(result["pss_mb"]),
        _pair(result, "ready_s", "first_label_s"),
    )


def _text(value: Any) -> str:
    return "–" if value is None else str(value)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _pair(result: Result, first: str, second: str) -> str:
    return f"{_text(result[first])} / {_text(result[second])}"


def _tiers(tiers: dict[str, float] | None) -> str:
    return "?" if tiers is None else ", ".join(f"{name} {part:.0%}" for name, part in tiers.items())


def plain(results: Iterable[Result]) -> str:
    table = [HEAD, *map(cells, results)]
    widths = [max(min(len(line[i]), 34) for line in table) for i in range(len(HEAD))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in table)


def markdown(results: Sequence[Result]) -> str:
    """One table for each processor, under its name."""
    parts = []
    for cpu in dict.fromkeys(result["cpu"] for result in results):
        lines = [_line(cells(result)) for result in results if result["cpu"] == cpu]
        parts.append("\n".join([f"{cpu}:", "", _line(HEAD), "|" + "---|" * len(HEAD), *lines]) + "\n")
    return "\n".join(parts)


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "/") for text in texts) + " |"
