"""What happened, as a table that spreadsheets open without running what stands in it, and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from service.exports.clock import local_text
from service.wire_messages import parse_rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what makes spreadsheets take a cell for a formula
_BOM = "\ufeff"  # so that they read UTF-8
COLUMNS = (
    *("event", "camera", "camera_id", "person", "action", "started_utc", "ended_utc", "started_local", "ended_local"),
    *("confidence", "peak_confidence", "model", "zones", "video", "video_s"),
    *("began_before", "verdict", "verdict_label", "verdict_by"),
)


def safe_cell(value: object) -> str:
    """→ text as it is, but what would be a formula behind an apostrophe, which spreadsheets do not show."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def events_csv(
    events: Iterable[Mapping[str, Any]],
    cameras: Mapping[str, str],
    videos: Mapping[str, tuple[str, float]],
    zone: tzinfo,
) -> bytes:
    """One row an event. ``cameras``: id → name; ``videos``: id → name of its file, Unix time of its first picture."""
    out = io.StringIO(newline="")
    out.write(_BOM)
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for event in events:
        table.writerow([safe_cell(cell) for cell in _row(event, cameras, videos, zone)])
    return out.getvalue().encode("utf-8")


def _row(
    event: Mapping[str, Any], cameras: Mapping[str, str], videos: Mapping[str, tuple[str, float]], zone: tzinfo
) -> Sequence[object]:
    camera_id, started = event["stream_id"], parse_rfc3339(event["started_at"])
    ended, verdict = event["ended_at"], event.get("verdict") or {}
    video, begins = videos.get(camera_id, ("", started))
    return (
        *(event["id"], cameras.get(camera_id, camera_id), camera_id, event["track_id"], event["action"]),
        *(event["started_at"], ended),
        *(local_text(started, zone), None if ended is None else local_text(parse_rfc3339(ended), zone)),
        *(event["confidence"], event["peak_confidence"], event["model"], " ".join(event["zones"])),
        *(video, round(started - begins, 3) if video else None),
        "yes" if event.get("began_before") else "",
        *(verdict.get(name) for name in ("verdict", "label", "by")),
    )


def as_json(value: object) -> bytes:
    """Readable, and the same bytes for the same value."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
