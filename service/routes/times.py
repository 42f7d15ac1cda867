"""Times in queries and answers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, StringConstraints

from service.local_time.zones import UTC, zone_named
from service.settings import Settings

_END = datetime(3000, 1, 1, tzinfo=timezone.utc)


def _in_time(moment: datetime) -> datetime:
    if not 0 <= moment.timestamp() < _END.timestamp():
        raise ValueError("expected a time of the years 1970 to 2999")
    return moment


# A time with offset; what lies far beyond all recordings cannot be told in every zone.
Moment = Annotated[AwareDatetime, AfterValidator(_in_time)]


def _known(name: str) -> str:
    zone_named(name)
    return name


Timezone = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$"), AfterValidator(_known)]


def unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def zone_of(asked: str | None, settings: Settings) -> ZoneInfo:
    """→ the zone of a request: the one it names, else the service's, else UTC."""
    return zone_named(asked or settings.timezone or UTC)
