from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset13

from models.classifier import ActionClassifier
from models.errors import OverlapUnsupportedError
from models.runtimes.overlap import Place, StemReuse, usable_shifts
from models.runtimes.overlap_graph import cut
from models.runtimes.overlap_openvino import OpenVinoParts
from models.runtimes.runner import Precision, Runner
from tests.models.clips import read_video
from tests.models.conftest import TINY_LABELS, randomise, write_folder
from tests.support.places import STREET

CLIP_SHAPE = (32, 32, 32, 3)
PLENTY = 10_000_000
EXACT = 1e-3  # largest difference of a logit; those of different clips lie further apart


@pytest.fixture(scope="module")
def video() -> NDArray[np.uint8]:
    """uint8 (120, 32, 32, 3) RGB: the middle of a street."""
    return read_video(STREET, 32)[0][:120]


@pytest.fixture(scope="module")
def network() -> Any:
    """SE-I3D with gates on channels and time, whose output reads three depths; every weight a value of its own."""
    from models.networks.registry import build

    depths = ("Mixed_4c", "Mixed_4f", "Mixed_5c")
    model = build("se_i3d_time", len(TINY_LABELS), CLIP_SHAPE, depths=depths, head_norm=True)
    randomise(model)
    return model


@pytest.fixture(scope="module")
def keras_parts(network: Any) -> Any:
    from models.runtimes.overlap_keras import KerasParts

    return KerasParts(network, CLIP_SHAPE)


