"""Explicit table: name of a network → how to build it, what it reads, and where it is described.

A maker is named as ``module:function`` and imported when it is asked for, so that reading the table costs no network
library. It is called with ``(num_classes, clip_shape, **options)`` and gives a keras.Model with fresh weights.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from models.errors import UnknownModelError

ClipShape = tuple[int, int, int, int]  # (T, H, W, channels)


class InputKind(str, Enum):
    """What a network reads. Pictures are float RGB in [-1, 1], flow is float (x, y) in [-1, 1]."""

    CROPS = "crops"  # one input ``clip`` (B, T, H, W, 3): crops of one person
    CROPS_AND_FLOW = "crops_and_flow"  # ``clip`` (B, T, H, W, 3) and ``flow`` (B, T, H, W, 2) of the same crops
    SCENE = "scene"  # ``clip`` (B, T, H, W, 3): the whole scene, and ``boxes`` (B, 4): the person, x1 y1 x2 y2 in 0..1


@dataclass(frozen=True, slots=True)
class Network:
    """One row. ``clip_shape`` is the published (or usual) one; ``paper`` says where the network is described."""

    name: str
    maker: str
    clip_shape: ClipShape
    paper: str
    inputs: InputKind = InputKind.CROPS


_ROWS = (
    Network("i3d", "models.networks.i3d:make_i3d", (64, 224, 224, 3), "Carreira & Zisserman 2017"),
    Network(
        "se_i3d", "models.networks.i3d:make_se_i3d", (64, 224, 224, 3), "Carreira & Zisserman 2017; Hu et al. 2018"
    ),
    Network(
        "se_i3d_time",
        "models.networks.i3d:make_se_i3d_time",
        (64, 224, 224, 3),
        "as se_i3d, gates on channels and time",
    ),
    Network(
        "i3d_light",
        "models.networks.i3d_light:make_i3d_light",
        (16, 96, 96, 3),
        "Carreira & Zisserman 2017, cut short; Tran et al. 2018",
    ),
    Network(
        "two_stream_i3d",
        "models.networks.two_stream:make_two_stream_i3d",
        (64, 224, 224, 3),
        "Carreira & Zisserman 2017",
        InputKind.CROPS_AND_FLOW,
    ),
    Network("slowfast", "models.networks.slowfast:make_slowfast", (32, 224, 224, 3), "Feichtenhofer et al. 2019"),
    Network(
        "action_transformer",
        "models.networks.action_transformer:make_action_transformer",
        (64, 224, 224, 3),
        "Girdhar et al. 2019",
        InputKind.SCENE,
    ),
    Network(
        "mobilenet_v3_3d", "models.networks.mobilenet3d:make_mobilenet_v3_3d", (16, 112, 112, 3), "Howard et al. 2019"
    ),
    Network(
        "shufflenet_v2_3d", "models.networks.shufflenet3d:make_shufflenet_v2_3d", (16, 112, 112, 3), "Ma et al. 2018"
    ),
    Network(
        "cnn_gru", "models.networks.cnn_rnn:make_cnn_gru", (20, 299, 299, 3), "Szegedy et al. 2016; Cho et al. 2014"
    ),
    Network(
        "cnn_lstm", "models.networks.cnn_rnn:make_cnn_lstm", (20, 600, 600, 3), "Tan & Le 2019; Hochreiter et al. 1997"
    ),
    Network(
        "cnn_attention",
        "models.networks.cnn_rnn:make_cnn_attention",
        (20, 224, 224, 3),
        "Sandler et al. 2018; Vaswani et al. 2017",
    ),
    Network(
        "cnn_transformer",
        "models.networks.cnn_rnn:make_cnn_transformer",
        (20, 224, 224, 3),
        "Sandler et al. 2018; Neimark et al. 2021",
    ),
    Network(
        "cnn_average",
        "models.networks.cnn_rnn:make_cnn_average",
        (20, 224, 224, 3),
        "Sandler et al. 2018; Karpathy et al. 2014",
    ),
    Network(
        "movinet_a0_stream", "models.networks.movinet:make_movinet_a0", (50, 172, 172, 3), "Kondratyuk et al. 2021"
    ),
)
NETWORKS: Mapping[str, Network] = {row.name: row for row in _ROWS}


def network(name: str) -> Network:
    """→ the table's row. Raises UnknownModelError with the names there are."""
    if name not in NETWORKS:
        raise UnknownModelError(f"no network is called {name!r}; there are {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]


def build(name: str, num_classes: int, clip_shape: ClipShape | None = None, **options: Any) -> Any:
    """→ keras.Model with fresh weights: what the row's ``inputs`` says → logits float32 (B, num_classes).

    ``clip_shape`` None is the row's own. ``options`` are the maker's, each documented there. Raises UnknownModelError
    with the names there are, and ValueError for a shape or option that the network cannot have.
    """
    row = network(name)
    module, _, function = row.maker.partition(":")
    maker = getattr(importlib.import_module(module), function)
    return maker(num_classes, clip_shape or row.clip_shape, **options)
