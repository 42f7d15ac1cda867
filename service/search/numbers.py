"""Numbers in words: times of day, how long something lasted, how sure the network was."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.local_time.time_of_day import DAY_S, TimeOfDay

_MORE, _LESS = r"(?:over|above|longer than|more than|at least|from|>=?)", r"(?:below|under|less than|at most|<=?)"
_PERCENT = re.compile(rf"(?P<sign>{_MORE}|{_LESS}) ?(?P<number>\d{{1,3}}(?:\.\d+)?) ?(?:%|percent)")
_LONG = re.compile(rf"{_MORE} ?(?P<number>\d{{1,5}}(?:\.\d+)?) ?(?P<unit>s|sec|seconds?|min|minutes?|h|hours?)(?!\w)")
_CLOCK = r"(?P<{0}h>\d{{1,2}})(?::(?P<{0}m>\d{{2}}))? ?(?P<{0}x>am|pm|h)?"
_FROM, _TO = _CLOCK.format("a"), _CLOCK.format("b")
_BETWEEN = re.compile(rf"(?:from |between )?{_FROM} ?(?:-|–|to|until|and) ?{_TO}(?![\w:%.-])")
_SIDE = re.compile(rf"(?P<side>after|before|since|until) {_FROM}(?![\w:%.-])")
_AT_NIGHT = re.compile(r"(?:at night|nights?)(?!\w)")
_TRACK = re.compile(r"(?:track|person) ?#?(?P<number>\d{1,9})(?!\w)|#(?P<only>\d{1,9})(?!\w)")
NIGHT = TimeOfDay(22 * 3600, 6 * 3600)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the query, and what it means in words."""

    name: str
    value: str
    means: str


def read_number(text: str, place: int) -> tuple[Filter, int] | None:
    """→ what the words at ``place`` of a plain text mean, and where they end. None: nothing with a number."""
    if match := _PERCENT.match(text, place):
        return _confidence(match), match.end()
    if match := _LONG.match(text, place):
        return _duration(match), match.end()
    if match := _TRACK.match(text, place):
        number = match["number"] or match["only"]
        return Filter("track", number, f"person {number}"), match.end()
    return None


def read_time_of_day(text: str, place: int) -> tuple[TimeOfDay, int] | None:
    """→ a span of the day and where its words end. None: nothing of the kind."""
    if match := _AT_NIGHT.match(text, place):
        return NIGHT, match.end()
    if match := _BETWEEN.match(text, place):
        begin, end = _seconds(match, "a"), _seconds(match, "b")
        return _span(begin, end, match.end())
    if match := _SIDE.match(text, place):
        at = _seconds(match, "a")
        late = match["side"] in ("after", "since")
        return _span(at, DAY_S, match.end()) if late else _span(0, at, match.end())
    return None


def _span(begin: int | None, end: int | None, place: int) -> tuple[TimeOfDay, int] | None:
    if begin is None or end is None:
        return None
    try:
        return TimeOfDay(begin % DAY_S, end or DAY_S), place
    except ValueError:
        return None


def _seconds(match: re.Match[str], which: str) -> int | None:
    hour, minute, half = int(match[f"{which}h"]), int(match[f"{which}m"] or 0), match[f"{which}x"]
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour * 3600 + minute * 60 if hour * 60 + minute <= 24 * 60 and minute < 60 else None


def _confidence(match: re.Match[str]) -> Filter:
    share = min(float(match["number"]), 100.0) / 100
    least = re.fullmatch(_MORE, match["sign"]) is not None
    name = "min_confidence" if least else "max_confidence"
    return Filter(name, f"{share:g}", f"confidence {'at least' if least else 'at most'} {share * 100:g} %")


def _duration(match: re.Match[str]) -> Filter:
    unit = {"s": 1, "m": 60, "h": 3600}[match["unit"][0]]
    seconds = float(match["number"]) * unit
    return Filter("min_duration_s", f"{seconds:g}", f"at least {seconds:g} s long")