@pytest.fixture(scope="module")
def graph(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.conversion.openvino import write

    folder = write_folder(tmp_path_factory.mktemp("weights") / "tiny", network, TINY_LABELS, CLIP_SHAPE[:3])
    write(folder, folder / "model.xml", CLIP_SHAPE, "f32")
    return folder / "model.xml"


def openvino_runner(graph: Path, precision: Precision) -> Runner:
    from models.runtimes.openvino import GraphSource, OpenVinoRunner

    properties = {"INFERENCE_PRECISION_HINT": precision.value, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(graph, "CPU", properties)
    return OpenVinoRunner(compiled, precision, GraphSource(graph, properties))


def at(video: NDArray[np.uint8], first: int) -> NDArray[np.uint8]:
    """The clip that begins with crop ``first`` → uint8 (1, 32, 32, 32, 3)."""
    return video[None, first : first + CLIP_SHAPE[0]]


def steps(reuse: StemReuse) -> tuple[int, int]:
    """(reused, computed)."""
    return reuse.stats().steps_reused, reuse.stats().steps_computed


def test_stem_step_reads_the_crops_that_the_plan_says(keras_parts: Any, video: NDArray[np.uint8]) -> None:
    clip = at(video, 0)
    before = keras_parts.whole(clip)
    for crop in (0, 1, 9, 20, 31):
        changed = clip.copy()
        changed[0, crop] = 255 - changed[0, crop]
        moved = np.abs(keras_parts.whole(changed) - before).max(axis=(0, 2, 3, 4)) > 0
        assert np.flatnonzero(moved).tolist() == [t for t in range(16) if 2 * t - 4 <= crop <= 2 * t + 6]


def test_segments_are_the_steps_of_the_whole_stem(keras_parts: Any, video: NDArray[np.uint8]) -> None:
    clip = at(video, 5)
    whole = keras_parts.whole(clip)
    np.testing.assert_allclose(keras_parts.head(clip[:, :10]), whole[:, :2], atol=1e-5)
    for shift in (8, 20):
        tail = keras_parts.tail(clip[:, -(shift + 10) :], shift)
        np.testing.assert_allclose(tail, whole[:, -(3 + shift // 2) :], atol=1e-5)


def test_reuse_in_keras_equals_the_plain_network(network: Any, keras_parts: Any, video: NDArray[np.uint8]) -> None:
    reuse = StemReuse(keras_parts, PLENTY)
    seen = []
    for first in (0, 8, 14, 34, 54):  # moved on by 8, by 6 and by 20, whose tails are those of 8, 8 and 20
        scaled = at(video, first).astype(np.float32) * np.float32(2 / 255) - 1
        expected = np.asarray(network(scaled, training=False))
        seen.append(reuse.run(at(video, first), [Place("p", first)]))
        np.testing.assert_allclose(seen[-1], expected, atol=EXACT)
    assert np.abs(np.diff(np.concatenate(seen), axis=0)).max(axis=1).min() > 10 * EXACT
    assert steps(reuse) == (7 + 7 + 1 + 1, 16 + 9 + 9 + 15 + 15)


@pytest.mark.parametrize("precision", [Precision.F32, Precision.BF16])
def test_reuse_in_openvino_equals_the_plain_runner(graph: Path, video: NDArray[np.uint8], precision: Precision) -> None:
    plain = openvino_runner(graph, precision)
    reuse = plain.overlapping(PLENTY)  # type: ignore[attr-defined]  # optional: not every Runner has it
    limit = EXACT if precision is Precision.F32 else 0.02 * float(np.abs(plain(at(video, 0))).max())
    for first in (0, 8, 24, 30):
        np.testing.assert_allclose(reuse.run(at(video, first), [Place(1, first)]), plain(at(video, first)), atol=limit)
    assert steps(reuse) == (7 + 3 + 7, 16 + 9 + 13 + 9)
    np.testing.assert_allclose(reuse(at(video, 50)), plain(at(video, 50)), atol=limit)
    bytes_a_value = 4 if precision is Precision.F32 else 2
    assert reuse.stats().memory_bytes == 16 * 4 * 4 * 192 * bytes_a_value
    assert plain.description in reuse.description


def test_reuse_of_a_quantised_graph_keeps_one_byte_a_feature_and_equals_it(
    graph: Path, keras_parts: Any, video: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = ov.Core().read_model(graph)
    pool, highest = cut(model), keras_parts.whole(at(video, 0)).max()
    bounds = [opset13.constant(np.float32(bound)) for bound in (0, highest, 0, highest)]
    rounded = opset13.fake_quantize(pool.input_value(0), *bounds, levels=256)
    pool.input(0).replace_source_output(rounded.output(0))
    ov.save_model(model, tmp_path / "int8.xml", compress_to_fp16=False)
    plain = openvino_runner(tmp_path / "int8.xml", Precision.F32)
    reuse = plain.overlapping(PLENTY)  # type: ignore[attr-defined]
    for first in (0, 8):
        np.testing.assert_allclose(reuse.run(at(video, first), [Place(1, first)]), plain(at(video, first)), atol=EXACT)
    assert steps(reuse) == (7, 16 + 9)
    assert reuse.stats().memory_bytes == 16 * 4 * 4 * 192
    exact = openvino_runner(graph, Precision.F32)(at(video, 8))
    assert np.abs(plain(at(video, 8)) - exact).max() > 0, "the graph does round"


def test_openvino_and_keras_give_the_same_logits(graph: Path, keras_parts: Any, video: NDArray[np.uint8]) -> None:
    reuse = openvino_runner(graph, Precision.F32).overlapping(PLENTY)  # type: ignore[attr-defined]
    reference = StemReuse(keras_parts, PLENTY)
    for first in (3, 19):
        place = [Place(1, first)]
        np.testing.assert_allclose(
            reuse.run(at(video, first), place), reference.run(at(video, first), place), rtol=1e-3
        )
    assert steps(reuse) == steps(reference) == (3, 16 + 13)


@pytest.mark.parametrize(
    ("first", "shown", "key"),
    [(13, 13, "a"), (38, 38, "a"), (0, 0, "a"), (8, 9, "a"), (8, 8, "b")],
    ids=["odd shift", "too long a shift", "the same clip", "other crops than the grid says", "another track"],
)
def test_run_computes_clips_whole_that_are_not_the_last_one_moved_on(
    keras_parts: Any, video: NDArray[np.uint8], first: int, shown: int, key: str
) -> None:
    reuse = StemReuse(keras_parts, PLENTY)
    reuse.run(at(video, 0), [Place("a", 0)])
    reuse.run(at(video, shown), [Place(key, first)])
    assert steps(reuse) == (0, 32)


def test_run_without_a_place_neither_keeps_nor_reuses(keras_parts: Any, video: NDArray[np.uint8]) -> None:
    reuse = StemReuse(keras_parts, PLENTY)
    both = np.concatenate([at(video, 0), at(video, 8)])
    kept_and_not = reuse.run(both, [Place("a", 0), None])
    np.testing.assert_allclose(kept_and_not, reuse(both), atol=EXACT)
    assert (reuse.stats().tracks, reuse.stats().steps_reused) == (1, 0)


def test_memory_bound_evicts_the_track_without_a_clip_for_longest(keras_parts: Any, video: NDArray[np.uint8]) -> None:
    one = keras_parts.clip_bytes
    reuse = StemReuse(keras_parts, 2 * one + 1)
    for key, first in (("a", 0), ("b", 0), ("a", 8), ("c", 0), ("a", 16), ("b", 8)):
        reuse.run(at(video, first), [Place(key, first)])
        assert reuse.stats().memory_bytes <= 2 * one
    stats = reuse.stats()
    assert (stats.tracks, stats.evictions) == (2, 2)  # b for c, then c for b
    assert stats.steps_reused == 14  # a twice


def test_forgotten_track_leaves_no_features(keras_parts: Any, video: NDArray[np.uint8]) -> None:
    reuse = StemReuse(keras_parts, PLENTY)
    for key in ((1, 1), (1, 2), (2, 1)):
        reuse.run(at(video, 0), [Place(key, 0)])
    reuse.forget(lambda key: key[0] == 1)
    assert (reuse.stats().tracks, reuse.stats().memory_bytes) == (1, keras_parts.clip_bytes)
    for key in ((1, 1), (2, 1)):
        reuse.run(at(video, 8), [Place(key, 8)])
    assert reuse.stats().steps_reused == 7


def test_track_forgotten_while_its_clip_is_computed_is_not_kept(
    keras_parts: Any, video: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    reuse = StemReuse(keras_parts, PLENTY)
    rest = keras_parts.rest

    def forgotten_meanwhile(features: Any) -> Any:
        reuse.forget(lambda key: key == "a")
        return rest(features)

    monkeypatch.setattr(keras_parts, "rest", forgotten_meanwhile)
    reuse.run(at(video, 0), [Place("a", 0)])
    assert (reuse.stats().tracks, reuse.stats().memory_bytes) == (0, 0)


def test_memory_for_less_than_one_track_is_refused(keras_parts: Any) -> None:
    with pytest.raises(OverlapUnsupportedError, match="hold no track's stem, which takes"):
        StemReuse(keras_parts, 100_000)


@pytest.mark.parametrize(("frames", "fitting"), [(64, (8, 16, 20, 32)), (32, (8, 16, 20)), (20, (8,))])
def test_usable_shifts_leave_a_step_to_reuse(frames: int, fitting: tuple[int, ...]) -> None:
    assert usable_shifts(frames) == fitting


@pytest.mark.parametrize("frames", [16, 18, 33, 65])
def test_usable_shifts_of_short_or_odd_clips_raise(frames: int) -> None:
    with pytest.raises(OverlapUnsupportedError, match=f"these have {frames}"):
        usable_shifts(frames)


def test_other_networks_are_refused_by_keras() -> None:
    import keras

    from models.runtimes.overlap_keras import split

    clip = keras.Input((32, 32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling3D(data_format="channels_last")(clip)
    with pytest.raises(OverlapUnsupportedError, match=r"i3d, se_i3d, se_i3d_time only; 'other'"):
        split(keras.Model(clip, pooled, name="other"))


def gated_before_the_cut(path: Path) -> None:
    """I3D's first unit, with a gate of squeeze and excite behind it."""
    clip = opset13.parameter([1, 32, 32, 32, 3], ov.Type.f32)
    first = opset13.transpose(clip, np.array([0, 4, 1, 2, 3]))
    kernel = np.ones((4, 3, 7, 7, 7), np.float32)
    features = opset13.convolution(first, kernel, [2, 2, 2], [2, 2, 2], [3, 3, 3], [1, 1, 1])
    mean = opset13.reduce_mean(features, np.array([2, 3, 4]), True)
    ov.save_model(ov.Model([opset13.multiply(features, mean)], [clip], "gated"), path)


def test_graph_with_a_gate_before_the_cut_is_refused(tmp_path: Path) -> None:
    gated_before_the_cut(tmp_path / "gated.xml")
    with pytest.raises(OverlapUnsupportedError, match=r"begins otherwise: Parameter, Transpose, Convolution$"):
        OpenVinoParts(tmp_path / "gated.xml", {}, "test")


def test_graph_for_any_number_of_clips_is_refused(graph: Path, tmp_path: Path) -> None:
    model = ov.Core().read_model(graph)
    model.reshape([-1, *CLIP_SHAPE])
    ov.save_model(model, tmp_path / "open.xml", compress_to_fp16=False)
    with pytest.raises(OverlapUnsupportedError, match="fixed shape"):
        OpenVinoParts(tmp_path / "open.xml", {}, "test")


def test_classifier_on_a_runtime_that_cannot_reuse_says_so_and_goes_on(graph: Path, video: NDArray[np.uint8]) -> None:
    from models.weights.cards import read_card

    class Plain:
        """A runner with nothing but what the protocol asks for."""

        description, preferred_batch = "a plain runtime", 1

        def __init__(self) -> None:
            self._runner = openvino_runner(graph, Precision.F32)

        def __call__(self, clips: Any, boxes: Any = None) -> Any:
            return self._runner(clips, boxes)

    classifier = ActionClassifier(read_card(graph.parent), Plain())
    with pytest.raises(OverlapUnsupportedError, match="a plain runtime cannot"):
        classifier.reuse_stems(PLENTY)
    clips = np.concatenate([at(video, 0), at(video, 8)])
    placed = classifier.predict_placed(clips, [Place(1, 0), Place(1, 8)])
    np.testing.assert_array_equal(placed, classifier.predict(clips))


def test_classifier_that_reuses_gives_the_probabilities_it_gave_before(graph: Path, video: NDArray[np.uint8]) -> None:
    from models.weights.cards import read_card

    classifier = ActionClassifier(read_card(graph.parent), openvino_runner(graph, Precision.F32))
    clips = np.concatenate([at(video, 0), at(video, 8)])
    expected = classifier.predict(clips)
    classifier.reuse_stems(PLENTY)
    np.testing.assert_allclose(classifier.predict_placed(clips, [Place(1, 0), Place(1, 8)]), expected, atol=1e-4)
    assert classifier.stems is not None and classifier.stems.stats().steps_reused == 7
    assert classifier.predict_placed(clips[:0], []).shape == (0, len(TINY_LABELS))
    with pytest.raises(ValueError, match="clips must be uint8"):
        classifier.predict_placed(clips[:, :16], [None, None])
