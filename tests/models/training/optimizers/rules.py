"""The papers' update rules in float64, and optimisers of Keras driven by the same gradients.

Run as a program it writes what the optimisers of the installed ``KERAS_BACKEND`` do: ``python rules.py OUT.npz``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

START = np.array([[1.0, -2.0], [0.5, 3.0]])
STEPS = 12
RATE, BETA_1, BETA_2, EPSILON = 0.1, 0.9, 0.95, 1e-8
Vector = NDArray[np.float64]
Rule = Callable[[Vector, Vector, int], Vector]  # weights, gradient, update number from 1 → weights


def gradient(step: int) -> Vector:
    """Any, but not proportional from step to step."""
    return np.array([[math.sin(step), 0.3 * step], [1.0, math.cos(2.0 * step)]])


def radam_rule() -> Rule:
    """Liu et al. 2020, algorithm 2, line by line."""
    m, v = np.zeros_like(START), np.zeros_like(START)
    rho_inf = 2 / (1 - BETA_2) - 1

    def update(weights: Vector, g: Vector, t: int) -> Vector:
        nonlocal m, v
        m = BETA_1 * m + (1 - BETA_1) * g
        v = BETA_2 * v + (1 - BETA_2) * g**2
        m_hat = m / (1 - BETA_1**t)
        rho = rho_inf - 2 * t * BETA_2**t / (1 - BETA_2**t)
        if rho <= 4:
            return weights - RATE * m_hat
        r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        return weights - RATE * r * m_hat / (np.sqrt(v / (1 - BETA_2**t)) + EPSILON)

    return update


def lookahead_rule(inner: Rule, k: int, alpha: float) -> Rule:
    """Zhang et al. 2019, algorithm 1."""
    slow = START.copy()

    def update(weights: Vector, g: Vector, t: int) -> Vector:
        nonlocal slow
        weights = inner(weights, g, t)
        if t % k:
            return weights
        slow = slow + alpha * (weights - slow)
        return slow.copy()

    return update


def decayed(rule: Rule, decay: float) -> Rule:
    """Decoupled weight decay (Loshchilov & Hutter 2019)."""
    return lambda weights, g, t: rule(weights * (1 - RATE * decay), g, t)


def faster(rule: Rule, factor: float) -> Rule:
    """Another learning rate: all these rules move in proportion to it."""
    return lambda weights, g, t: weights + factor * (rule(weights, g, t) - weights)


def sgd_rule(weights: Vector, g: Vector, t: int) -> Vector:
    return weights - RATE * g


def by_rule(rule: Rule, steps: int = STEPS) -> Vector:
    """→ (steps, 2, 2) weights after each update."""
    weights, path = START.copy(), []
    for step in range(1, steps + 1):
        weights = rule(weights, gradient(step), step)
        path.append(weights)
    return np.stack(path)


def by_keras(optimizer: Any, steps: int = STEPS, first: int = 1, variable: Any = None) -> Vector:
    """→ (steps, 2, 2) weights after each ``apply``."""
    import keras

    variable = keras.Variable(START.astype(np.float32), name="kernel") if variable is None else variable
    path = []
    for step in range(first, first + steps):
        optimizer.apply([keras.ops.convert_to_tensor(gradient(step).astype(np.float32))], [variable])
        path.append(keras.ops.convert_to_numpy(variable).copy())
    return np.stack(path)


def optimizers() -> dict[str, Any]:
    """What is run on every backend."""
    import keras

    from models.training.optimizers import LayerRates, Lookahead, RAdam

    def radam(**kwargs: Any) -> Any:
        return RAdam(RATE, BETA_1, BETA_2, EPSILON, **kwargs)

    return {
        "radam": radam(),
        "radam_decay": radam(weight_decay=0.2),
        "lookahead_sgd": Lookahead(keras.optimizers.SGD(RATE), 3, 0.4),
        "lookahead_radam": Lookahead(radam(), 5, 0.5),
        "lookahead_radam_decay": Lookahead(radam(weight_decay=0.2), 5, 0.5),
        "layer_rates_radam": LayerRates(radam(), {"kernel": 3.0}),
        "lookahead_layer_rates_radam": Lookahead(LayerRates(radam(), {"kernel": 3.0}), 5, 0.5),
    }


def rules() -> dict[str, Rule]:
    """What each of ``optimizers`` must do."""
    return {
        "radam": radam_rule(),
        "radam_decay": decayed(radam_rule(), 0.2),
        "lookahead_sgd": lookahead_rule(sgd_rule, 3, 0.4),
        "lookahead_radam": lookahead_rule(radam_rule(), 5, 0.5),
        "lookahead_radam_decay": lookahead_rule(decayed(radam_rule(), 0.2), 5, 0.5),
        "layer_rates_radam": faster(radam_rule(), 3.0),
        "lookahead_layer_rates_radam": lookahead_rule(faster(radam_rule(), 3.0), 5, 0.5),
    }


if __name__ == "__main__":
    np.savez(sys.argv[1], allow_pickle=False, **{name: by_keras(optimizer) for name, optimizer in optimizers().items()})
