"""What happens again and again in a short time is one row of the audit and a number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from service.storage.access.audit import AuditEntry

MOST = 100  # different ones in a time; all further ones count as one, whoever they are
_MANY = "(many)"


@dataclass
class _Counted:
    entry: AuditEntry
    more: int = 0


class Repeats:
    """Rows that are alike but for time and detail: the first is let through, those of the next ``window_s`` counted."""

    def __init__(self, window_s: float, most: int = MOST) -> None:
        self._window_s = window_s
        self._most = most
        self._counted: dict[tuple[str, ...], _Counted] = {}

    def admit(self, entry: AuditEntry) -> AuditEntry | None:
        """→ the row to write; None where it is only counted."""
        key = _key(entry)
        if key not in self._counted and len(self._counted) >= self._most:
            entry = replace(entry, principal=_MANY, address=_MANY, object=_MANY, detail={})
            key = _key(entry)
        known = self._counted.get(key)
        if known is None:
            self._counted[key] = _Counted(entry)
            return entry
        known.more += 1
        return None

    def over(self, now: float) -> Iterator[AuditEntry]:
        """→ for each time that is over, the row that says how many were counted in it. A clock set back ends it too."""
        over = [key for key, each in self._counted.items() if not 0 <= now - each.entry.at < self._window_s]
        return self._take(over, now)

    def all(self, now: float) -> Iterator[AuditEntry]:
        """→ the same for those that go on."""
        return self._take(list(self._counted), now)

    def _take(self, keys: list[tuple[str, ...]], now: float) -> Iterator[AuditEntry]:
        for key in keys:
            counted = self._counted.pop(key)
            if counted.more:
                yield replace(counted.entry, at=now, detail={"repeated": counted.more})


def _key(entry: AuditEntry) -> tuple[str, ...]:
    return (entry.principal, entry.address, entry.action, entry.object, entry.result)
