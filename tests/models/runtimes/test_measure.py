from __future__ import annotations

import numpy as np

from models.runtimes.measure import moving_pictures


def test_moving_pictures_are_clips_with_motion_each_another() -> None:
    clips = moving_pictures((16, 48, 32, 3))
    assert (clips.shape, clips.dtype) == ((4, 16, 48, 32, 3), np.uint8)
    for clip in clips:
        assert np.ptp(clip) > 50
        assert (clip[0] != clip[-1]).mean() > 0.2
    assert len({clip.tobytes() for clip in clips}) == 4
    np.testing.assert_array_equal(clips, moving_pictures((16, 48, 32, 3)))
