"""Stem reuse on OpenVINO: the converted graph is cut after its second max pool and compiled in pieces.

Any graph of I3D or SE-I3D serves, whatever its precision: the cut is found by the shape of the stem, not by names. In
a graph for bfloat16 the features are kept as bfloat16, which is what both sides of the cut compute in anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13

from models.errors import OverlapUnsupportedError
from models.overlap import HEAD_CROPS, SHIFTS, TAIL_CROPS, Features, usable_shifts
from models.runtime import Clips, Floats

STEM_CONVOLUTIONS = ((7, 2), (1, 1), (3, 1))  # kernel and stride in time of Conv3d_1a, 2b and 2c
# What may stand before the cut: all of it works on each crop alone, but for the convolutions.
_STEM_TYPES = frozenset(
    (
        "Parameter",
        "Convert",
        "Transpose",
        "Multiply",
        "Add",
        "Subtract",
        "FakeQuantize",
        "Convolution",
        "Relu",
        "MaxPool",
    )
)


class OpenVinoParts:
    """The compiled pieces of one graph. Tails are compiled when a shift first asks for them."""

    time_axis = 2  # (1, 192, T/2, H/8, W/8)

    def __init__(
        self, graph: Path, properties: Mapping[str, Any], description: str, shifts: tuple[int, ...] = SHIFTS
    ) -> None:
        self.description = description
        self._core = ov.Core()
        self._properties = dict(properties)
        self._model = self._core.read_model(graph)
        _cut(self._model)  # refuses other networks before anything is compiled
        self.frames = int(self._model.input(0).shape[1])
        self.shifts = usable_shifts(self.frames, shifts)
        half = properties.get("INFERENCE_PRECISION_HINT") == "bf16"
        self._element = ov.Type.bf16 if half else ov.Type.f32
        self._dtype: type[np.generic] = np.uint16 if half else np.float32
        self._stem = self._compile(self._stem_graph(self.frames, at_begin=True, at_end=True))
        self._head = self._compile(self._stem_graph(HEAD_CROPS, at_begin=True, at_end=False))
        self._rest = self._compile(self._rest_graph())
        self._tails: dict[int, Any] = {}
        self.clip_bytes = int(np.prod(self._shape(self._stem))) * np.dtype(self._dtype).itemsize
        self.rest(self.whole(np.zeros(tuple(self._model.input(0).shape), np.uint8)))  # prepares kernels and memory

    def whole(self, clip: Clips) -> Features:
        return self._features(self._stem, clip)

    def head(self, crops: Clips) -> Features:
        return self._features(self._head, crops)

    def tail(self, crops: Clips, shift: int) -> Features:
        if shift not in self._tails:
            graph = self._stem_graph(shift + TAIL_CROPS, at_begin=False, at_end=True)
            self._tails[shift] = self._compile(graph)
        return self._features(self._tails[shift], crops)

    def rest(self, features: Features) -> Floats:
        self._rest.set_input_tensor(0, self._tensor(features))
        self._rest.infer()
        return np.array(self._rest.get_output_tensor(0).data, np.float32)  # a copy: the request reuses its memory

    def _features(self, request: Any, crops: Clips) -> Features:
        """Runs a stem into an array of its own; bfloat16 lies there as the bits in uint16."""
        features = np.empty(self._shape(request), self._dtype)
        request.set_output_tensor(0, self._tensor(features))
        request.infer([np.ascontiguousarray(crops)], share_inputs=True)
        return features

    def _tensor(self, features: Features) -> Any:
        return ov.Tensor(features, ov.Shape(features.shape), self._element)

    @staticmethod
    def _shape(request: Any) -> tuple[int, ...]:
        return tuple(request.model_outputs[0].shape)

    def _compile(self, model: Any) -> Any:
        return self._core.compile_model(model, "CPU", self._properties).create_infer_request()

    def _stem_graph(self, crops: int, at_begin: bool, at_end: bool) -> Any:
        """The stem for a run of crops; it is padded in time only where the run begins or ends the clip."""
        whole = self._model.clone()
        pool = _cut(whole)
        kept = opset13.convert(pool.output(0), "bf16") if self._dtype is np.uint16 else pool
        stem = ov.Model([kept.output(0)], whole.get_parameters(), "stem")
        for node in stem.get_ordered_ops():
            if node.get_type_name() == "Convolution":
                _pad_in_time(node, at_begin, at_end)
        _, *picture = self._model.input(0).shape[1:]
        stem.reshape([1, crops, *picture])
        return stem

    def _rest_graph(self) -> Any:
        whole = self._model.clone()
        cut = _cut(whole).output(0)
        readers = list(cut.get_target_inputs())
        features = opset13.parameter(cut.get_partial_shape(), self._element, name="features")
        source = opset13.convert(features, "f32") if self._dtype is np.uint16 else features
        for reader in readers:
            reader.replace_source_output(source.output(0))
        return ov.Model(whole.get_results(), [features], "rest")


def _cut(model: Any) -> Any:
    """→ the node MaxPool3d_3a. Raises OverlapUnsupportedError when the graph does not begin with I3D's stem."""
    stem = _straight_line(model)
    found = tuple(_in_time(node) for node in stem if node.get_type_name() == "Convolution")
    strange = {node.get_type_name() for node in stem} - _STEM_TYPES
    if len(model.inputs) != 1 or stem[-1].get_type_name() != "MaxPool" or found != STEM_CONVOLUTIONS or strange:
        line = ", ".join(node.get_type_name() for node in stem)
        raise OverlapUnsupportedError(
            f"stems are reused by i3d and se_i3d only; the graph of this network begins otherwise: {line}"
        )
    return stem[-1]


def _straight_line(model: Any) -> list[Any]:
    """The nodes from the input to the second max pool, or to where the graph branches or ends before it."""
    line, pools = [model.input(0).get_node()], 0
    while pools < 2:
        readers = [reader.get_node() for output in line[-1].outputs() for reader in output.get_target_inputs()]
        if len(readers) != 1:
            break
        line.append(readers[0])
        pools += readers[0].get_type_name() == "MaxPool"
    return line


def _in_time(convolution: Any) -> tuple[int, int]:
    """→ (kernel size, stride) in time."""
    return convolution.input(1).get_shape()[2], convolution.get_attributes()["strides"][0]


def _pad_in_time(convolution: Any, at_begin: bool, at_end: bool) -> None:
    """Writes the padding out, and takes it away in time at an end where the clip goes on."""
    attributes = convolution.get_attributes()
    begin, end = list(attributes["pads_begin"]), list(attributes["pads_end"])
    convolution.set_attribute("auto_pad", "explicit")
    convolution.set_attribute("pads_begin", [begin[0] if at_begin else 0, *begin[1:]])
    convolution.set_attribute("pads_end", [end[0] if at_end else 0, *end[1:]])
