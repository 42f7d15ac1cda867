from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import CardError, RuntimeUnavailableError
from models.runtimes import load as runtime_load
from models.runtimes.load import load_runner
from models.runtimes.openvino import choose_precision
from models.runtimes.runner import AUTO, RUNTIMES, Precision, Runner, RuntimeOptions
from models.weights.cards import read_card
from tests.models.conftest import TINY_LABELS
from tests.support.places import REPOSITORY

F32 = RuntimeOptions(precision=Precision.F32)


@pytest.fixture(scope="module")
def clips() -> NDArray[np.uint8]:
    """uint8 (5, 16, 64, 64, 3): noise of growing brightness, so that every clip has other logits."""
    rng = np.random.default_rng(2)
    return np.stack([rng.integers(0, 51 * (i + 1), (16, 64, 64, 3), np.uint8, endpoint=True) for i in range(5)])


@pytest.fixture(scope="module")
def tensorflow(tiny_folder: Path) -> Runner:
    return load_runner(read_card(tiny_folder), "tensorflow", F32)


@pytest.fixture(scope="module")
def openvino(tiny_folder: Path) -> Runner:
    return load_runner(read_card(tiny_folder), "openvino", replace(F32, threads=1))


@pytest.mark.exhaustive
def test_runtimes_agree_on_random_weights_with_open_gates(
    tensorflow: Runner, openvino: Runner, clips: NDArray[np.uint8]
) -> None:
    expected = tensorflow(clips)
    assert expected.shape == (5, len(TINY_LABELS))
    assert np.ptp(expected, axis=0).min() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(openvino(clips), expected, atol=2e-4 * np.abs(expected).max())


def test_runtimes_scale_uint8_inside_the_graph(
    tiny_folder: Path, tensorflow: Runner, openvino: Runner, clips: NDArray[np.uint8]
) -> None:
    from models.weights.saved_network import load_network

    network = load_network(read_card(tiny_folder))
    expected = network(clips.astype(np.float32) / 127.5 - 1, training=False).numpy()
    for runner in (tensorflow, openvino):
        np.testing.assert_allclose(runner(clips), expected, atol=2e-4 * np.abs(expected).max())


def test_runtimes_make_no_float_copy_of_a_clip_in_python(
    tensorflow: Runner, openvino: Runner, clips: NDArray[np.uint8]
) -> None:
    for runner in (tensorflow, openvino):
        runner(clips)
        tracemalloc.start()
        try:
            runner(clips)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 2 * clips[0].nbytes, (
            runner.description
        )  # TensorFlow copies bytes; floats would be four times that


def test_tensorflow_pads_and_splits_batches_without_a_trace(
    tiny_folder: Path, tensorflow: Runner, clips: NDArray[np.uint8]
) -> None:
    from models.conversion.graph import uint8_network
    from models.runtimes.tensorflow import TensorFlowRunner
    from models.weights.saved_network import load_network

    card = read_card(tiny_folder)
    network = uint8_network(load_network(card), card.clip_shape)
    batched = TensorFlowRunner(network, card.clip_shape, Precision.F32, gpu=True)
    many = np.concatenate([clips, clips, clips])[:11]  # 8 + 3, the 3 padded to 4
    alone = tensorflow(many)
    assert batched.preferred_batch == 8
    np.testing.assert_allclose(batched(many), alone, atol=2e-4 * np.abs(alone).max())


@pytest.mark.exhaustive
def test_tensorflow_in_mixed_bf16_stays_close_and_keeps_its_head_in_float32(
    tiny_folder: Path, tensorflow: Runner, clips: NDArray[np.uint8]
) -> None:
    from models.runtimes.tensorflow import network_in
    from models.weights.saved_network import load_network

    runner = load_runner(read_card(tiny_folder), "tensorflow", RuntimeOptions(precision=Precision.BF16))
    expected = tensorflow(clips)
    difference = np.abs(runner(clips) - expected).max()
    assert 0 < difference < 0.1 * np.abs(expected).max()
    assert "bf16" in runner.description
    network = network_in(read_card(tiny_folder), Precision.BF16)
    for weight, original in zip(network.weights, load_network(read_card(tiny_folder)).weights, strict=True):
        assert weight.path == original.path
        np.testing.assert_array_equal(weight.numpy(), original.numpy())
    computes = {layer.name: layer.compute_dtype for layer in network.layers}
    assert computes["Mixed_4b"] == computes["Mixed_4b_se"] == "bfloat16"
    assert computes["Logits_Conv3d_0c_1x1"] == "float32"


