"""Ranges that a configuration declares for its values, and the trials that are drawn from them.

    search=SearchConfig({"optimizer.learning_rate": LogUniform(1e-4, 3e-3), "batch_size": Choice((8, 16))})

What trial number n tries depends on the seed and n alone, so that the same tuning tries the same things, and one of
more trials begins with those of one of fewer. Trial 0 is the configuration as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from models.errors import TrainingError

Value = float | int | str | bool | Enum
LEFT_ALONE = ("name", "dataset", "description", "card", "search", "folds", "refit_on", "monitor", "seed", "epochs")


@dataclass(frozen=True, slots=True)
class Uniform:
    """From ``low`` to ``high``, all alike; whole numbers, both ends included, where the value is one."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, like: Value) -> Value:
        if isinstance(like, int):
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return _rounded(float(rng.uniform(self.low, self.high)))

    def problems(self, like: Value) -> Iterator[str]:
        yield from _bound_problems(self.low, self.high, like)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """From ``low`` above 0 to ``high``, all magnitudes alike: for rates."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, like: Value) -> Value:
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return max(1, round(drawn)) if isinstance(like, int) else _rounded(drawn)

    def problems(self, like: Value) -> Iterator[str]:
        yield from _bound_problems(self.low, self.high, like)
        if not self.low > 0:
            yield f"a low bound above 0, got {self.low}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, all alike."""

    values: tuple[Value, ...]

    def draw(self, rng: np.random.Generator, like: Value) -> Value:
        return self.values[int(rng.integers(len(self.values)))]

    def problems(self, like: Value) -> Iterator[str]:
        if not isinstance(self.values, tuple) or len(self.values) < 2:
            yield f"a tuple of at least two values to choose from, got {self.values!r}"
            return
        for value in self.values:
            if not _is_like(value, like):
                yield f"values such as {like!r}, got {value!r}"


Range = Uniform | LogUniform | Choice


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """``ranges``: by the name of a field, dots between parts: ``optimizer.learning_rate``, ``mixup``."""

    ranges: Mapping[str, Range] = field(default_factory=dict)


def search_problems(config: Any) -> Iterator[str]:
    """What is wrong with the ranges of a configuration, each with what was expected. Nothing where it has none."""
    search = config.search
    if search is None:
        return
    if not search.ranges:
        yield "search declares no range"
    for name, values in search.ranges.items():
        yield from (f"search: {name}: expected {problem}" for problem in _range_problems(config, name, values))


def drawn(config: Any, trial: int, seed: int) -> dict[str, Value]:
    """→ what ``trial`` of a tuning tries, by name. Raises TrainingError for ranges that cannot be."""
    problems = [*search_problems(config)]
    if config.search is None:
        problems = [f"{config.name} declares no ranges: give its TrainConfig search=SearchConfig({{…}})"]
    if problems:
        raise TrainingError("\n".join(problems))
    if trial == 0:
        return {name: value_of(config, name) for name in config.search.ranges}
    rng = np.random.default_rng([seed, trial])
    return {name: values.draw(rng, value_of(config, name)) for name, values in config.search.ranges.items()}


def with_values(config: Any, values: Mapping[str, Value]) -> Any:
    """→ the configuration with these values, and no ranges any more."""
    for name, value in values.items():
        config = _with(config, name.split("."), value)
    return replace(config, search=None)


def value_of(config: Any, name: str) -> Value:
    """Raises TrainingError where there is no such field."""
    found = config
    for part in name.split("."):
        known = {each.name for each in fields(found)} if is_dataclass(found) else set()
        if part not in known:
            raise TrainingError(f"{name}: {type(found).__name__} has no field {part!r}")
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def _with(config: Any, parts: list[str], value: Value) -> Any:
    first, *rest = parts
    return replace(config, **{first: _with(getattr(config, first), rest, value) if rest else value})


def _range_problems(config: Any, name: str, values: object) -> Iterator[str]:
    try:
        now: object = value_of(config, name)
    except TrainingError as error:
        yield f"the name of a field ({error})"
        return
    if name.partition(".")[0] in LEFT_ALONE:
        yield f"a field that may differ between trials, none of {', '.join(LEFT_ALONE)}"
    elif not isinstance(now, Value):
        yield f"a field with one value, got one that holds {type(now).__name__}"
    elif isinstance(values, Range):
        yield from values.problems(now)
    else:
        yield f"Uniform, LogUniform or Choice, got {values!r}"


def _bound_problems(low: float, high: float, like: Value) -> Iterator[str]:
    if isinstance(like, bool) or not isinstance(like, int | float):
        yield f"Choice for a field that holds {like!r}"
    elif not (_is_number(low) and _is_number(high) and low < high):
        yield f"a low bound below the high one, got {low!r} and {high!r}"
    elif isinstance(like, int) and (low != int(low) or high != int(high)):
        yield f"whole numbers for a field that holds {like!r}, got {low!r} and {high!r}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_like(value: object, like: Value) -> bool:
    """Whether a field that holds ``like`` may hold ``value``: a whole number may stand for another."""
    if isinstance(like, float):
        return _is_number(value)
    return type(value) is type(like)


def _rounded(value: float) -> float:
    """Four significant digits: what a person reads in the table is what was tried."""
    return float(f"{value:.4g}")
