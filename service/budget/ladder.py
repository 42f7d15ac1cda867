"""The rungs of the compute budget: what every stream gets, best first, in the order in which it gives way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.budget.plan import UNLIMITED_HZ, Tier

ENOUGH_HZ = 12.5  # detections a second: more do not keep people better apart
LEAST_HZ = 3.0
HOPS_S = ((0.64, 0.64), (0.64, 1.28), (1.0, 1.6), (1.3, 2.0), (1.5, 4.0))  # moving or unsure people, settled ones
LATE_HOPS_S = ((2.0, 8.0), (3.0, 8.0), (5.0, 8.0), (8.0, 8.0))
SIZES = (640, 480, 416)
LEAST_SIZE = 320
RATES_HZ = (8.0, 6.0, 5.0, 4.0, LEAST_HZ)


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: what every stream gets unless it pins a tier."""

    tier: Tier
    hop_s: float
    settled_hop_s: float
    image_size: int
    detections_per_s: float


def ladder(image_size: int) -> tuple[Step, ...]:
    """→ all steps, best first, for a detector that is configured to ``image_size``."""
    sizes = (image_size, *(size for size in SIZES if size < image_size))
    least = min(LEAST_SIZE, image_size)

    def steps() -> Iterator[Step]:
        first, light = HOPS_S[0], HOPS_S[-1]
        yield Step(Tier.FULL, *first, image_size, UNLIMITED_HZ)
        yield Step(Tier.FULL, *first, image_size, ENOUGH_HZ)
        for hops in HOPS_S:
            yield Step(Tier.LIGHT, *hops, image_size, ENOUGH_HZ)
        for size in sizes[1:]:
            yield Step(Tier.LIGHT, *light, size, ENOUGH_HZ)
        for rate in RATES_HZ:
            yield Step(Tier.LIGHT, *light, sizes[-1], rate)
        for hops in (light, *LATE_HOPS_S):
            yield Step(Tier.LIGHT, *hops, least, LEAST_HZ)

    return tuple(dict.fromkeys(steps()))


def detections(steps: Sequence[Step]) -> tuple[tuple[int, float], ...]:
    """→ the detector's inputs and rates of the steps, best first, without a rate that is no limit."""
    pairs = ((step.image_size, step.detections_per_s) for step in steps)
    return tuple(dict.fromkeys((size, rate) for size, rate in pairs if rate <= ENOUGH_HZ))
