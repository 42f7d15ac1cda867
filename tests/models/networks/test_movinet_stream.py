from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.networks import registry
from models.networks.movinet_stream import MoviNetStream
from tests.models.check_network import disturb, real_clips

SHAPE = (8, 40, 48, 3)
CLASSES = 5


@pytest.fixture(scope="module")
def clips() -> NDArray[np.float32]:
    """Two clips of the street, float32 (2, 8, 40, 48, 3) in [-1, 1]."""
    return real_clips(SHAPE)[2:4].astype(np.float32) / np.float32(127.5) - np.float32(1)


@pytest.fixture(scope="module")
def stream() -> tuple[Any, MoviNetStream]:
    keras.utils.set_random_seed(4)
    model = registry.build("movinet_a0_stream", CLASSES, SHAPE)
    disturb(model)
    return model, MoviNetStream(model, compiled=False)


def whole(model: Any, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of a clip of any length: a network of that length with the same weights."""
    same = registry.build("movinet_a0_stream", CLASSES, frames.shape[1:])
    for weight, source in zip(_numbers(same), _numbers(model), strict=True):
        weight.assign(source)
    return np.asarray(keras.ops.convert_to_numpy(same(frames, training=False)))


def _numbers(model: Any) -> list[Any]:
    return [weight for weight in model.weights if "seed_generator" not in weight.path]


@pytest.mark.exhaustive
def test_movinet_stream_gives_the_logits_of_the_clip_so_far_at_every_frame(
    stream: tuple[Any, MoviNetStream], clips: NDArray[np.float32]
) -> None:
    model, streamed = stream
    states = streamed.init_states(len(clips))
    after = []
    for number in range(SHAPE[0]):
        logits, states = streamed.step(clips[:, number], states)
        after.append(logits)
    np.testing.assert_array_equal(states["seen"], [8, 8])
    for length in (3, 8):
        np.testing.assert_allclose(after[length - 1], whole(model, clips[:, :length]), atol=1e-4)
    # The clips differ, and so do their beginnings: agreement above is not that of constants.
    assert np.ptp(after[-1], axis=0).max() > 1e-2
    assert np.abs(after[-1] - after[0]).max() > 1e-2


def test_movinet_stream_may_be_cut_anywhere(stream: tuple[Any, MoviNetStream], clips: NDArray[np.float32]) -> None:
    model, streamed = stream
    _, states = streamed.step(clips[:, :3], streamed.init_states(len(clips)))
    logits, _ = streamed.step(clips[:, 3:], states)
    expected = keras.ops.convert_to_numpy(model(clips, training=False))
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_movinet_streams_of_different_age_share_a_batch(
    stream: tuple[Any, MoviNetStream], clips: NDArray[np.float32]
) -> None:
    _, streamed = stream
    _, old = streamed.step(clips[:1, :3], streamed.init_states(1))
    new = streamed.init_states(1)
    together = {name: np.concatenate([old[name], new[name]]) for name in old}
    logits, states = streamed.step(clips[:, 3], together)
    np.testing.assert_array_equal(states["seen"], [4, 1])
    for place, alone in ((0, old), (1, new)):
        expected, _ = streamed.step(clips[place : place + 1, 3], alone)
        np.testing.assert_allclose(logits[place : place + 1], expected, atol=1e-5)


def test_movinet_stream_state_is_as_large_after_any_number_of_frames(
    stream: tuple[Any, MoviNetStream], clips: NDArray[np.float32]
) -> None:
    _, streamed = stream
    start = streamed.init_states(2)
    _, states = streamed.step(clips[:, :3], start)
    assert {name: (array.shape, array.dtype) for name, array in states.items()} == {
        name: (array.shape, array.dtype) for name, array in start.items()
    }
    assert 2 * streamed.state_bytes == sum(array.nbytes for array in states.values())
    assert not any(array.any() for array in start.values())


@pytest.mark.exhaustive
def test_movinet_stream_compiled_and_with_own_frame_gates_follows_the_training_of_its_model(
    clips: NDArray[np.float32],
) -> None:
    model = registry.build("movinet_a0_stream", CLASSES, (1, *SHAPE[1:]), own_frame=True)
    disturb(model)
    streamed = MoviNetStream(model)
    before, _ = streamed.step(clips[:, 0], streamed.init_states(2))
    expected = keras.ops.convert_to_numpy(model(clips[:, :1], training=False))
    np.testing.assert_allclose(before, expected, atol=1e-4)
    bias = model.get_layer("Logits").bias
    bias.assign(bias + 1)
    after, _ = streamed.step(clips[:, 0], streamed.init_states(2))
    np.testing.assert_allclose(after, before + 1, atol=1e-5)


def test_movinet_stream_refuses_what_does_not_fit(
    stream: tuple[Any, MoviNetStream], clips: NDArray[np.float32]
) -> None:
    _, streamed = stream
    states = streamed.init_states(2)
    with pytest.raises(ValueError, match=r"expected frames \(B, 40, 48, 3\) or .*, got \(2, 1, 40, 40, 3\)"):
        streamed.step(clips[:, 0, :, :40], states)
    with pytest.raises(ValueError, match=r"expected \(1,\) for state 'seen', got \(2,\)|expected \(1, .*got \(2, "):
        streamed.step(clips[:1, 0], states)
    with pytest.raises(ValueError, match="got nothing"):
        streamed.step(clips[:, 0], {"seen": states["seen"]})
    with pytest.raises(ValueError, match="expected nothing for state 'other'"):
        streamed.step(clips[:, 0], {**states, "other": states["seen"]})
    with pytest.raises(ValueError, match="batch must be at least 1, got 0"):
        streamed.init_states(0)
    with pytest.raises(ValueError, match="expected a MoViNet-A0, got 'shufflenet_v2_3d' without conv1"):
        MoviNetStream(registry.build("shufflenet_v2_3d", 2, (4, 32, 32, 3), width=0.5))
