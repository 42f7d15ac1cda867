"""A span of the day, as ``22:00-06:00``: also over midnight, by what clocks show in a zone."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TEXT = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """From ``begin_s`` on until before ``end_s``, seconds since midnight; over midnight where the end is smaller."""

    begin_s: int
    end_s: int

    def __post_init__(self) -> None:
        if not (0 <= self.begin_s < DAY_S and 0 < self.end_s <= DAY_S and self.begin_s != self.end_s):
            raise ValueError("expected a span of the day as 22:00-06:00, with two different times from 00:00 to 24:00")

    @classmethod
    def parse(cls, text: str) -> TimeOfDay:
        """Raises ValueError. An end of 00:00 is the end of the day."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError("expected a span of the day as 22:00-06:00")
        begin, end = _seconds(match[1], match[2]), _seconds(match[3], match[4])
        return cls(begin % DAY_S, end or DAY_S)

    def __str__(self) -> str:
        return f"{_shown(self.begin_s)}-{_shown(self.end_s)}"

    def has(self, second: int) -> bool:
        """Whether a second of the day, 0 … 86399, lies in it."""
        if self.begin_s < self.end_s:
            return self.begin_s <= second < self.end_s
        return second >= self.begin_s or second < self.end_s


def _seconds(hours: str, minutes: str) -> int:
    seconds = int(hours) * 3600 + int(minutes) * 60
    if int(minutes) > 59 or seconds > DAY_S:
        raise ValueError("expected times from 00:00 to 24:00")
    return seconds


def _shown(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
