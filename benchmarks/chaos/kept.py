"""Recordings and their rows, held against each other as they lie on the disk once the service has ended."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path

import av


@dataclass(frozen=True, slots=True)
class Kept:
    """Counts; ``integrity`` is SQLite's own word. Good is: ``ok`` and nothing but recordings."""

    recordings: int
    unplayable: int
    rows_without_file: int
    files_without_row: int
    left_open: int
    integrity: str

    def failures(self) -> list[str]:
        figures = asdict(self)
        del figures["recordings"], figures["integrity"]
        wrong = [f"{count} × {name.replace('_', ' ')}" for name, count in figures.items() if count]
        return wrong + ([] if self.integrity == "ok" else [f"integrity_check: {self.integrity}"])


def kept(data: Path) -> Kept:
    """Decodes every picture of every file below ``data``."""
    folder = data / "recordings"
    with sqlite3.connect(f"file:{data / 'actoscope.db'}?mode=ro", uri=True) as database:
        (integrity,) = database.execute("pragma integrity_check").fetchone()
        rows = {folder / path for (path,) in database.execute("select path from recordings")}
    files = set(folder.glob("*/*.mp4"))
    return Kept(
        recordings=len(files),
        unplayable=sum(not plays(file) for file in files),
        rows_without_file=len(rows - files),
        files_without_row=len(files - rows),
        left_open=len(list(folder.glob("*/*.part"))),
        integrity=integrity,
    )


def plays(video: Path) -> bool:
    """Whether the whole file decodes, to at least one picture."""
    try:
        with av.open(str(video)) as container:
            return sum(1 for _ in container.decode(video=0)) > 0
    except av.FFmpegError:
        return False
