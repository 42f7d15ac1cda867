"""Days and parts of them in words: yesterday, last night, friday evening, 2026-11-01, 3 may, last 3 hours."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from service.local_time.zones import at, local, next_day

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Part of a day → hours from its midnight on.
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (20, 30)}
_PART = "(?P<part>" + "|".join(_PARTS) + ")"
_MONTH = "(?P<month>" + "|".join(_MONTHS) + r")[a-z]*\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEARS = range(1971, 2999)  # in any zone such a day lies within the times that the API takes
_LENGTHS = {"minute": 60, "min": 60, "hour": 3600, "h": 3600, "day": 86_400, "week": 604_800}


@dataclass(frozen=True, slots=True)
class Days:
    """Unix times, and what they mean in words."""

    since: float
    until: float
    means: str


@dataclass(frozen=True, slots=True)
class Now:
    """By which words about days are understood."""

    unix: float
    zone: ZoneInfo

    @property
    def today(self) -> date:
        return local(self.zone, self.unix).date()


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?:on |since the )?(?:{text})(?![\w:])")


_LAST = _pattern(r"(?:in the )?(?:last|past) (?P<number>\d{1,4})? ?(?P<unit>minute|min|hour|h|day|week)s?")
_LAST_NIGHT = _pattern("last night")
_THIS = _pattern(rf"this {_PART}")
_TONIGHT = _pattern("tonight")
_ISO = _pattern(r"(?P<year>\d{4})-(?P<m>\d{1,2})-(?P<day>\d{1,2})(?: (?:in the )?" + _PART + ")?")
_POINTS = _pattern(r"(?P<day>\d{1,2})\.(?P<m>\d{1,2})\.(?P<year>\d{4})?(?: (?:in the )?" + _PART + ")?")
_DAY_FIRST = _pattern(rf"{_DAY} (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}}))?(?: (?:in the )?{_PART})?")
_MONTH_FIRST = _pattern(rf"{_MONTH} {_DAY}(?:,? (?P<year>\d{{4}}))?(?: (?:in the )?{_PART})?")
_NAMED = _pattern(rf"(?P<before>last )?(?P<name>today|yesterday|{'|'.join(_WEEKDAYS)})(?: (?:in the )?{_PART})?")


def read_days(text: str, place: int, now: Now) -> tuple[Days, int] | None:
    """→ what the words at ``place`` of a plain text mean, and where they end. None: nothing about days."""
    for pattern, read in _READERS:
        match = pattern.match(text, place)
        days = None if match is None else read(match, now)
        if match is not None and days is not None:
            return days, match.end()
    return None


def _last(match: re.Match[str], now: Now) -> Days:
    seconds = int(match["number"] or 1) * _LENGTHS[match["unit"]]
    return Days(max(0.0, now.unix - seconds), now.unix, match[0])


def _named(match: re.Match[str], today: date) -> date:
    """A weekday is the newest of its name; with ``last`` it is not today."""
    name = match["name"]
    if name in ("today", "yesterday"):
        return today if name == "today" else next_day(today, -1)
    back = (today.weekday() - _WEEKDAYS.index(name)) % 7
    return next_day(today, -(back or (7 if match["before"] else 0)))


def _last_night(_match: re.Match[str], now: Now) -> Days:
    """The one that is over, or goes on since yesterday."""
    return _part(next_day(now.today, -1), "night", now)


def _tonight(_match: re.Match[str], now: Now) -> Days:
    return _part(now.today, "night", now)


def _this(match: re.Match[str], now: Now) -> Days:
    return _part(now.today, match["part"], now)


def _day_named(match: re.Match[str], now: Now) -> Days:
    return _part(_named(match, now.today), match["part"], now)


def _day_dated(match: re.Match[str], now: Now) -> Days | None:
    day = _date(match.groupdict(), now.today)
    return None if day is None else _part(day, match["part"], now)


def _date(parts: dict[str, str | None], today: date) -> date | None:
    """→ None for one that no calendar has. Without a year the newest that is not to come."""
    month = int(parts["m"] or 0) if "m" in parts else _MONTHS.index(str(parts["month"])[:3]) + 1
    years = [int(str(parts["year"]))] if parts["year"] else [today.year, today.year - 1]
    for year in years:
        try:
            day = date(year, month, int(str(parts["day"])))
        except ValueError:
            continue
        if year in _YEARS and (parts["year"] or day <= today):
            return day
    return None


def _part(day: date, part: str | None, now: Now) -> Days:
    first, last = _PARTS[part] if part else (0, 24)
    since, until = _hour(now.zone, day, first), _hour(now.zone, day, last)
    shown = f"{day:%a} {day.isoformat()}"
    return Days(since, until, f"{shown}, {part} ({first:02d}:00-{last % 24:02d}:00)" if part else shown)


def _hour(zone: ZoneInfo, day: date, hour: int) -> float:
    return at(zone, next_day(day, hour // 24), hour % 24)


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Now], Days | None]], ...] = (
    (_LAST_NIGHT, _last_night),
    (_LAST, _last),
    (_THIS, _this),
    (_TONIGHT, _tonight),
    (_NAMED, _day_named),
    *((pattern, _day_dated) for pattern in (_ISO, _POINTS, _DAY_FIRST, _MONTH_FIRST)),
)
