"""A random SE-I3D for clips of 16×64×64 and three classes, as a weights folder that the service can load."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests.models.conftest import write_folder

LABELS = ("Fighting", "Standing", "Walking")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.networks.i3d import I3DConfig, build_i3d

    model = build_i3d(I3DConfig(num_classes=len(LABELS), size_hw=(64, 64)))
    with warnings.catch_warnings():
        # Keras 3.15 saves TensorFlow variables with np.array(variable), which NumPy 2 warns of.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        return write_folder(tmp_path_factory.mktemp("weights") / "tiny", model, LABELS, (16, 64, 64))
