"""A network of three layers for clips of 9×32×32 and three classes, as a weights folder: exported in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.conftest import randomise, write_folder

SMALL_LABELS = ("Fighting", "Standing", "Walking")
SMALL_CLIP = (9, 32, 32)


def small_network() -> Any:
    """Convolution, pools of both kinds with both paddings, a convolution over time: what converters trip over."""
    import keras

    layers = keras.layers
    clip = keras.Input((*SMALL_CLIP, 3), name="clip")
    x = layers.Conv3D(6, 3, strides=2, padding="same", activation="relu")(clip)
    x = layers.MaxPooling3D(2, padding="same")(x)
    x = layers.Conv3D(8, (3, 1, 1), activation="relu")(x)
    x = layers.AveragePooling3D((1, 3, 3), (1, 2, 2), padding="same")(x)
    logits = layers.Dense(len(SMALL_LABELS))(layers.GlobalAveragePooling3D()(x))
    model = keras.Model(clip, logits)
    randomise(model)
    return model


def small_folder(folder: Path) -> Path:
    return write_folder(folder, small_network(), SMALL_LABELS, SMALL_CLIP)
