"""Cutting an OpenVINO graph of I3D or SE-I3D after MaxPool3d_3a, for ``models.runtimes.overlap_openvino``.

The cut is found by the shape of the stem, not by names, so that a graph of any precision serves. What crosses it is in
the number format that both sides compute in anyway: float32, bfloat16, or the 8 bit steps of a quantised graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13

from models.errors import OverlapUnsupportedError

STEM_CONVOLUTIONS = ((7, 2), (1, 1), (3, 1))  # kernel and stride in time of Conv3d_1a, 2b and 2c
# What may stand before the cut: all of it works on each crop alone, but for the convolutions.
_STEM_TYPES = {"Parameter", "Convert", "Transpose", "Multiply", "Add", "Subtract", "FakeQuantize"}
_STEM_TYPES |= {"Convolution", "Relu", "MaxPool"}
_LEVELS = 256


@dataclass(frozen=True, slots=True)
class FeatureFormat:
    """How features lie in memory. ``dtype`` numpy's, bfloat16 as its bits; ``step`` of 8 bit features, else None."""

    element: ov.Type
    dtype: type[np.generic]
    step: float | None = None


def feature_format(model: Any, arithmetic: str) -> FeatureFormat:
    """The format for a graph that is compiled for ``arithmetic`` (``f32``, ``bf16``), or is quantised.

    Raises OverlapUnsupportedError when the graph does not begin with I3D's stem.
    """
    quantizer = _quantizer(cut(model))
    if quantizer is not None:
        highest = float(quantizer.input_value(4).get_node().get_data().item())
        return FeatureFormat(ov.Type.u8, np.uint8, highest / (_LEVELS - 1))
    return FeatureFormat(ov.Type.bf16, np.uint16) if arithmetic == "bf16" else FeatureFormat(ov.Type.f32, np.float32)


def stem_graph(model: Any, crops: int, form: FeatureFormat, at_begin: bool, at_end: bool) -> Any:
    """→ uint8 (1, crops, H, W, 3) to features; padded in time only where the crops begin or end the clip."""
    whole = model.clone()
    pool = cut(whole)
    if form.step is not None:  # the quantiser counts its steps instead of scaling them back
        pool.input_value(0).get_node().input(4).replace_source_output(_constant(_LEVELS - 1).output(0))
    kept = pool if form.element == ov.Type.f32 else opset13.convert(pool.output(0), form.element.to_string())
    stem = ov.Model([kept.output(0)], whole.get_parameters(), "stem")
    for node in stem.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            _pad_in_time(node, at_begin, at_end)
    stem.reshape([1, crops, *list(model.input(0).shape)[2:]])
    return stem


def rest_graph(model: Any, form: FeatureFormat) -> Any:
    """→ the features of a whole clip to logits."""
    whole = model.clone()
    pool = cut(whole).output(0)
    readers = list(pool.get_target_inputs())
    features = opset13.parameter(pool.get_partial_shape(), form.element, name="features")
    source = features if form.element == ov.Type.f32 else opset13.convert(features, "f32")
    if form.step is not None:
        source = opset13.multiply(source, _constant(form.step))
    for reader in readers:
        reader.replace_source_output(source.output(0))
    return ov.Model(whole.get_results(), [features], "rest")


def cut(model: Any) -> Any:
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


def _quantizer(pool: Any) -> Any | None:
    """The node before ``pool`` if it rounds all features alike to 8 bits from 0 on, as it does behind a ReLU."""
    node = pool.input_value(0).get_node()
    if node.get_type_name() != "FakeQuantize" or node.get_attributes()["levels"] != _LEVELS:
        return None
    bounds = [value.get_node() for value in node.input_values()[1:]]
    if any(bound.get_type_name() != "Constant" or bound.get_data().size != 1 for bound in bounds):
        return None
    low, high, low_out, high_out = (float(bound.get_data().item()) for bound in bounds)
    return node if low == low_out == 0 and high == high_out else None


def _constant(value: float) -> Any:
    return opset13.constant(np.float32(value))


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
