from __future__ import annotations

import pytest

from models.errors import UnknownModelError
from models.layers import GateAxes
from models.networks.registry import NETWORKS, build


@pytest.mark.parametrize(
    ("name", "axes"), [("i3d", None), ("se_i3d", GateAxes.CHANNEL), ("se_i3d_time", GateAxes.CHANNEL_TIME)]
)
def test_registry_builds_what_the_name_says(name: str, axes: GateAxes | None) -> None:
    model = build(name, 7)
    gates = {layer.axes for layer in model.layers if layer.name.endswith("_se")}
    assert gates == ({axes} if axes else set())
    assert model.output_shape == (None, 7)


def test_registry_with_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownModelError) as caught:
        build("i4d", 7)
    assert all(name in str(caught.value) for name in NETWORKS)
