"""The first convolution over blocks of pictures: the same sums as over pictures, wherever it is done at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13

from models.runtimes import overlap_openvino, stem_blocks
from models.runtimes.overlap import HEAD_CROPS, TAIL_CROPS
from models.runtimes.overlap_graph import FeatureFormat, stem_graph
from models.runtimes.stem_blocks import AMX, fold_stem

WITH_AMX = frozenset({AMX, "avx2"})
CHANNELS = 8
CLIP = (1, 32, 20, 24, 3)
CLOSE = 1e-4  # float32, other order of the sums


def weights(*shape: int) -> Any:
    """A constant in half precision behind its conversion, as graphs keep them."""
    drawn = np.random.default_rng(len(shape) + shape[0]).normal(0, 0.1, shape)
    return opset13.convert(opset13.constant(drawn.astype(np.float16)), "f32")


def same(count: int) -> dict[str, Any]:
    """Arguments of a convolution as TensorFlow pads it."""
    return {"strides": [count] * 3, "pads_begin": [0] * 3, "pads_end": [0] * 3, "dilations": [1] * 3}


def stem_model(
    shape: tuple[int, ...] = CLIP, kernel: int = 7, stride: int = 2, between: Callable[[Any], Any] = lambda node: node
) -> Any:
    """I3D's beginning: scaling, Conv3d_1a, pool, Conv3d_2b and 2c, pool."""
    clips = opset13.parameter(shape, np.uint8, name="clips")
    moved = opset13.transpose(opset13.convert(clips, "f32"), np.array([0, 4, 1, 2, 3]))
    scaled = opset13.subtract(opset13.multiply(moved, np.float32(1 / 127.5)), np.float32(1))
    first = opset13.convolution(
        between(scaled), weights(CHANNELS, 3, kernel, kernel, kernel), **same(stride), auto_pad="same_upper"
    )
    pooled = _pool(opset13.relu(first))
    second = opset13.convolution(pooled, weights(CHANNELS, CHANNELS, 1, 1, 1), **same(1), auto_pad="same_upper")
    third = opset13.convolution(opset13.relu(second), weights(4, CHANNELS, 3, 3, 3), **same(1), auto_pad="same_upper")
    return ov.Model([_pool(opset13.relu(third))], [clips], "stem")


def _pool(node: Any) -> Any:
    zero = [0, 0, 0]
    return opset13.max_pool(node, [1, 2, 2], [1, 1, 1], zero, zero, [1, 3, 3], auto_pad="same_upper").output(0)


def run(model: Any) -> NDArray[np.float32]:
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    clip = np.random.default_rng(1).integers(0, 256, tuple(model.input(0).shape), np.uint8)
    return np.array(next(iter(compiled([clip]).values())), np.float32)


def test_folded_stem_gives_the_same_sums_of_24_channels() -> None:
    plain, folded = stem_model(), stem_model()
    assert fold_stem(folded, "bf16", WITH_AMX)
    first = next(node for node in folded.get_ordered_ops() if node.get_type_name() == "Convolution")
    assert list(first.input_value(1).get_shape()) == [CHANNELS, 24, 4, 4, 4]
    assert list(folded.input(0).shape) == list(CLIP), "clips go in as before"
    expected, found = run(plain), run(folded)
    assert expected.shape == found.shape and np.ptp(expected) > 1
    np.testing.assert_allclose(found, expected, atol=CLOSE)


@pytest.mark.parametrize(
    ("crops", "at_begin", "at_end"), [(32, True, True), (HEAD_CROPS, True, False), (16 + TAIL_CROPS, False, True)]
)
def test_parts_of_a_clip_that_are_padded_at_one_end_only(crops: int, at_begin: bool, at_end: bool) -> None:
    model, form = stem_model(), FeatureFormat(ov.Type.f32, np.float32)
    plain, folded = (stem_graph(model, crops, form, at_begin, at_end) for _ in range(2))
    assert fold_stem(folded, "bf16", WITH_AMX)
    expected, found = run(plain), run(folded)
    assert expected.shape == found.shape and found.shape[2] > 0
    np.testing.assert_allclose(found, expected, atol=CLOSE)


@pytest.mark.parametrize(
    ("arithmetic", "flags"), [("f32", WITH_AMX), ("bf16", frozenset({"avx512_bf16"})), ("bf16", frozenset())]
)
def test_processors_that_are_faster_with_three_colours_keep_them(arithmetic: str, flags: frozenset[str]) -> None:
    model = stem_model()
    assert not fold_stem(model, arithmetic, flags)
    np.testing.assert_array_equal(run(model), run(stem_model()))


def by_colour(node: Any) -> Any:
    return opset13.multiply(node, np.ones((1, 3, 1, 1, 1), np.float32) * 0.5)


def quantised(node: Any) -> Any:
    bounds = [np.float32(value) for value in (-1, 1, -1, 1)]
    return opset13.fake_quantize(node, *bounds, 256)


@pytest.mark.parametrize(
    "model",
    [
        stem_model(kernel=5),
        stem_model(stride=1),
        stem_model((1, 32, 20, 23, 3)),
        stem_model((1, 31, 20, 24, 3)),
        stem_model((1, 32, 20, 22, 3)),  # same_upper pads 2 and 3, but 22 is folded as well
        stem_model(between=by_colour),
        stem_model(between=quantised),
    ],
    ids=["kernel", "stride", "width", "crops", "even", "by colour", "int8"],
)
def test_other_beginnings_give_what_they_gave(model: Any, request: pytest.FixtureRequest) -> None:
    expected = run(model)
    assert fold_stem(model, "bf16", WITH_AMX) == (request.node.callspec.id == "even")
    np.testing.assert_allclose(run(model), expected, atol=CLOSE)


def test_clips_of_no_fixed_shape_are_left_alone() -> None:
    model = stem_model()
    model.reshape([1, -1, 20, 24, 3])
    assert not fold_stem(model, "bf16", WITH_AMX)


def test_kept_stems_are_folded_like_the_whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(stem_blocks, "cpu_flags", lambda: WITH_AMX)

    def noted(model: Any, arithmetic: str) -> bool:
        told.append(arithmetic)
        return fold_stem(model, arithmetic)

    monkeypatch.setattr(overlap_openvino, "fold_stem", noted)
    parts = overlap_openvino.OpenVinoParts.__new__(overlap_openvino.OpenVinoParts)
    parts._core, parts._properties = ov.Core(), {"INFERENCE_PRECISION_HINT": "bf16"}
    compiled = parts._compile(stem_graph(stem_model(), 32, FeatureFormat(ov.Type.f32, np.float32), True, True))
    assert told == ["bf16"] and compiled.model_outputs[0].shape[2] == 16
