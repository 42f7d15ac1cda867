from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from models.errors import UnknownModelError
from models.networks.complexity import complexity
from models.networks.edge_profiles import CLASSES, EDGE_PROFILES, build_profile, edge_profile
from tests.models.networks_by_hand import mobilenet, movinet_a0, shufflenet


@pytest.mark.parametrize("name", ["mobilenet-tiny", "shufflenet-large", "movinet-small"])
def test_edge_profile_costs_what_its_row_says(name: str) -> None:
    row = EDGE_PROFILES[name]
    model = build_profile(name, CLASSES)
    assert model.input_shape == (None, *row.clip_shape)
    cost = complexity(model)
    assert cost.parameters == row.parameters
    assert cost.gmacs == pytest.approx(row.gmacs, abs=5.1e-5)


def test_edge_profiles_have_the_parameters_of_the_formulas() -> None:
    for row in EDGE_PROFILES.values():
        width = row.options.get("width", 1.0)
        by_hand: dict[str, Callable[[], int]] = {
            "mobilenet_v3_3d": partial(mobilenet, row.options.get("size", "large"), width, 3, CLASSES),
            "shufflenet_v2_3d": partial(shufflenet, width, 3, CLASSES),
            "movinet_a0_stream": partial(movinet_a0, CLASSES),
        }
        assert row.parameters == by_hand[row.network](), row.name


def test_edge_profiles_go_from_the_cheapest_to_the_dearest() -> None:
    costs = [row.gmacs for row in EDGE_PROFILES.values()]
    assert costs == sorted(costs)


def test_edge_profile_of_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownModelError, match=r"'huge'; there are mobilenet-tiny, mobilenet-small"):
        edge_profile("huge")
