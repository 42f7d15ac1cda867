"""``python -m tests.models.backend_logits FOLDER``: every NAME.keras of the folder on NAME.npz → NAME.<backend>.npy.

Run by ``check_network.check_all_backends`` in a process whose KERAS_BACKEND is the one to compare.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import models.layers  # noqa: F401  # registers the layers that saved networks name


def filled(value: float) -> Callable[..., Any]:
    """Stands in for starts, which the file's weights replace: jax compiles one program for each of their shapes."""
    return lambda _initializer, shape, dtype=None, **_: keras.ops.convert_to_tensor(np.full(shape, value, dtype))


def caller(model: Any) -> Callable[[Any], Any]:
    """→ the model in inference mode. As one program on jax, which else compiles one for each operation and shape."""

    def call(inputs: Any) -> Any:
        return model(inputs, training=False)

    if keras.backend.backend() != "jax":
        return call
    import jax

    return jax.jit(call)


def main(folder: Path) -> None:
    keras.initializers.VarianceScaling.__call__ = filled(0.0)
    keras.initializers.Zeros.__call__ = filled(0.0)
    keras.initializers.Ones.__call__ = filled(1.0)
    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        with np.load(path.with_suffix(".npz")) as stored:
            inputs = dict(stored)
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        logits = keras.ops.convert_to_numpy(caller(model)(given))
        np.save(path.with_suffix(f".{keras.backend.backend()}.npy"), logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
