from __future__ import annotations

import keras
import numpy as np

from models.layers import FoldTime
from tests.models.check_layer import check_layer


def test_fold_time_passes_the_layer_check() -> None:
    check_layer(FoldTime(), (2, 4, 3, 5, 1), (8, 3, 5, 1), weight_count=0)


def test_fold_time_keeps_the_frames_of_a_clip_together() -> None:
    clips = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    assert keras.ops.convert_to_numpy(FoldTime()(clips)).tolist() == clips.reshape(6, 2).tolist()
    assert FoldTime()(keras.Input((3, 2))).shape == (None, 2)
