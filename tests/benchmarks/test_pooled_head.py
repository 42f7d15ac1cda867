"""benchmarks/pooled_head.py: the output says of pooled features what it says of those that were pooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.pooled_head import pooled_head
from models.networks.i3d import I3DConfig, build_i3d
from models.training.config import Mode
from models.training.data import FeatureSource
from models.training.feature_cache import FeatureSet, save_features
from models.training.kinds.i3d import head
from models.training.run.loop import predict

SHAPE = (3, 2, 2, 1024)  # of I3D at Mixed_5c, for clips of 24 pictures of 64²


def test_head_behind_the_pool_gives_the_logits_of_the_whole_head(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    files = []
    for number in range(3):
        path = tmp_path / f"{number}.npy"
        save_features(path, rng.random(SHAPE).astype(np.float16))
        files.append((path,))
    model = build_i3d(I3DConfig(num_classes=4, size_hw=(64, 64)))
    source = FeatureSource({Mode.RGB: FeatureSet(tuple(files), SHAPE)}, [0, 1, 2], 4, 2, 0)
    expected = predict(head(model, "Mixed_5c", SHAPE), source)
    for _ in range(2):  # the second time from what is kept
        network, pooled = pooled_head({Mode.RGB: model}, source, tmp_path / "pooled")
        np.testing.assert_allclose(predict(network.model, pooled), expected, atol=1e-4)
    assert pooled.features[Mode.RGB].shape == (2, 1, 1, 1024)
