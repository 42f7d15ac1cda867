"""Explicit table: name of a network → how to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.errors import UnknownModelError
from models.i3d import I3DConfig, build_i3d
from models.layers import GateAxes

Builder = Callable[[int], Any]  # num_classes → keras.Model from float clips in [-1, 1] to logits

GATES: Mapping[str, GateAxes | None] = {
    "i3d": None,
    "se_i3d": GateAxes.CHANNEL,
    "se_i3d_time": GateAxes.CHANNEL_TIME,
}


def _i3d(gate: GateAxes | None) -> Builder:
    return lambda num_classes: build_i3d(I3DConfig(num_classes=num_classes, gate=gate))


BUILDERS: dict[str, Builder] = {name: _i3d(gate) for name, gate in GATES.items()}


def build(name: str, num_classes: int) -> Any:
    """→ keras.Model with fresh weights: float (B, T, 224, 224, 3) RGB in [-1, 1] → logits (B, num_classes).

    Raises UnknownModelError with the names there are.
    """
    if name not in BUILDERS:
        raise UnknownModelError(f"no network is called {name!r}; there are {', '.join(sorted(BUILDERS))}")
    return BUILDERS[name](num_classes)
