"""Times of day in a zone that has a name: in pictures, in tables, beside UTC."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo


def local_text(unix_s: float, zone: tzinfo) -> str:
    """→ ``2026-01-31 12:34:56.123 +01:00``."""
    moment = datetime.fromtimestamp(round(unix_s, 3), timezone.utc).astimezone(zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} {offset[:3]}:{offset[3:5]}"


def clock_text(unix_s: float, zone: tzinfo) -> str:
    """→ ``2026-01-31 12:34:56.1 CET``, short enough for a corner of a picture."""
    moment = datetime.fromtimestamp(unix_s, timezone.utc).astimezone(zone)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000} {moment:%Z}"
