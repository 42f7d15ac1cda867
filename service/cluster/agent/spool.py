"""What a node has to tell and has not told yet: a SQLite file, so that it outlives the process. Bounded.

Rows are numbered from 1 and leave in that order; they are deleted once the leader says that its log has them. When it
is full, what says least goes first: presence, which is told again anyway; then the oldest.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cluster.links.messages import Row

log = logging.getLogger(__name__)

MAX_ROWS = 200_000  # about 100 MB: 50 streams that say one thing a second each, for an hour
_PORTION = 100  # how many go at once when it is full
_GAP = 1_000_000  # numbers left out at each start: a power cut may have cost rows that the leader knows by theirs
_TABLES = """
CREATE TABLE IF NOT EXISTS rows (
    n INTEGER PRIMARY KEY AUTOINCREMENT, stream_id TEXT NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ix_rows_kind ON rows (kind, n);
CREATE INDEX IF NOT EXISTS ix_rows_stream ON rows (stream_id, epoch);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS told (path TEXT PRIMARY KEY);
"""


class Spool:
    """Used on one thread. ``id`` names this very file: another one begins at 1 again."""

    def __init__(self, path: Path, most: int = MAX_ROWS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._most = most
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows, never the file
        self._file.executescript(_TABLES)
        self._file.execute("INSERT OR IGNORE INTO about VALUES ('id', ?)", (secrets.token_hex(8),))
        self.id = str(self._file.execute("SELECT value FROM about WHERE name = 'id'").fetchone()[0])
        self._file.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'rows'", (_GAP,))
        self.rows = int(self._file.execute("SELECT count(*) FROM rows").fetchone()[0])
        self.last = int(self._file.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()[0])
        self.dropped = 0  # for want of room
        self.failed = 0  # for want of a disk

    def close(self) -> None:
        self._file.close()

    def put(self, stream_id: str, epoch: int, kind: str, body: Mapping[str, Any]) -> int:
        """→ its number; 0 where the disk does not take it, which is counted."""
        try:
            if self.rows >= self._most:
                self._make_room()
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
            cursor = self._file.execute(
                "INSERT INTO rows (stream_id, epoch, kind, body) VALUES (?, ?, ?, ?)", (stream_id, epoch, kind, text)
            )
        except (sqlite3.Error, ValueError) as error:  # the latter: what JSON cannot hold
            self.failed += 1
            log.error("a report of stream %s is lost, the spool does not take it: %s", stream_id, error)
            return 0
        self.rows += 1
        self.last = int(cursor.lastrowid or 0)
        return self.last

    def _make_room(self) -> None:
        for where in ("kind = 'presence'", "1"):
            sql = f"DELETE FROM rows WHERE n IN (SELECT n FROM rows WHERE {where} ORDER BY n LIMIT {_PORTION})"  # noqa: S608 - constants
            gone = self._file.execute(sql).rowcount
            if gone:
                self.rows -= gone
                self.dropped += gone
                return

    def after(self, n: int, limit: int) -> list[Row]:
        """→ rows behind ``n``, at most ``limit``, in order."""
        found = self._file.execute(
            "SELECT n, stream_id, epoch, kind, body FROM rows WHERE n > ? ORDER BY n LIMIT ?", (n, limit)
        )
        return [Row(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in found]

    def acknowledge(self, n: int) -> None:
        """The log has all up to ``n``."""
        self.rows -= self._delete("n <= ?", (n,))

    def drop(self, stream_id: str, epoch: int) -> int:
        """What a stream said under an epoch that is over must not leave. Recordings do: they are there. → how many."""
        gone = self._delete("stream_id = ? AND epoch = ? AND kind <> 'recording'", (stream_id, epoch))
        self.rows -= gone
        return gone

    def _delete(self, where: str, values: tuple[object, ...]) -> int:
        """→ how many. A full disk keeps them: the leader refuses what is of an old epoch, and knows what it has."""
        try:
            return self._file.execute(f"DELETE FROM rows WHERE {where}", values).rowcount  # noqa: S608 - constants
        except sqlite3.Error as error:
            self.failed += 1
            log.error("the spool does not let go of rows: %s", error)
            return 0

    # -- which recordings were told of

    def remember_told(self, path: str) -> None:
        self._file.execute("INSERT OR IGNORE INTO told VALUES (?)", (path,))

    def forget_told(self, paths: Sequence[str]) -> None:
        self._file.executemany("DELETE FROM told WHERE path = ?", [(path,) for path in paths])

    def told(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._file.execute("SELECT path FROM told"))
