"""When a rule is armed: windows of a week by the clock on the wall, also on nights when it is put forward or back.

A window is open at a moment if the local time then lies in it: "22:00" to "06:00" is open at every moment whose local
time is 22:00 or later, or before 06:00. So an hour that comes twice is in it twice, and one that is left out is not
missed. A window's day is that on which it begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 1440  # of a day
DAY_S = 86_400
_HORIZON_DAYS = 15  # a window may be left out once, by a clock that is put forward
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """``days``: as ``date.weekday`` has them; ``start``, ``end``: minutes of a day, over midnight if end ≤ start."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, weekday: int, minute: float) -> bool:
        """Whether it is open on this day of the week, so many minutes after midnight by the clock on the wall."""
        today, yesterday = weekday in self.days, (weekday - 1) % 7 in self.days
        if self.start < self.end:
            return today and self.start <= minute < self.end
        return (today and minute >= self.start) or (yesterday and minute < self.end)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The windows of a week in one time zone; armed while any of them is open."""

    timezone: str
    windows: tuple[Window, ...]

    def armed(self, at: float) -> bool:
        """At Unix time ``at``."""
        local = datetime.fromtimestamp(at, _zone(self.timezone))
        minute = local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / 60
        return any(window.holds(local.weekday(), minute) for window in self.windows)

    def armed_from(self, at: float) -> float | None:
        """→ the first moment from ``at`` on at which it is armed; None if it never is."""
        return at if self.armed(at) else self._next(at, armed=True)

    def armed_until(self, at: float) -> float | None:
        """→ the first moment from ``at`` on at which it is not armed; None if it always is."""
        return self._next(at, armed=False) if self.armed(at) else at

    def _next(self, at: float, armed: bool) -> float | None:
        day = int(at // DAY_S)
        moments = (edge for ahead in range(_HORIZON_DAYS + 1) for edge in _edges(self, day + ahead))
        return next((edge for edge in moments if edge > at and self.armed(edge) is armed), None)


@lru_cache(maxsize=4096)
def _edges(schedule: Schedule, utc_day: int) -> tuple[float, ...]:
    """→ the moments of one day since 1970 (UTC) at which the schedule may change, in order."""
    zone, begin = _zone(schedule.timezone), utc_day * DAY_S
    first = datetime.fromtimestamp(begin, zone).date()
    minutes = {0} | {minute % MINUTES for window in schedule.windows for minute in (window.start, window.end)}
    days = [first, first + timedelta(days=1)]
    edges = {moment for day in days for minute in minutes for moment in _moments(day, minute, zone)}
    edges |= _transition(begin, begin + DAY_S, zone)
    return tuple(sorted(edge for edge in edges if begin <= edge < begin + DAY_S))


def _moments(day: date, minute: int, zone: tzinfo) -> tuple[float, float]:
    """→ when the clock on the wall shows it: twice, where it is put back."""
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return local.timestamp(), local.replace(fold=1).timestamp()


def _transition(begin: int, end: int, zone: tzinfo) -> set[float]:
    """→ the second at which the clock is put forward or back between two moments, if it is."""
    before = _offset(begin, zone)
    if before == _offset(end, zone):
        return set()
    while end - begin > 1:
        middle = (begin + end) // 2
        begin, end = (middle, end) if _offset(middle, zone) == before else (begin, middle)
    return {float(end)}


def _offset(at: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at, timezone.utc).astimezone(zone).utcoffset()


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def check_timezone(name: str) -> str:
    """Raises ValueError for what is no time zone of the IANA database."""
    try:
        _zone(name)
    except (ValueError, OSError, LookupError):  # an unknown one is a KeyError, a folder of them an OSError
        raise ValueError("expected a time zone such as Europe/Berlin or UTC") from None
    return name


def parse_days(text: str) -> frozenset[int]:
    """``mon-fri``, ``sat,sun``, ``fri-mon`` → numbers from 0 (Monday). Raises ValueError."""
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError("expected days such as mon-fri or sat,sun")
        begin = DAYS.index(first)
        count = (DAYS.index(last) - begin) % 7 + 1 if dash else 1
        days |= {(begin + ahead) % 7 for ahead in range(count)}
    return frozenset(days)


def parse_time(text: str, last: bool = False) -> int:
    """``22:30`` → minutes of the day; ``24:00`` where it is the ``last`` of a window. Raises ValueError."""
    if last and text == "24:00":
        return MINUTES
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("expected a time such as 22:30")
    return int(match[1]) * 60 + int(match[2])
