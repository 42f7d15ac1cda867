"""Every network of the registry computes the same on TensorFlow, jax and torch: one process a backend for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from models.networks.registry import NETWORKS
from tests.models.check_network import ClipShape, check_all_backends
from tests.models.small_backbone import SMALL

# Clips and options as small as a network takes them: every kind of layer, few of each.
ROWS: Mapping[str, tuple[ClipShape, Mapping[str, Any]]] = {
    "i3d": ((9, 32, 32, 3), {}),
    "se_i3d": ((9, 32, 32, 3), {}),
    "se_i3d_time": ((18, 48, 56, 3), {}),  # sizes that padding does not share out evenly
    "i3d_light": ((9, 32, 32, 3), {}),
    "two_stream_i3d": ((9, 32, 32, 3), {}),
    "slowfast": ((8, 32, 32, 3), {}),
    "action_transformer": ((9, 32, 32, 3), {}),
    "mobilenet_v3_3d": ((4, 32, 32, 3), {"size": "small", "width": 0.25}),
    "shufflenet_v2_3d": ((4, 32, 32, 3), {"width": 0.5}),
    "cnn_gru": ((4, 32, 32, 3), {**SMALL, "units": (6, 5), "attention": True, "heads": 2}),
    "cnn_lstm": ((4, 32, 32, 3), {**SMALL, "units": (6, 5)}),
    "cnn_attention": ((4, 32, 32, 3), SMALL),
    "cnn_transformer": ((4, 32, 32, 3), SMALL),
    "cnn_average": ((4, 32, 32, 3), SMALL),
    "movinet_a0_stream": ((4, 32, 32, 3), {}),
}


# One of each kind: inflated, built of depthwise and shuffled groups, recurrent over frames.
FEW = ("se_i3d_time", "shufflenet_v2_3d", "cnn_gru")


def test_every_network_has_a_row() -> None:
    assert set(ROWS) == set(NETWORKS)


@pytest.mark.slow
def test_networks_of_each_kind_give_the_same_logits_on_other_backends() -> None:
    check_all_backends({name: ROWS[name] for name in FEW}, 3, ("jax", "torch"))


@pytest.mark.exhaustive
@pytest.mark.timeout(600)  # one core of a busy machine takes minutes
def test_all_other_networks_give_the_same_logits_on_other_backends() -> None:
    check_all_backends({name: row for name, row in ROWS.items() if name not in FEW}, 3, ("jax", "torch"))
