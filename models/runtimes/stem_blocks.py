"""I3D's first convolution on processors that multiply matrices (AMX): the same sums, of 24 channels in the place of 3.

Matrix units read up to 32 channels at once, so that 7×7×7 kernels over three colours leave most of them idle: half of a
clip's time goes there. Pictures are cut into blocks of 2×2×2 (space to depth), each of which becomes 24 channels; the
kernel, filled up to 8×8×8 with zeros, becomes 4×4×4 over blocks, and its stride of 2 a stride of 1. Processors without
such units are faster with three colours, so for them nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import opset13

from pipeline.openvino import cpu_flags

AMX = "amx_bf16"
KERNEL, BLOCK, COLOURS = 7, 2, 3
_BY_ONE_NUMBER = {"Multiply", "Add", "Subtract"}
_BETWEEN = {"Convert", "Transpose", *_BY_ONE_NUMBER}  # alike for every number of a picture


@dataclass(frozen=True, slots=True)
class _Stem:
    """Conv3d_1a and its ``weights``, float32 (C, 3, 7, 7, 7)."""

    node: Any
    weights: NDArray[np.float32]


def fold_stem(model: Any, arithmetic: str, flags: frozenset[str] | None = None) -> bool:
    """Rewrites an OpenVINO graph in place → whether it did: for bf16 on AMX, clips (N, T, H, W, 3) of even T, H and W.

    ``flags``: of the processor, where None those of this one. Graphs that begin otherwise stay as they are.
    """
    known = cpu_flags() if flags is None else flags
    stem = _stem(model) if arithmetic == "bf16" and AMX in known else None
    if stem is None:
        return False
    weights, begin, end = _over_blocks(stem)  # from shapes that change below
    parameter = model.input(0).get_node()
    readers = list(parameter.output(0).get_target_inputs())
    blocks = _in_blocks(parameter)
    for reader in readers:
        reader.replace_source_output(blocks.output(0))
    stem.node.input(1).replace_source_output(opset13.constant(weights).output(0))
    changed = {"auto_pad": "explicit", "strides": [1, 1, 1], "pads_begin": begin, "pads_end": end}
    for name, value in changed.items():
        stem.node.set_attribute(name, value)
    model.validate_nodes_and_infer_types()
    return True


def _stem(model: Any) -> _Stem | None:
    """→ the first convolution behind nothing but scaling and a transposition, where it can be folded."""
    shape = model.input(0).get_partial_shape() if len(model.inputs) == 1 else None
    if shape is None or shape.is_dynamic or len(shape) != 5 or any(size % BLOCK for size in shape.to_shape()[1:4]):
        return None
    node = model.input(0).get_node()
    while node.get_type_name() in {"Parameter", *_BETWEEN}:
        readers = [reader for output in node.outputs() for reader in output.get_target_inputs()]
        if len(readers) != 1:
            return None
        node = readers[0].get_node()
        if node.get_type_name() in _BY_ONE_NUMBER and not any(_is_number(value) for value in node.input_values()):
            return None
    weights = _constant(node.input_value(1)) if node.get_type_name() == "Convolution" else None
    return None if weights is None or not _can_fold(node, weights) else _Stem(node, weights)


def _can_fold(node: Any, weights: NDArray[np.float32]) -> bool:
    given = node.get_attributes()
    strides, dilations, begin = (list(given[name]) for name in ("strides", "dilations", "pads_begin"))
    fits = weights.shape[1:] == (COLOURS, KERNEL, KERNEL, KERNEL) and strides == [BLOCK] * 3 and dilations == [1] * 3
    return fits and not any(pad % BLOCK for pad in begin)


def _is_number(value: Any) -> bool:
    constant = _constant(value)
    return constant is not None and constant.size == 1


def _constant(value: Any) -> NDArray[np.float32] | None:
    """→ what is read there; None where it is not known beforehand."""
    node = value.get_node()
    if node.get_type_name() == "Convert":  # weights are kept in half precision
        node = node.input_value(0).get_node()
    return np.asarray(node.get_data(), np.float32) if node.get_type_name() == "Constant" else None


def _over_blocks(stem: _Stem) -> tuple[NDArray[np.float32], list[int], list[int]]:
    """→ weights (C, 24, 4, 4, 4), and the padding in blocks that gives as many outputs as before."""
    steps, count = (KERNEL + 1) // BLOCK, len(stem.weights)
    filled = np.pad(stem.weights, ((0, 0), (0, 0), (0, 1), (0, 1), (0, 1)))
    parts = filled.reshape(count, COLOURS, steps, BLOCK, steps, BLOCK, steps, BLOCK)
    weights = parts.transpose(0, 3, 5, 7, 1, 2, 4, 6).reshape(count, BLOCK**3 * COLOURS, steps, steps, steps)
    begin = [pad // BLOCK for pad in stem.node.get_attributes()["pads_begin"]]
    sizes = [size // BLOCK for size in list(stem.node.input_value(0).get_shape())[2:]]
    outputs = list(stem.node.output(0).get_shape())[2:]
    end = [out - size - pad + steps - 1 for out, size, pad in zip(outputs, sizes, begin, strict=True)]
    return np.ascontiguousarray(weights), begin, end


def _in_blocks(parameter: Any) -> Any:
    """(N, T, H, W, 3) → (N, T/2, H/2, W/2, 24): of each block its places, of each place its colours."""
    count, *sizes, colours = parameter.get_partial_shape().to_shape()
    blocks = [size // BLOCK for size in sizes]
    halves = np.array([count, *(part for size in blocks for part in (size, BLOCK)), colours])
    parts = opset13.transpose(opset13.reshape(parameter, halves, False), np.array([0, 1, 3, 5, 2, 4, 6, 7]))
    return opset13.reshape(parts, np.array([count, *blocks, BLOCK**3 * colours]), False)
