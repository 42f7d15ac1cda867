"""Video Action Transformer: a person's box asks the whole scene what that person is doing.

Source: Girdhar, Carreira, Doersch & Zisserman, "Video Action Transformer Network" (CVPR 2019). The trunk is I3D up to
Mixed_4f (``models.networks.i3d``, its endpoint names kept). The person's box, at the clip's middle, cuts a query out of
the trunk's features there; layers of attention heads let the query read the features of the whole clip. Unlike crops,
the scene also holds what the person looks at, holds or is met by. The paper's region proposals are left out: boxes come
from the tracker.

What the paper leaves open is chosen here and can be set: 4 · ``units`` nodes in the feed-forward part, and a channel
reduction to ``units`` before the cells of the high-resolution query are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.layers import GateAxes, LocationEmbedding, QueryUnit, RoiAlign
from models.networks.i3d import STAGES, I3DConfig, build_i3d

TRUNK_END = "Mixed_4f"
TRUNK_ENDPOINTS: tuple[str, ...] = tuple(
    stage.endpoint for stage in STAGES[: 1 + [stage.endpoint for stage in STAGES].index(TRUNK_END)]
)
LAYERS = 3  # of attention in the paper
LOCATION, ROI, QUERY, LOGITS = "Location", "Roi", "Query", "Logits"


class Query(str, Enum):
    """How the box's features become the first query (the paper's query preprocessor)."""

    HIGH_RES = "high_res"  # every cell keeps its place: channels reduced, then all cells joined to one vector
    LOW_RES = "low_res"  # the mean over the cells


@dataclass(frozen=True, slots=True)
class ActionTransformerConfig:
    """What to build; the defaults are the paper's best network, on the size of clips that the I3D weights know.

    ``gate`` adds squeeze-and-excite gates to the trunk from Mixed_3b on. ``roi`` cells a side are cut out of the box.
    """

    num_classes: int
    frames: int = 64
    size_hw: tuple[int, int] = (224, 224)
    gate: GateAxes | None = None
    query: Query = Query.HIGH_RES
    heads: int = 2
    layers: int = LAYERS
    units: int = 128
    location_units: int = 32
    roi: int = 7
    dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("num_classes", "heads", "layers", "units", "location_units", "roi"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Features:
    """What flows through the head's stages."""

    scene: Any  # (B, T', H', W', C): the trunk's features, with their places once those are known
    boxes: Any  # (N, 4)
    query: Any = None  # the person: (N, roi, roi, C), then a vector
    memory: Any = None  # (B, T'·H'·W', C): the scene as the heads read it


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the head's table."""

    endpoint: str
    build: Callable[[str, ActionTransformerConfig, Features], Features]


def _locate(name: str, config: ActionTransformerConfig, x: Features) -> Features:
    scene = LocationEmbedding(config.location_units, name=name)(x.scene)
    memory = keras.layers.Reshape((-1, scene.shape[-1]), name="Memory")(scene)
    return Features(scene, x.boxes, None, memory)


def _cut(name: str, config: ActionTransformerConfig, x: Features) -> Features:
    """The box, in the features of the middle time step T' // 2, which shows the clip's picture T // 2."""
    steps, *cells = x.scene.shape[1:]
    before = steps // 2
    around = ((before, steps - before - 1), (0, 0), (0, 0))
    middle = keras.layers.Cropping3D(around, data_format="channels_last", name="Middle")(x.scene)
    middle = keras.layers.Reshape(cells, name="Middle_step")(middle)  # (B, H', W', C)
    return Features(x.scene, x.boxes, RoiAlign(config.roi, name=name)(middle, x.boxes), x.memory)


def _ask(name: str, config: ActionTransformerConfig, x: Features) -> Features:
    """The heads' own projections, in ``QueryUnit``, end the paper's query preprocessor."""
    if config.query is Query.LOW_RES:
        query = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name=name)(x.query)
    else:
        query = keras.layers.Conv2D(config.units, 1, data_format="channels_last", name="Query_reduce")(x.query)
        query = keras.layers.Flatten(name=name)(query)  # (N, roi · roi · units)
    return Features(x.scene, x.boxes, query, x.memory)


def _attend(name: str, config: ActionTransformerConfig, x: Features) -> Features:
    """One layer: every head asks with its own projection of the query; their answers are joined."""
    answers = [
        QueryUnit(config.units, 4 * config.units, config.dropout, name=f"{name}_head_{head}")(x.query, x.memory)
        for head in range(config.heads)
    ]
    joined = keras.layers.Concatenate(name=name)(answers) if len(answers) > 1 else answers[0]
    return Features(x.scene, x.boxes, joined, x.memory)


