"""Features that trainings computed stay for the next one, within a bound: the oldest go."""

from __future__ import annotations

from pathlib import Path

MOST_BYTES = 4_000_000_000


def keep_within(folder: Path, most_bytes: int = MOST_BYTES) -> int:
    """Deletes the oldest files of a folder and those below it → how many bytes went. One that is gone is no error."""
    files = []
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except OSError:
            continue
        if path.is_file():
            files.append((found.st_mtime, found.st_size, path))
    too_many = sum(size for _, size, _ in files) - most_bytes
    freed = 0
    for _, size, path in sorted(files):
        if freed >= too_many:
            break
        path.unlink(missing_ok=True)
        freed += size
    return freed
