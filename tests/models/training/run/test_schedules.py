from __future__ import annotations

import keras
import pytest

from models.training.run.schedules import PlannedRate


def at(rate: PlannedRate, *steps: int) -> list[float]:
    return [float(keras.ops.convert_to_numpy(rate(step))) for step in steps]


def test_cosine_falls_from_the_peak_to_the_floor_and_stays() -> None:
    rate = PlannedRate(0.2, total=100, floor=0.1)
    assert at(rate, 0, 50, 100, 150) == pytest.approx([0.2, 0.11, 0.02, 0.02], abs=1e-6)


def test_warmup_rises_in_a_line_and_comes_off_the_cosine() -> None:
    rate = PlannedRate(1.0, total=14, warmup=4)
    assert at(rate, 0, 1, 3, 4, 9, 14) == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.5, 0.0], abs=1e-6)


def test_step_decay_multiplies_by_gamma_after_each_step_size() -> None:
    rate = PlannedRate(1.0, total=100, decay="step", step=(10, 0.1))
    assert at(rate, 0, 9, 10, 19, 20) == pytest.approx([1, 1, 0.1, 0.1, 0.01], rel=1e-5)


def test_constant_stays_at_the_peak() -> None:
    assert at(PlannedRate(0.3, total=5, decay="constant"), 0, 99) == pytest.approx([0.3, 0.3])


def test_rate_of_a_later_optimiser_goes_on_along_the_same_curve() -> None:
    whole, rest = PlannedRate(1.0, total=100, warmup=10), PlannedRate(1.0, total=100, warmup=10, first=37)
    assert at(rest, 0, 20) == at(whole, 37, 57)


def test_planned_rate_survives_serialisation() -> None:
    rate = PlannedRate(0.5, total=40, decay="step", warmup=3, step=(7, 0.3), first=2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert at(again, 1, 12, 30) == at(rate, 1, 12, 30)


def test_planned_rate_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="total >= 1"):
        PlannedRate(0.1, total=0)