def _classify(name: str, config: ActionTransformerConfig, x: Features) -> Features:
    query = keras.layers.Dropout(config.dropout, name="Dropout")(x.query)
    return Features(x.scene, x.boxes, keras.layers.Dense(config.num_classes, dtype="float32", name=name)(query))


def head_stages(layers: int) -> tuple[Stage, ...]:
    """The table of what follows the trunk."""
    attention = tuple(Stage(f"Tx_{number}", _attend) for number in range(1, layers + 1))
    return (Stage(LOCATION, _locate), Stage(ROI, _cut), Stage(QUERY, _ask), *attention, Stage(LOGITS, _classify))


HEAD: tuple[Stage, ...] = head_stages(LAYERS)
ENDPOINTS: tuple[str, ...] = (*TRUNK_ENDPOINTS, *(stage.endpoint for stage in HEAD))


def build_action_transformer(config: ActionTransformerConfig, final_endpoint: str = LOGITS) -> Any:
    """→ keras.Model of [clip, boxes], or a dict of both → the named endpoint; ``Logits`` is float32 (N, num_classes).

    ``clip`` float (B, T, H, W, 3) RGB of whole scenes in [-1, 1]; ``boxes`` float (N, 4), x1 y1 x2 y2 in 0..1 of the
    picture T // 2: the person that is meant. B is N, or at inference 1: several people of one clip, whose trunk is
    computed once. A trunk's endpoint takes the clip alone. Raises ValueError for an unknown endpoint.
    """
    stages = head_stages(config.layers)
    if final_endpoint in TRUNK_ENDPOINTS:
        return build_i3d(_trunk_config(config), final_endpoint)
    names = (*TRUNK_ENDPOINTS, *(stage.endpoint for stage in stages))
    if final_endpoint not in names:
        raise ValueError(f"final_endpoint must be one of {', '.join(names)}; got {final_endpoint!r}")
    trunk = build_i3d(_trunk_config(config), TRUNK_END)
    x = Features(trunk.output, keras.Input((4,), name="boxes", dtype="float32"))
    boxes = x.boxes
    for stage in stages:
        x = stage.build(stage.endpoint, config, x)
        if stage.endpoint == final_endpoint:
            break
    output = x.scene if final_endpoint == LOCATION else x.query
    return keras.Model([trunk.input, boxes], output, name="action_transformer")


def _trunk_config(config: ActionTransformerConfig) -> I3DConfig:
    return I3DConfig(frames=config.frames, size_hw=config.size_hw, gate=config.gate)


def make_action_transformer(num_classes: int, clip_shape: tuple[int, int, int, int], **options: Any) -> Any:
    """For clips of (T, H, W, 3); ``options`` are ``ActionTransformerConfig``'s, enums also as their values."""
    frames, height, width, channels = clip_shape
    if channels != 3:
        raise ValueError(f"clip_shape must end on 3 (RGB), got {channels}")
    given = dict(options)
    if given.get("gate") is not None:
        given["gate"] = GateAxes(given["gate"])
    if "query" in given:
        given["query"] = Query(given["query"])
    return build_action_transformer(ActionTransformerConfig(num_classes, frames, (height, width), **given))


def load_trunk(model: Any, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Give the trunk of ``model`` an I3D's weights, by path: ``read_start(folder).weights`` (``weights.start``).

    Gates that the I3D lacks stay the identity. Raises TrainingError where a layer does not fit, or where the I3D has
    trained gates and ``model`` has none: its features would be others.
    """
    names = {name for endpoint in TRUNK_ENDPOINTS for name in (endpoint, f"{endpoint}_se")}
    layers = {layer.name: layer for layer in model.layers if layer.name in names and layer.weights}
    gates = {path.split("/")[0] for path, value in weights.items() if "_se/expand/" in path and np.any(value)}
    lost = sorted((gates & names) - set(layers))
    if lost:
        raise TrainingError(f"these weights have trained gates that the network lacks: {', '.join(lost)}")
    for name, layer in layers.items():
        if not name.endswith("_se") or any(weight.path in weights for weight in layer.weights):
            _assign(layer, weights)


def _assign(layer: Any, weights: Mapping[str, NDArray[np.float32]]) -> None:
    for weight in layer.weights:
        value = weights.get(weight.path)
        if value is None or value.shape != tuple(weight.shape):
            got = "nothing" if value is None else value.shape
            raise TrainingError(f"the weights do not fit: {weight.path} is {tuple(weight.shape)}, there is {got}")
        weight.assign(value)
