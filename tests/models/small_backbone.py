"""The smallest backbone of keras.applications, for tests of networks that look at pictures one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.models.check_network import real_clips

SMALL: Mapping[str, Any] = {"backbone": "MobileNet", "backbone_options": {"alpha": 0.25}}
WIDTH = 256  # features of a picture
PARAMETERS = 218_544  # Keras' own count without the classifier


def write_weights(path: Path, size: int = 32) -> Path:
    """A file of random weights whose features tell pictures apart: every layer's statistics are those of its input."""
    keras.utils.set_random_seed(5)
    model = keras.applications.MobileNet(
        input_shape=(size, size, 3), alpha=0.25, include_top=False, weights=None, pooling="avg"
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    street = real_clips((2, size, size, 3)).reshape(-1, size, size, 3)  # (16, S, S, 3)
    light = np.linspace(0.1, 1, len(street), dtype=np.float32).reshape(-1, 1, 1, 1)
    noise = np.random.default_rng(5).integers(0, 60, street.shape) + 195 * light
    pictures = np.concatenate([street * light, noise]).astype(np.float32)
    model(pictures / np.float32(127.5) - np.float32(1), training=True)
    model.save_weights(path)
    return path
