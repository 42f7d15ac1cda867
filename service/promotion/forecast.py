"""Alerts a day, foretold: what rules look for, counted in what a version that is tried would have said.

What is counted are events that reach a rule's confidence in one of its actions, on streams that the rule covers. Left
out is what a rule says besides: its zones, schedule, grouping, cooldown and consensus. So the numbers are those of
events worth an alert, not of messages; they are made alike for both versions and compared with each other only.

The version that is tried sees a part of the clips. What it would have said is therefore scaled by what the serving
version really said, over what it would have said on that part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.storage.rules import RuleRecord
from service.versions.tally import Counts, ShadowTally, reaching

DAY_S = 86_400.0
LEAST_SECONDS = 60.0  # of watching a stream, below which nothing is foretold


@dataclass(frozen=True, slots=True)
class StreamForecast:
    """Alerts a day of the version that serves and of the one that is tried."""

    champion: float
    challenger: float


def looking(rules: Iterable[RuleRecord], stream_id: str) -> list[Mapping[str, float] | None]:
    """→ of each enabled rule about actions that covers a stream, which it looks for; None: all of them."""
    found: list[Mapping[str, float] | None] = []
    for rule in rules:
        covers = not rule.body["streams"] or stream_id in rule.body["streams"]
        if rule.enabled and covers and (rule.body.get("actions") or rule.body["kind"] == "action"):
            found.append(rule.body.get("actions"))
    return found


def forecast(tally: ShadowTally, rules: Sequence[RuleRecord], stream_id: str) -> StreamForecast:
    if tally.seconds < LEAST_SECONDS:
        return StreamForecast(0.0, 0.0)
    wanted = looking(rules, stream_id)

    def alerts(counts: Counts) -> float:
        return sum(reaching(counts, actions) for actions in wanted)

    a_day = DAY_S / tally.seconds
    real, sampled = alerts(tally.told), alerts(tally.champion)
    scale = max(1.0, real / sampled) if sampled else 1.0
    return StreamForecast(real * a_day, alerts(tally.challenger) * scale * a_day)


def alerts_among(events: Iterable[tuple[str, str, float]], rules: Sequence[RuleRecord]) -> int:
    """Stream, action and highest confidence of events → how many of them rules look for, once for each rule."""
    count = 0
    for stream_id, action, confidence in events:
        for actions in looking(rules, stream_id):
            count += actions is None or confidence >= actions.get(action, 2.0)
    return count
