"""Named settings of the small networks, for machines without a graphics card and with few cores.

A profile is a network of the registry, its options and the clip it reads, from the cheapest to the dearest. The cost is
of 400 classes and one clip; a class more or less changes the parameters by the last layer's inputs plus one, and the
multiply-adds hardly. I3D, for comparison, takes 111 GMACs for its clip of 64×224².
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import UnknownModelError
from models.networks import registry
from models.networks.registry import ClipShape

CLASSES = 400  # what the table's parameters are counted with


@dataclass(frozen=True, slots=True)
class EdgeProfile:
    """One row. ``parameters`` with the statistics of normalisation; ``gmacs`` are 10⁹ multiply-adds of a clip."""

    name: str
    network: str
    clip_shape: ClipShape
    parameters: int
    gmacs: float
    options: Mapping[str, Any] = field(default_factory=dict)


_ROWS = (
    EdgeProfile(
        "mobilenet-tiny",
        "mobilenet_v3_3d",
        (8, 112, 112, 3),
        674_968,
        0.0254,
        {"size": "small", "width": 0.5},
    ),
    EdgeProfile("mobilenet-small", "mobilenet_v3_3d", (16, 112, 112, 3), 2_058_000, 0.1085, {"size": "small"}),
    EdgeProfile("shufflenet-small", "shufflenet_v2_3d", (16, 112, 112, 3), 779_616, 0.1197, {"width": 0.5}),
    EdgeProfile("mobilenet-medium", "mobilenet_v3_3d", (16, 112, 112, 3), 1_455_256, 0.1238, {"width": 0.5}),
    EdgeProfile("shufflenet-medium", "shufflenet_v2_3d", (16, 112, 112, 3), 1_725_360, 0.1863),
    EdgeProfile("movinet-small", "movinet_a0_stream", (16, 112, 112, 3), 2_683_984, 0.3237),
    EdgeProfile("mobilenet-large", "mobilenet_v3_3d", (16, 112, 112, 3), 4_922_912, 0.3268),
    EdgeProfile("shufflenet-large", "shufflenet_v2_3d", (16, 112, 112, 3), 6_292_272, 0.4442, {"width": 2.0}),
    EdgeProfile("mobilenet-long", "mobilenet_v3_3d", (32, 160, 160, 3), 4_922_912, 1.3075),
    EdgeProfile("movinet-published", "movinet_a0_stream", (50, 172, 172, 3), 2_683_984, 2.3925),
)
EDGE_PROFILES: Mapping[str, EdgeProfile] = {row.name: row for row in _ROWS}


def edge_profile(name: str) -> EdgeProfile:
    """→ the table's row. Raises UnknownModelError with the names there are."""
    if name not in EDGE_PROFILES:
        raise UnknownModelError(f"no edge profile is called {name!r}; there are {', '.join(EDGE_PROFILES)}")
    return EDGE_PROFILES[name]


def build_profile(name: str, num_classes: int) -> Any:
    """→ keras.Model with fresh weights, as ``registry.build``. Raises UnknownModelError with the names there are."""
    row = edge_profile(name)
    return registry.build(row.network, num_classes, row.clip_shape, **row.options)
