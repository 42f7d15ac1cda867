"""The trained end of a network: torch says what OpenVINO says, at any size, before and after learning."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest

torch = pytest.importorskip("torch")

from models.appearance_training.graph import TrainableGraph, stretched  # noqa: E402 - after the check for torch
from models.appearance_training.training import Runner  # noqa: E402 - after the check for torch
from models.errors import TrainingError  # noqa: E402 - after the check for torch
from tests.models.appearance_training.small_teacher import write_teacher  # noqa: E402 - after the check for torch
from tests.support.places import SHARED  # noqa: E402 - after the check for torch

RETAIL = SHARED / "weights" / "reid-0288" / "person-reidentification-retail-0288.xml"


@pytest.fixture(params=["small", "retail-0288"])
def teacher(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "small":
        write_teacher(tmp_path / "teacher.xml")
        return tmp_path / "teacher.xml"
    if not RETAIL.is_file():
        pytest.skip("../shared/weights/reid-0288 is not here")
    return RETAIL


def picture(size_hw: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 255, (*size_hw, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 4)


def by_torch(graph: TrainableGraph, image: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return graph(torch.tensor(Runner(graph.front_model)([image]))).numpy()


def test_graph_at_the_teachers_size_says_what_the_teacher_says(teacher: Path) -> None:
    image = picture((256, 128))
    bgr = image[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    expected = openvino.Core().compile_model(teacher, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([bgr])[0]
    np.testing.assert_allclose(by_torch(TrainableGraph(teacher, (256, 128)), image), expected, rtol=1e-3, atol=1e-4)


def test_graph_written_back_says_what_torch_says_after_a_step(teacher: Path) -> None:
    graph, image = TrainableGraph(teacher, (160, 80)), picture((160, 80))
    before = by_torch(graph, image)
    optimizer = torch.optim.SGD(graph.parameters(), 1e-3)
    graph(torch.tensor(Runner(graph.front_model)([image]))).square().mean().backward()
    optimizer.step()
    after = by_torch(graph, image)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(
        Runner(graph.written_back())([image, image]), np.repeat(after, 2, 0), rtol=1e-3, atol=1e-4
    )


def test_graph_scale_of_the_input_does_not_matter(teacher: Path) -> None:
    """The encoder gives pictures normalised by ImageNet's mean and deviation, training gives 0..255."""
    model, image = TrainableGraph(teacher, (160, 80)).written_back(), picture((160, 80)).astype(np.float32)
    run = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    plain = image[None].transpose(0, 3, 1, 2)
    normalised = (plain / 255 - 0.45) / 0.225
    np.testing.assert_allclose(run([normalised])[0], run([plain])[0], rtol=2e-2, atol=2e-2)


def test_graph_without_pooling_is_a_training_error(tmp_path: Path) -> None:
    from openvino import opset13 as ops

    data = ops.parameter([1, 3, 256, 128], np.float32)
    even = ops.mvn(data, ops.constant(np.array([2, 3])), True, 1e-5, "INSIDE_SQRT")
    openvino.save_model(openvino.Model([ops.relu(even)], [data]), tmp_path / "other.xml")
    with pytest.raises(TrainingError, match=r"other\.xml has no average pooling"):
        TrainableGraph(tmp_path / "other.xml", (128, 64))


def test_stretched_even_weights_keep_their_sum() -> None:
    kernel = np.full((2, 1, 1, 16, 8), 0.25, np.float32)
    new = stretched(kernel, (10, 5))
    assert new.shape == (2, 1, 1, 10, 5)
    np.testing.assert_allclose(new.sum(axis=(2, 3, 4)), kernel.sum(axis=(2, 3, 4)), rtol=1e-5)
