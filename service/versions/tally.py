"""What trying a version beside the one that serves found in one stream, over some time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TENTHS = 10

Counts = Mapping[str, tuple[int, ...]]  # action → events by tenth of the highest confidence that they reached


@dataclass(frozen=True, slots=True)
class ShadowTally:
    """``clips`` that both versions judged, ``agreed`` of them alike, in ``seconds`` of watching.

    Then events that ended, of a smoother over these clips by the one version and by the other, and the real ones.
    ``disagreed``: real events during which the two said different things.
    """

    version: str
    seconds: float
    clips: int
    agreed: int
    champion: Counts
    challenger: Counts
    told: Counts
    disagreed: tuple[str, ...] = ()


def tenth_of(confidence: float) -> int:
    return min(TENTHS - 1, max(0, int(confidence * TENTHS)))


def added(one: Counts, other: Counts) -> dict[str, tuple[int, ...]]:
    """→ both together."""
    none = (0,) * TENTHS
    return {
        action: tuple(a + b for a, b in zip(one.get(action, none), other.get(action, none), strict=True))
        for action in sorted({*one, *other})
    }


def reaching(counts: Counts, least: Mapping[str, float] | None) -> float:
    """→ how many events have one of these actions at the confidence asked for; None: all of them.

    A threshold within a tenth takes a part of it.
    """
    wanted = dict.fromkeys(counts, 0.0) if least is None else least
    return sum(_above(counts[action], confidence) for action, confidence in wanted.items() if action in counts)


def _above(tenths: tuple[int, ...], confidence: float) -> float:
    return sum(count * min(1.0, max(0.0, index + 1 - confidence * TENTHS)) for index, count in enumerate(tenths))
