"""How a version that is tried does so far, and whether that suffices to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.promotion.forecast import forecast
from service.storage.records import StreamRecord
from service.storage.rules import RuleRecord
from service.versions.tally import ShadowTally


@dataclass(frozen=True, slots=True)
class Readiness:
    """What it takes before a trial says something."""

    clips: int = 200
    hours: float = 24.0


@dataclass(frozen=True, slots=True)
class StreamTrial:
    """One stream. ``agreement``: share of clips, None without any."""

    id: str
    name: str
    clips: int
    agreement: float | None
    alerts_a_day_champion: float
    alerts_a_day_challenger: float


@dataclass(frozen=True, slots=True)
class ShadowTrial:
    """All streams together. ``hours``: since the trial began."""

    version: str
    clips: int
    hours: float
    agreement: float | None
    by_stream: tuple[StreamTrial, ...]
    ready: bool
    why: str


def trial_of(
    version: str,
    tallies: Mapping[str, ShadowTally],
    streams: Sequence[StreamRecord],
    rules: Sequence[RuleRecord],
    hours: float,
    readiness: Readiness,
) -> ShadowTrial:
    """``streams``: those that are to be told of; of others nothing is in ``tallies`` either."""
    parts = [_stream(stream, tallies[stream.id], rules) for stream in streams if stream.id in tallies]
    clips, agreed = sum(each.clips for each in tallies.values()), sum(each.agreed for each in tallies.values())
    missing = []
    if clips < readiness.clips:
        missing.append(f"{readiness.clips - clips} more clips")
    if hours < readiness.hours:
        missing.append(f"{readiness.hours - hours:.1f} more hours")
    why = f"it takes {' and '.join(missing)}" if missing else f"{clips} clips in {hours:.0f} hours"
    agreement = agreed / clips if clips else None
    return ShadowTrial(version, clips, hours, agreement, tuple(parts), not missing, why)


def _stream(stream: StreamRecord, tally: ShadowTally, rules: Sequence[RuleRecord]) -> StreamTrial:
    foretold = forecast(tally, rules, stream.id)
    agreement = tally.agreed / tally.clips if tally.clips else None
    return StreamTrial(stream.id, stream.name, tally.clips, agreement, foretold.champion, foretold.challenger)