def test_openvino_called_from_several_threads_answers_each_its_own(openvino: Runner, clips: NDArray[np.uint8]) -> None:
    expected = openvino(clips)
    wrong: list[int] = []

    def ask(index: int) -> None:
        for _ in range(5):
            if not np.array_equal(openvino(clips[index : index + 1])[0], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_openvino_with_a_graph_kept_imports_no_tensorflow(tiny_folder: Path, openvino: Runner) -> None:
    program = (
        "import json, sys; from pathlib import Path; from models.classifier import ActionClassifier\n"
        "c = ActionClassifier.load(Path(sys.argv[1]), 'openvino')\n"
        "print(json.dumps([c.runtime, sorted({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules))]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, str(tiny_folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    description, imported = json.loads(result.stdout)
    assert description.startswith("OpenVINO ")
    assert imported == []


def test_openvino_precision_is_bf16_only_where_the_cpu_multiplies_it_natively() -> None:
    listed = ["FP32", "INT8", "BF16"]  # by OpenVINO also for CPUs that emulate bf16
    assert choose_precision(Precision.AUTO, listed, frozenset({"avx512f", "avx512_bf16"})) is Precision.BF16
    assert choose_precision(Precision.AUTO, listed, frozenset({"avx512f", "avx512_vnni"})) is Precision.F32
    assert choose_precision(Precision.AUTO, listed, frozenset()) is Precision.BF16
    assert choose_precision(Precision.AUTO, ["FP32"], frozenset({"amx_bf16"})) is Precision.F32
    assert choose_precision(Precision.F32, listed, frozenset({"amx_bf16"})) is Precision.F32


@pytest.mark.parametrize("name", ["tensorflow", "openvino"])
def test_runtimes_say_that_a_model_file_is_broken(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken, ignore=shutil.ignore_patterns("converted"))
    (broken / "model.keras").write_bytes(b"PK no archive")
    with pytest.raises((CardError, RuntimeUnavailableError), match=r"model\.keras|broken|tiny"):
        load_runner(read_card(broken), name, F32)
    assert [path.name for path in broken.glob("converted/*")] == []


@pytest.mark.parametrize("name", ["tensorflow", "openvino"])
def test_runtimes_say_that_labels_and_network_disagree(name: str, tiny_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    card = json.loads((other / "card.json").read_text("utf-8"))
    (other / "card.json").write_text(json.dumps({**card, "num_classes": 3}), "utf-8")
    (other / "labels.txt").write_text("a\nb\nc\n", "utf-8")
    with pytest.raises(CardError, match="has 5 classes, its card says 3"):
        load_runner(read_card(other), name, replace(F32, cache_dir=tiny_folder / "converted"))


def test_load_runner_follows_the_card_unless_asked_otherwise(tiny_folder: Path, openvino: Runner) -> None:
    card = read_card(tiny_folder).model_copy(update={"runtime": "openvino:f32"})
    assert "OpenVINO" in load_runner(card, "auto").description
    assert " f32 " in load_runner(card, "auto").description
    assert " bf16 " in load_runner(card, "openvino:bf16").description
    with pytest.raises(RuntimeUnavailableError, match="got 'abacus'"):
        load_runner(card.model_copy(update={"runtime": "abacus"}), "auto")


def test_load_runner_with_an_unknown_runtime_lists_the_known_ones(tiny_folder: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"auto, tensorflow, .*savedmodel; got 'cuda'"):
        load_runner(read_card(tiny_folder), "cuda")
    with pytest.raises(RuntimeUnavailableError, match=r"after openvino: there must be one of .*int8; got 'fp4'"):
        load_runner(read_card(tiny_folder), "openvino:fp4")
    with pytest.raises(RuntimeUnavailableError, match="in f32 or bf16, not in int8"):
        load_runner(read_card(tiny_folder), "tensorflow:int8")
    with pytest.raises(RuntimeUnavailableError, match="`actoscope export tiny --format openvino-int8`"):
        load_runner(read_card(tiny_folder), "openvino:int8")
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        RuntimeOptions(threads=0)


def test_every_runtime_that_can_be_named_has_a_loader() -> None:
    assert (AUTO, *runtime_load._LOADERS) == RUNTIMES
