"""Named time zones: their offsets over a span of time, and where their days begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC = "UTC"
_STEP_S = 86_400.0  # no zone changes its clocks twice within a day


@dataclass(frozen=True, slots=True)
class Piece:
    """From Unix time ``begin`` to ``end`` clocks are ``offset_s`` ahead of UTC."""

    begin: float
    end: float
    offset_s: int


def zone_named(name: str) -> ZoneInfo:
    """Raises ValueError for a name that the IANA database does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the others: names that are paths, folders
        raise ValueError(f"expected a time zone of the IANA database, such as Europe/Berlin, got {name!r}") from None


def offset_s(zone: ZoneInfo, unix: float) -> int:
    """→ seconds that clocks in this zone are ahead of UTC at that time."""
    ahead = datetime.fromtimestamp(unix, zone).utcoffset()
    return 0 if ahead is None else round(ahead.total_seconds())


def pieces(zone: ZoneInfo, begin: float, end: float) -> tuple[Piece, ...]:
    """→ the times from ``begin`` to ``end`` (Unix, begin < end) between two changes of the clock, in order."""
    found: list[Piece] = []
    start, here, ahead = begin, begin, offset_s(zone, begin)
    while here < end:
        there = min(here + _STEP_S, end)
        if offset_s(zone, there) != ahead:
            there = _change(zone, here, there)
            found.append(Piece(start, there, ahead))
            start, ahead = there, offset_s(zone, there)
        here = there
    return (*found, Piece(start, end, ahead)) if start < end else tuple(found)


def _change(zone: ZoneInfo, before: float, after: float) -> float:
    """→ the first whole second with the offset of ``after``."""
    low, high, wanted = int(before), int(-(-after // 1)), offset_s(zone, after)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if offset_s(zone, middle) == wanted else (middle, high)
    return float(high)


def local(zone: ZoneInfo, unix: float) -> datetime:
    """→ what clocks in this zone show."""
    return datetime.fromtimestamp(unix, zone)


def at(zone: ZoneInfo, day: date, hour: int = 0, minute: int = 0) -> float:
    """→ Unix time at which clocks show this; the first of two, and behind the hour that a clock leaves out."""
    wanted = datetime.combine(day, time(hour, minute), zone)
    unix = wanted.astimezone(timezone.utc).timestamp()
    shown = local(zone, unix)
    if (shown.hour, shown.minute) == (hour, minute):
        return unix
    return next(piece.begin for piece in pieces(zone, unix - _STEP_S, unix + _STEP_S)[1:])


def next_day(day: date, days: int = 1) -> date:
    return day + timedelta(days=days)
