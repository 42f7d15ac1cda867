"""Progress of a work whose steps know only themselves."""

from __future__ import annotations

import pytest

from models.retraining.phases import Phases


def test_progress_never_goes_back_and_guesses_what_is_left() -> None:
    told: list[tuple[str, float, float | None]] = []
    times = iter(range(1000))
    phases = Phases({"reading": 1, "learning": 3}, lambda *each: told.append(each), lambda: float(next(times)))
    phases.begin("reading")
    for done in range(5):
        phases.step("clips", done, 4)
    phases.begin("learning")
    for epoch in range(1, 4):
        for step in range(1, 3):
            phases.step(f"epoch {epoch} of 3", step, 2)
    for done in range(1, 3):
        phases.step("features", done, 2)
    for epoch in range(1, 3):
        phases.step(f"epoch {epoch} of 2", 1, 1)
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares) and 0.25 < shares[-1] < 1
    assert told[0] == ("reading", 0.0, None)
    assert told[7][0] == "learning: epoch 1 of 3"
    assert [share for what, share, _ in told if what == "learning"] == [0.25]
    passed, (_, share, left) = float(len(told)), told[-1]
    assert left == pytest.approx(passed * (1 - share) / share)


def test_progress_refuses_a_phase_that_it_does_not_know() -> None:
    with pytest.raises(KeyError):
        Phases({"reading": 1}, lambda *_: None, lambda: 0.0).begin("writing")
