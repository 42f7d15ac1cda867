"""What a target's run leaves: its figures, told as they come, so that an interrupted run keeps what it has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.runtimes.host import describe_host
from pipeline.files import write_atomically

Figures = dict[str, Any]  # with `failures`, a list of sentences; `complete` says whether the run came to its end
Keep = Callable[[Mapping[str, Any]], None]


class Results:
    """The JSON file: target → figures, with the machine that they are of. ``latest`` has those of this run alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.targets: dict[str, Figures] = json.loads(path.read_text())["targets"] if path.exists() else {}
        self.latest: dict[str, Figures] = {}

    def keeper(self, target: str, asked: Mapping[str, Any]) -> Keep:
        """→ what a run calls with its figures so far. An unfinished run takes the place of an older unfinished one
        only: figures of a run that came to its end stay until another has come to its own."""

        def keep(figures: Mapping[str, Any]) -> None:
            entry = {**asked, **figures, "host": describe_host()}
            self.latest[target] = entry
            before = self.targets.get(target, {})
            if before.get("complete") and not entry.get("complete"):
                before["interrupted"] = entry
            else:
                self.targets[target] = entry
            self._write()

        return keep

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps({"targets": dict(sorted(self.targets.items()))}, indent=1) + "\n")


def passed(figures: Mapping[str, Any]) -> bool:
    return bool(figures.get("complete")) and not figures["failures"]
