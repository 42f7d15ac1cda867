"""RAdam and Lookahead against the papers' rules, on every backend, and through saving and restoring."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.training.optimizers import LayerRates, Lookahead, RAdam
from tests.models.training.optimizers.rules import RATE, START, by_keras, by_rule, gradient, optimizers, rules
from tests.support.places import REPOSITORY

NAMES = list(rules())


@pytest.mark.parametrize("name", NAMES)
def test_optimizer_follows_the_papers_rule(name: str) -> None:
    np.testing.assert_allclose(by_keras(optimizers()[name]), by_rule(rules()[name]), rtol=2e-4, atol=2e-5)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_optimizers_on_another_backend_follow_the_same_rules(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    file = tmp_path / "paths.npz"
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "tests.models.training.optimizers.rules", str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(file) as paths:
        for name in NAMES:
            np.testing.assert_allclose(paths[name], by_rule(rules()[name]), rtol=2e-4, atol=2e-5, err_msg=name)


def test_radam_of_the_published_betas_starts_as_momentum() -> None:
    """With β₂ = 0.999 the first updates have ρ_t ≤ 4: plain gradient at t = 1, not its sign as Adam's."""
    path = by_keras(RAdam(RATE), steps=1)
    np.testing.assert_allclose(path[0], START - RATE * gradient(1), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_optimizer_restored_from_config_and_variables_goes_on_alike(name: str) -> None:
    """7 updates, a copy of everything into new objects, 5 more: the same as 12 in one go."""
    first = optimizers()[name]
    variable = keras.Variable(START.astype(np.float32), name="kernel")
    by_keras(first, steps=7, variable=variable)
    second = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(first))
    again = keras.Variable(keras.ops.convert_to_numpy(variable), name="kernel")
    second.build([again])
    for target, source in zip(second.variables, first.variables, strict=True):
        target.assign(keras.ops.convert_to_numpy(source))
    rest = by_keras(second, steps=5, first=8, variable=again)
    np.testing.assert_allclose(rest, by_rule(rules()[name])[7:], rtol=2e-4, atol=2e-5)


def test_layer_rates_leave_other_layers_alone() -> None:
    variables = [keras.Variable(START.astype(np.float32), name=name) for name in ("Logits", "Mixed_5c")]
    optimizer = LayerRates(keras.optimizers.SGD(RATE), {"Logits": 10.0})
    optimizer.apply([keras.ops.convert_to_tensor(gradient(1).astype(np.float32))] * 2, variables)
    fast, slow = (keras.ops.convert_to_numpy(variable) for variable in variables)
    np.testing.assert_allclose(fast, START - 10 * RATE * gradient(1), rtol=1e-5)
    np.testing.assert_allclose(slow, START - RATE * gradient(1), rtol=1e-5)


def test_lookahead_in_a_saved_model_goes_on_where_it_was(tmp_path: Path) -> None:
    def fitted(model: Any, steps: int) -> Any:
        rng = np.random.default_rng(0)
        for _ in range(steps):
            model.train_on_batch(rng.normal(size=(4, 3)).astype(np.float32), np.ones((4, 1), np.float32))
        return model

    def fresh() -> Any:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(Lookahead(RAdam(0.05), sync_period=4), "mse")
        return model

    fitted(fresh(), 6).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is Lookahead
    rng = np.random.default_rng(5)
    batches = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(3)]
    straight = fitted(fresh(), 6)
    for batch in batches:  # the sync of update 8 lies behind the reload
        for model in (straight, again):
            model.train_on_batch(batch, np.ones((4, 1), np.float32))
    np.testing.assert_allclose(again.get_weights()[0], straight.get_weights()[0], rtol=1e-5)


@pytest.mark.parametrize("name", ["radam", "lookahead_radam"])
def test_optimizer_with_accumulation_takes_the_mean_gradient(name: str) -> None:
    """Two batches an update: the path is that of updates with the mean of two gradients."""
    inner = RAdam(RATE, gradient_accumulation_steps=2)
    optimizer = inner if name == "radam" else Lookahead(inner, 2, 0.5)
    whole = RAdam(RATE) if name == "radam" else Lookahead(RAdam(RATE), 2, 0.5)
    path = by_keras(optimizer, steps=8)
    variable = keras.Variable(START.astype(np.float32), name="kernel")
    for update in range(4):
        mean = (gradient(2 * update + 1) + gradient(2 * update + 2)) / 2
        whole.apply([keras.ops.convert_to_tensor(mean.astype(np.float32))], [variable])
        np.testing.assert_allclose(path[2 * update + 1], keras.ops.convert_to_numpy(variable), rtol=1e-5)
    np.testing.assert_array_equal(path[0], START)


@pytest.mark.parametrize("arguments", [{"sync_period": 0}, {"slow_step": 0.0}, {"slow_step": 1.5}])
def test_lookahead_with_impossible_values_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected sync_period"):
        Lookahead(RAdam(), **arguments)
