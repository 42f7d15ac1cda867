"""What was wrong with a repetition, by the named thresholds: pure functions on its samples.

Each check answers True (broken), False (kept) or None where the picture does not show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.form.exercises import FormRules
from pipeline.form.joints import Sample
from pipeline.form.repetitions import Attempt

_LEAST_RISE = 0.25  # hips of a straight body rise at least so much of what the shoulders do


def check(attempt: Attempt, rules: FormRules) -> dict[str, bool | None]:
    """→ rule → whether it was broken, for the rules that are asked."""
    asked = {name: (run, limit) for name, (run, limit) in _checks(rules).items() if limit is not None}
    return {name: run(attempt, limit) for name, (run, limit) in asked.items() if limit is not None}


_Check = Callable[[Attempt, float], bool | None]


def _checks(rules: FormRules) -> dict[str, tuple[_Check, float | None]]:
    return {
        "not_low": (not_low, rules.low_deg),
        "heels_up": (heels_up, rules.heels_up),
        "upper_body_first": (upper_body_first, rules.upper_body_first),
        "chin_below_bar": (chin_below_bar, rules.chin_over_bar),
    }


def not_low(attempt: Attempt, low_deg: float) -> bool | None:
    """The joint stayed straighter than ``low_deg``. From the front a knee's depth cannot be told to ten degrees."""
    turn = attempt.samples[attempt.turn]
    return None if turn.frontal else turn.angle_deg > low_deg


def heels_up(attempt: Attempt, limit: float) -> bool | None:
    """The ankles rose by more than ``limit`` shins; COCO has no heels. Needs a camera that stands still."""
    ankles = [sample.ankle for sample in attempt.samples if math.isfinite(sample.ankle)]
    if not math.isfinite(attempt.samples[0].ankle) or len(ankles) < 3:
        return None
    highest = sorted(ankles)[-2]  # one wrong pose lifts no heel
    return (highest - attempt.samples[0].ankle) / attempt.limb > limit


def upper_body_first(attempt: Attempt, limit: float) -> bool | None:
    """On the way up the shoulders were ahead of the hips by more than ``limit`` of the way. Needs a view from aside."""
    way = [each for each in attempt.samples[attempt.turn :] if each.aside]
    if len(way) < 4 or way[-1].shoulder - way[0].shoulder <= 0:
        return None
    shoulders = way[-1].shoulder - way[0].shoulder
    hips = max(way[-1].hip - way[0].hip, _LEAST_RISE * shoulders)
    ahead = [_ahead(each, way[0], shoulders, hips) for each in way[1:-1]]
    return sorted(ahead)[-1 if len(ahead) < 4 else -2] > limit


def _ahead(now: Sample, low: Sample, shoulders: float, hips: float) -> float:
    """By which share of their own ways shoulders are ahead of hips."""
    return (now.shoulder - low.shoulder) / shoulders - (now.hip - low.hip) / hips


def chin_below_bar(attempt: Attempt, limit: float) -> bool | None:
    """The nose never came ``limit`` forearms above the hands. Needs a face that is seen."""
    over = [sample.chin_over_hands for sample in attempt.samples if math.isfinite(sample.chin_over_hands)]
    return None if len(over) < 3 else sorted(over)[-2] / attempt.limb < limit
