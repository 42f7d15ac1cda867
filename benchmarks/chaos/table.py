"""The targets on a terminal and as Markdown for docs/reliability.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import document
from benchmarks.chaos.figures import passed

MARKS = document.marks("benchmarks/chaos")
HEAD = ("target", "asked", "measured", "result")
ASKED = {
    "T1": "random kill -9 over all processes: no finished recording lost or unplayable, unfinished lose ≤ 2 s, "
    "integrity_check ok, no row without file, no file without row",
    "T5": "≥ 200 malformed requests and ≥ 100 corrupt media: only 4xx or `failed`, no 5xx, nothing "
    "reaches a canary port",
    "T6": "reconnects for 30 minutes: memory grows < 1 MB in 10 minutes; handles, threads, zombies constant",
    "T7": "200 websocket subscribers, 20 stuck: healthy p99 lag ≤ 250 ms, no healthy loss, stuck cut ≤ 10 s, "
    "gaps visible by number",
    "T8": "disk full: recording stops and says so, labels go on, recording resumes ≤ 30 s after space returns",
}
_HIDDEN = frozenset({"failures", "complete", "host", "seed", "interrupted", "samples"})


def rows(targets: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [(name, ASKED[name], measured(figures), result(figures)) for name, figures in targets.items()]


def measured(figures: Mapping[str, Any]) -> str:
    """→ the figures in words: ``kills 100, largest loss s 1.2``."""
    return ", ".join(f"{_words(name)} {_text(value)}" for name, value in figures.items() if name not in _HIDDEN)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_text(each)}" for name, each in value.items()) + ")"
    return str(value)


def result(figures: Mapping[str, Any]) -> str:
    if passed(figures):
        return "passed; a later run broke off" if "interrupted" in figures else "passed"
    if not figures.get("complete") and not figures["failures"]:
        return "broken off"
    return "failed: " + "; ".join(figures["failures"])[:300]


def plain(targets: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n\n".join(f"{name} {verdict}\n  {figures}" for name, _, figures, verdict in rows(targets))


def markdown(targets: Mapping[str, Mapping[str, Any]]) -> str:
    """One table for each machine, under its name."""
    parts = []
    for host in dict.fromkeys(figures["host"] for figures in targets.values()):
        here = {name: figures for name, figures in targets.items() if figures["host"] == host}
        lines = [_line(cells) for cells in rows(here)]
        parts.append("\n".join([f"{host}:", "", _line(HEAD), "|" + "---|" * len(HEAD), *lines]) + "\n")
    return "\n".join(parts)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
