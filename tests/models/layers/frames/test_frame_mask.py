from __future__ import annotations

import keras
import numpy as np

from models.layers import FrameMask


def test_frame_mask_leaves_out_frames_of_zeros_alone() -> None:
    clip = np.zeros((2, 4, 3, 3, 3), np.float32)
    clip[0, :3] = np.arange(27).reshape(3, 3, 3) - 5
    clip[1, 0, 2, 2, 1] = -1 / 255
    layer = FrameMask()
    assert keras.ops.convert_to_numpy(layer(clip)).tolist() == [[True, True, True, False], [True, False, False, False]]
    spec = keras.Model(inputs := keras.Input(clip.shape[1:]), layer(inputs)).output
    assert (spec.shape, spec.dtype) == ((None, 4), "bool")
    assert layer.compute_output_shape(clip.shape) == (2, 4)


def test_no_picture_of_bytes_is_taken_for_padding() -> None:
    """Grey of 127 or 128 is as near to 0 as bytes come, also in half precision."""
    grey = np.stack([np.full((1, 2, 2, 3), value, np.uint8) for value in (127, 128)])
    scaled = grey.astype(np.float32) / np.float32(127.5) - np.float32(1)
    for dtype in ("float32", "mixed_bfloat16", "mixed_float16"):
        assert keras.ops.convert_to_numpy(FrameMask(dtype=dtype)(scaled)).all()


def test_frame_mask_comes_back_from_its_configuration() -> None:
    layer = FrameMask(name="Mask")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is FrameMask and again.get_config() == layer.get_config()
