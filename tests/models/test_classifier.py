"""SE-I3D with the real Kinetics-400 weights on real video, in both runtimes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.classifier import ActionClassifier, softmax
from models.errors import CardError
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import ModelCard
from tests.models.conftest import TINY_LABELS

# Largest difference of a logit from TensorFlow f32 that is let through. Measured on the four clips: OpenVINO f32
# 1.9e-5, bf16 0.155 (AVX512_BF16); the room is for other processors' order of summation.
F32_LOGIT_TOLERANCE = 1e-3
BF16_LOGIT_TOLERANCE = 0.4
COMPARED = ("playing cricket", "tai chi")  # clips that TensorFlow judges too, which takes it seconds for each


@pytest.fixture(scope="module")
def reference(kinetics_card: ModelCard) -> ActionClassifier:
    return ActionClassifier.load(kinetics_card.folder, "tensorflow", precision=Precision.F32)


@pytest.fixture(scope="module")
def reference_logits(
    reference: ActionClassifier, kinetics_clips: dict[str, NDArray[np.uint8]]
) -> dict[str, NDArray[np.float32]]:
    return {label: reference.logits(kinetics_clips[label][None])[0] for label in COMPARED}


@pytest.mark.parametrize("runtime", ["tensorflow", pytest.param("openvino", marks=pytest.mark.exhaustive)])
def test_cricket_gif_of_79_frames_is_cricket(
    runtime: str, kinetics_card: ModelCard, cricket: NDArray[np.uint8]
) -> None:
    assert cricket.shape == (79, 224, 224, 3)
    options = RuntimeOptions(precision=Precision.F32)
    runner = load_runner(kinetics_card, runtime, options, (79, 224, 224, 3))
    logits = runner(cricket[None])
    winner = int(logits[0].argmax())
    assert kinetics_card.labels[winner] == "playing cricket"
    assert softmax(logits)[0, winner] >= 0.98
    assert softmax(logits)[0, winner] == pytest.approx(0.9886, abs=2e-4)
    assert logits[0, winner] == pytest.approx(17.640, abs=2e-3)
    assert np.linalg.norm(logits) == pytest.approx(83.24, abs=0.01)


def test_kinetics_clips_get_their_own_label(
    kinetics_card: ModelCard, kinetics_clips: dict[str, NDArray[np.uint8]]
) -> None:
    classifier = ActionClassifier.load(kinetics_card.folder, "openvino", precision=Precision.F32)
    logits = {label: classifier.logits(clip[None])[0] for label, clip in kinetics_clips.items()}
    best = {label: classifier.labels[int(found.argmax())] for label, found in logits.items()}
    assert best == {label: label for label in kinetics_clips}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [(Precision.F32, F32_LOGIT_TOLERANCE), (Precision.BF16, BF16_LOGIT_TOLERANCE)],
)
def test_openvino_gives_tensorflows_logits(
    precision: Precision,
    tolerance: float,
    kinetics_card: ModelCard,
    kinetics_clips: dict[str, NDArray[np.uint8]],
    reference_logits: dict[str, NDArray[np.float32]],
    record_property: Callable[[str, object], None],
) -> None:
    classifier = ActionClassifier.load(kinetics_card.folder, "openvino", precision=precision)
    answers = {label: classifier.logits(kinetics_clips[label][None])[0] for label in COMPARED}
    worst = max(float(np.abs(answers[label] - reference_logits[label]).max()) for label in answers)
    record_property(f"largest_logit_difference_{precision.value}", worst)
    logging.getLogger(__name__).info("OpenVINO %s to TensorFlow f32: %.2e", precision.value, worst)
    assert worst <= tolerance
    for label, logits in answers.items():
        assert logits.argmax() == reference_logits[label].argmax()


def test_classifier_gives_probabilities_in_the_order_of_its_labels(tiny_folder: Path) -> None:
    classifier = ActionClassifier.load(tiny_folder, "auto")
    assert classifier.labels == TINY_LABELS
    assert classifier.clip_shape == (16, 64, 64, 3)
    assert classifier.preferred_batch >= 1
    clips = np.random.default_rng(4).integers(0, 256, (3, 16, 64, 64, 3), np.uint8)
    probabilities = classifier.predict(clips)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(-1), classifier.logits(clips).argmax(-1))
    assert classifier.predict(clips[:0]).shape == (0, 5)


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((1, 16, 64, 64, 3), np.float32),
        np.zeros((16, 64, 64, 3), np.uint8),
        np.zeros((1, 15, 64, 64, 3), np.uint8),
        np.zeros((1, 3, 16, 64, 64), np.uint8),
    ],
)
def test_classifier_refuses_other_clips(clips: NDArray[np.generic], tiny_folder: Path) -> None:
    classifier = ActionClassifier.load(tiny_folder, "openvino")
    with pytest.raises(ValueError, match=r"clips must be uint8 \(N, 16, 64, 64, 3\), got"):
        classifier.predict(clips)  # type: ignore[arg-type]  # what is tested


def test_classifier_from_a_folder_without_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="actoscope weights pull"):
        ActionClassifier.load(tmp_path / "nothing")


def test_softmax_survives_large_logits() -> None:
    found = softmax(np.array([[1000.0, 0.0], [-1e4, -1e4]], np.float32))
    np.testing.assert_allclose(found, np.array([[1, 0], [0.5, 0.5]]))


def test_probabilities_are_softened_by_the_cards_temperature(kinetics_card: ModelCard) -> None:
    def logits_as_given(_clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array([[2.0, 0.0, -2.0]], np.float32)

    card = kinetics_card.model_copy(update={"labels": ("a", "b", "c"), "temperature": 2.0})
    classifier = ActionClassifier(card, logits_as_given)  # type: ignore[arg-type]  # a runner only needs to be called
    clip = np.zeros((1, *card.clip_shape), np.uint8)
    powers = np.exp([1.0, 0.0, -1.0])
    assert classifier.predict(clip)[0] == pytest.approx(powers / powers.sum(), abs=1e-6)
