"""When a training has to wait for people's labels."""

from __future__ import annotations

from service.retraining.label_ages import WINDOW_S, LabelAges


def watched(ages: LabelAges, start_s: float, seconds: int, age_s: float) -> float:
    for second in range(seconds):
        ages.add(start_s + second, [age_s, age_s])
    return start_s + seconds


def test_training_waits_while_labels_are_late_and_goes_on_once_they_are_not() -> None:
    ages = LabelAges(1.0)
    now = watched(ages, 0, 40, 0.4)
    ages.begin()
    assert ages.suffering() is None
    now = watched(ages, now, 5, 2.5)
    assert ages.suffering() == "cameras come first: labels are 2.5 s old, at most 1.0 s is allowed"
    now = watched(ages, now, 10, 0.4)
    assert ages.suffering() is not None  # five seconds of thirty are more than one in twenty
    watched(ages, now, int(WINDOW_S), 0.4)
    assert ages.suffering() is None


def test_training_is_held_to_what_labels_were_like_before_it() -> None:
    ages = LabelAges(1.0)
    now = watched(ages, 0, 30, 4.0)  # a small machine: settled people wait in any case
    ages.begin()
    now = watched(ages, now, 30, 5.5)
    assert ages.suffering() is None
    watched(ages, now, 30, 6.5)
    assert ages.suffering() is not None


def test_nobody_in_view_suffers() -> None:
    ages = LabelAges(1.0)
    ages.begin()
    ages.add(0.0, [])
    assert (ages.p95_s(), ages.suffering()) == (0.0, None)
