"""Ranges of a configuration: what is drawn from them, and what is told of those that cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from models.errors import TrainingError
from models.training.config import LossConfig, LossKind, OptimizerConfig, OptimizerKind, TrainConfig
from models.training.search import Choice, LogUniform, SearchConfig, Uniform, drawn, search_problems, with_values

RANGES = {
    "optimizer.learning_rate": LogUniform(1e-4, 1e-2),
    "optimizer.lookahead": Uniform(0, 5),
    "optimizer.kind": Choice((OptimizerKind.ADAM, OptimizerKind.ADAMW)),
    "mixup": Uniform(0.0, 0.4),
    "batch_size": Choice((8, 16)),
}


def config(ranges: dict[str, Any]) -> TrainConfig:
    return TrainConfig("gym", optimizer=OptimizerConfig(learning_rate=3e-4), search=SearchConfig(ranges))


def test_first_trial_is_the_configuration_as_it_stands() -> None:
    assert drawn(config(RANGES), 0, 0) == {
        "optimizer.learning_rate": 3e-4,
        "optimizer.lookahead": 0,
        "optimizer.kind": OptimizerKind.ADAMW,
        "mixup": 0.0,
        "batch_size": 16,
    }


def test_others_lie_in_their_ranges_and_depend_on_seed_and_number_alone() -> None:
    tried = [drawn(config(RANGES), number, 7) for number in range(1, 200)]
    assert tried == [drawn(config(RANGES), number, 7) for number in range(1, 200)]
    assert tried != [drawn(config(RANGES), number, 8) for number in range(1, 200)]
    rates = sorted(float(values["optimizer.learning_rate"]) for values in tried)  # type: ignore[arg-type]
    assert 1e-4 <= rates[0] < 2e-4 and 5e-3 < rates[-1] <= 1e-2
    assert 5e-4 < rates[len(rates) // 2] < 2e-3  # all magnitudes alike: the middle is at 1e-3
    assert {values["optimizer.lookahead"] for values in tried} == {0, 1, 2, 3, 4, 5}
    assert {values["optimizer.kind"] for values in tried} == {OptimizerKind.ADAM, OptimizerKind.ADAMW}
    assert {values["batch_size"] for values in tried} == {8, 16}
    assert all(0 <= values["mixup"] <= 0.4 for values in tried)  # type: ignore[operator]


def test_values_are_put_in_where_they_belong_and_the_ranges_go() -> None:
    found = with_values(config(RANGES), {"optimizer.learning_rate": 0.5, "batch_size": 4, "loss.kind": LossKind.FOCAL})
    expected = replace(config(RANGES), batch_size=4, loss=LossConfig(kind=LossKind.FOCAL), search=None)
    assert found == replace(expected, optimizer=OptimizerConfig(learning_rate=0.5))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("optimizer.momentum", Uniform(0, 1), "OptimizerConfig has no field 'momentum'"),
        ("optimiser.learning_rate", Uniform(0, 1), "TrainConfig has no field 'optimiser'"),
        ("mixup.depth", Uniform(0, 1), "float has no field 'depth'"),
        ("optimizer", Choice((1, 2)), "one with several values|a field with one value, got one that holds Optimizer"),
        ("epochs", Choice((10, 20)), "a field that may differ between trials, none of name"),
        ("mixup", Uniform(0.4, 0.1), "a low bound below the high one, got 0.4 and 0.1"),
        ("mixup", Uniform(0.1, float("inf")), "a low bound below the high one, got 0.1 and inf"),
        ("mixup", Uniform("0", 1), "a low bound below the high one, got '0' and 1"),  # type: ignore[arg-type]
        ("mixup", LogUniform(0, 1), "a low bound above 0, got 0"),
        ("batch_size", Uniform(1.5, 8), "whole numbers for a field that holds 16, got 1.5 and 8"),
        ("batch_size", Choice((8,)), r"a tuple of at least two values to choose from, got \(8,\)"),
        ("batch_size", Choice((8, 16.5)), "values such as 16, got 16.5"),
        ("batch_size", Choice((8, True)), "values such as 16, got True"),
        ("optimizer.kind", Uniform(0, 1), "Choice for a field that holds <OptimizerKind.ADAMW"),
        ("optimizer.kind", Choice((OptimizerKind.ADAM, "adamw")), "values such as <OptimizerKind.ADAMW"),
        ("mixup", (0, 1), r"Uniform, LogUniform or Choice, got \(0, 1\)"),
    ],
)
def test_range_that_cannot_be_is_told_with_what_was_expected(name: str, values: Any, expected: str) -> None:
    (problem, *_) = search_problems(config({name: values}))
    assert problem.startswith(f"search: {name}: expected ")
    with pytest.raises(TrainingError, match=expected):
        drawn(config({name: values}), 1, 0)


def test_configuration_without_ranges_is_told() -> None:
    with pytest.raises(TrainingError, match="gym declares no ranges"):
        drawn(TrainConfig("gym"), 0, 0)
    with pytest.raises(TrainingError, match="search declares no range"):
        drawn(config({}), 0, 0)
    assert not [*search_problems(TrainConfig("gym"))]
