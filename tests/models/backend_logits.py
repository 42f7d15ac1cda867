"""``python -m tests.models.backend_logits FOLDER``: every NAME.keras of the folder on NAME.npz → NAME.<backend>.npy.

Run by ``check_network.check_all_backends`` in a process whose KERAS_BACKEND is the one to compare.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import models.layers  # noqa: F401  # registers the layers that saved networks name


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        with np.load(path.with_suffix(".npz")) as stored:
            inputs = dict(stored)
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        logits = model.predict_on_batch(given)
        np.save(path.with_suffix(f".{keras.backend.backend()}.npy"), np.asarray(logits))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
