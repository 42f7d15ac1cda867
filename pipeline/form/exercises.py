"""Which exercises are known, and their thresholds by name: what counts as a repetition and what as a mistake.

Angles are of the joint that bends (knee, elbow) in the picture, 180 = straight. Lengths are in parts of the person's
own lower limb (shin, forearm), so that they hold at any distance from the camera.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any


class Exercise(str, Enum):
    SQUAT = "squat"
    PUSH_UP = "push-up"
    PULL_UP = "pull-up"


AUTO = "auto"  # each person's own, by the label of the action network
CHOICES = (*(exercise.value for exercise in Exercise), AUTO)


@dataclass(frozen=True, slots=True)
class FormRules:
    """A repetition bends to ``flexed_deg`` or less, by ``swing_deg`` at least, and straightens by as much again; it
    ends at ``extended_deg``, or at the straightest moment before the next. It takes ``least_s`` to ``most_s``.

    The others are rules for how it is done; None: not asked. ``low_deg``: the turning point must be as low (*not_low*).
    ``heels_up``: ankles may rise by so much (*heels_up*). ``upper_body_first``: by which share of the way up the
    shoulders may be ahead of the hips. ``chin_over_bar``: how far above the hands the nose must come
    (*chin_below_bar*).
    """

    extended_deg: float
    flexed_deg: float
    swing_deg: float
    least_s: float = 0.4
    most_s: float = 12.0
    low_deg: float | None = None
    heels_up: float | None = None
    upper_body_first: float | None = None
    chin_over_bar: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.flexed_deg < self.extended_deg <= 180:
            raise ValueError(
                f"expected 0 < flexed_deg < extended_deg <= 180, got {self.flexed_deg:g} and {self.extended_deg:g}"
            )
        if not 0 < self.swing_deg < 180:
            raise ValueError(f"expected 0 < swing_deg < 180, got {self.swing_deg:g}")
        if not 0 < self.least_s < self.most_s <= 60:
            raise ValueError(f"expected 0 < least_s < most_s <= 60, got {self.least_s:g} and {self.most_s:g}")


DEFAULTS: Mapping[Exercise, FormRules] = {
    Exercise.SQUAT: FormRules(extended_deg=160, flexed_deg=130, swing_deg=30, low_deg=100, heels_up=0.15),
    Exercise.PUSH_UP: FormRules(extended_deg=145, flexed_deg=105, swing_deg=35, low_deg=95, upper_body_first=0.4),
    Exercise.PULL_UP: FormRules(extended_deg=145, flexed_deg=105, swing_deg=35, chin_over_bar=0.1),
}
_NEEDED = frozenset({"extended_deg", "flexed_deg", "swing_deg", "least_s", "most_s"})

Overrides = Mapping[str, Mapping[str, float | None]]


def rules_with(*overrides: Overrides | None) -> dict[Exercise, FormRules]:
    """→ the rules of every exercise; later overrides, ``{"squat": {"low_deg": 90}}``, stand over earlier ones.

    None in a rule's place switches it off. Raises ValueError for what no exercise has.
    """
    rules = dict(DEFAULTS)
    for each in overrides:
        for name, changes in (each or {}).items():
            exercise = _exercise(name)
            rules[exercise] = _changed(rules[exercise], exercise, changes)
    return rules


def _exercise(name: str) -> Exercise:
    try:
        return Exercise(name)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(item.value for item in Exercise)}, got {name!r}") from None


def _changed(rules: FormRules, exercise: Exercise, changes: Mapping[str, float | None]) -> FormRules:
    own = {name for name, value in asdict(DEFAULTS[exercise]).items() if value is not None}
    for name, value in changes.items():
        if name not in own:
            raise ValueError(f"{exercise.value} has no threshold {name!r}: expected one of {', '.join(sorted(own))}")
        if value is None and name in _NEEDED:
            raise ValueError(f"{exercise.value}.{name}: expected a number, got null")
        if isinstance(value, bool) or (value is not None and not math.isfinite(value)):
            raise ValueError(f"{exercise.value}.{name}: expected a finite number, got {value}")
    given: dict[str, Any] = dict(changes)
    return replace(rules, **given)


def exercise_of(label: str) -> Exercise | None:
    """→ the exercise that an action's label names, however it is written: ``Push-up``, ``push ups``, ``Squats``."""
    letters = re.sub(r"[^a-z]", "", label.lower()).removesuffix("s")
    return _BY_LETTERS.get(letters)


_BY_LETTERS = {item.value.replace("-", ""): item for item in Exercise}
