"""One class out of many, and points between two networks, on a real YOLO11n with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.errors import TrainingError
from models.person_training.surgery import between, everybody, only_person, rescored


def answers(network: Any, seed: int = 0) -> np.ndarray:
    """Raw output for one picture: (4 + classes, anchors)."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        return network(torch.rand(1, 3, 64, 96, generator=generator))[0][0].numpy()


def test_only_person_has_exactly_the_boxes_and_scores_of_its_start(network: Any) -> None:
    before, after = answers(network), answers(only_person(network))
    assert after.shape == (5, before.shape[1])
    np.testing.assert_allclose(after[:4], before[:4], rtol=1e-6)
    np.testing.assert_allclose(after[4], before[4 + 1], rtol=1e-6)


def test_only_person_changes_its_copy_alone(network: Any) -> None:
    before = answers(network)
    reduced = only_person(network)
    assert (reduced.names, reduced.nc, reduced.yaml["nc"]) == ({0: "person"}, 1, 1)
    np.testing.assert_array_equal(answers(network), before)
    assert network.names[1] == "Person"


def test_only_person_of_a_network_without_people_is_refused(network: Any) -> None:
    import copy

    other = copy.deepcopy(network)
    other.names = {0: "cat", 1: "dog", 2: "car", 3: "bus"}
    with pytest.raises(TrainingError, match="no class 'person', only cat, dog"):
        only_person(other)


def test_everybody_scores_the_strongest_class(network: Any) -> None:
    before, after = answers(network), answers(everybody(network))
    np.testing.assert_allclose(after[4], before[4:].max(axis=0), rtol=1e-6)


def test_between_mixes_every_weight_and_statistic(network: Any) -> None:
    import copy

    import torch

    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(1)
    for value in other.state_dict().values():
        if value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator))
    quarter = between(network, other, 0.25).state_dict()
    for name, start in network.state_dict().items():
        if start.is_floating_point():
            expected = 0.75 * start + 0.25 * other.state_dict()[name]
            np.testing.assert_allclose(quarter[name], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(answers(between(network, other, 0.0)), answers(network))


def test_between_two_architectures_is_refused(network: Any) -> None:
    with pytest.raises(TrainingError, match="one architecture"):
        between(network, only_person(network), 0.5)


def test_rescored_changes_the_logits_as_told_and_no_box(network: Any) -> None:
    one = only_person(network)
    before, after = answers(one), answers(rescored(one, 1.5, -0.7))
    np.testing.assert_array_equal(after[:4], before[:4])
    logits = np.log(before[4] / (1 - before[4]))
    np.testing.assert_allclose(after[4], 1 / (1 + np.exp(-(1.5 * logits - 0.7))), rtol=1e-3)
    with pytest.raises(TrainingError, match="scale above 0"):
        rescored(one, 0.0, 1.0)
