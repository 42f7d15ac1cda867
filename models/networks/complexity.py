"""What a network costs: parameters, and multiply-adds of one clip, counted without running it.

A multiply-add (MAC) is one product that is added up: of convolutions, dense layers, recurrent cells, and matrix
products (attention). Not counted, as in the tables of the papers: normalisation, activations, pooling, biases, sums
and products element by element, and the optical flow computed outside a network. The papers' "FLOPs" are these MACs.

The network is called with symbolic tensors that have shapes but no values. A layer made of other layers, or of ours,
is looked into: its ``call`` runs on symbolic tensors, and each layer and ``keras.ops`` function met there is counted by
the shapes it got. A layer that multiplies in a way that cannot be seen so (a convolution made of shifts and sums, say)
has a method ``multiply_adds(input_shape) -> int``, which is then asked instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

Shape = tuple[int, ...]
OWN_COUNT = "multiply_adds"  # the method by which a layer counts itself


@dataclass(frozen=True, slots=True)
class Complexity:
    """``parameters``: all numbers a weights file holds, also moving statistics. ``multiply_adds``: of one clip."""

    parameters: int
    multiply_adds: int

    @property
    def gmacs(self) -> float:
        """Multiply-adds in thousand millions."""
        return self.multiply_adds / 1e9


def complexity(model: Any, *input_shapes: Sequence[int]) -> Complexity:
    """→ cost of ``model`` for one clip.

    ``input_shapes``: of each of its inputs, in their order, without the batch axis; needed where the model leaves a
    size open, such as the number of frames. Raises ValueError where a size stays unknown.
    """
    return Complexity(count_parameters(model), count_multiply_adds(model, *input_shapes))


def count_parameters(model: Any) -> int:
    """→ how many numbers the weights are, trainable or not, without the state of random number generators."""
    return sum(math.prod(weight.shape) for weight in model.weights if "seed_generator" not in weight.path)


def count_multiply_adds(model: Any, *input_shapes: Sequence[int]) -> int:
    """→ multiply-adds of one clip; arguments and errors as ``complexity``."""
    given = input_shapes or tuple(tensor.shape[1:] for tensor in model.inputs)
    if len(given) != len(model.inputs) or any(size is None for shape in given for size in shape):
        raise ValueError(f"expected {len(model.inputs)} input shapes without the batch axis, got {given}")
    tensors = [
        keras.KerasTensor((1, *shape), tensor.dtype, name=tensor.name)
        for tensor, shape in zip(model.inputs, given, strict=True)
    ]
    return _count(model, keras.tree.pack_sequence_as(model.input, tensors))


def _count(layer: Any, *args: Any) -> int:
    """→ multiply-adds of calling ``layer`` with symbolic tensors."""
    tally = _Tally()
    with _looked_into(layer, tally):
        tally.add_between(args, layer(*args))  # the layer itself, where it is not looked into
    return tally.total


class _Tally:
    """Adds up what is met. Outputs of a layer forget what happened inside, so each layer is counted as it ends."""

    def __init__(self) -> None:
        self.total = 0

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Stands in for a layer's inference of shapes: runs its ``call`` and counts what that met."""
        outputs = layer.call(*args, **kwargs)
        self.add_between((args, kwargs), outputs)
        return outputs

    def add_between(self, inputs: Any, outputs: Any) -> None:
        """Count every operation on the way from ``inputs`` to ``outputs``."""
        reached = {id(tensor) for tensor in _tensors(inputs)}
        ahead = [tensor for tensor in _tensors(outputs) if id(tensor) not in reached]
        seen: set[int] = set()
        while ahead:
            history = getattr(ahead.pop(), "_keras_history", None)
            if history is None:
                continue
            node = history.operation._inbound_nodes[history.node_index]
            if id(node) in seen:
                continue
            seen.add(id(node))
            self.total += _node_multiply_adds(node)
            ahead += [tensor for tensor in node.input_tensors if id(tensor) not in reached]


@contextmanager
def _looked_into(layer: Any, tally: _Tally) -> Iterator[None]:
    """Inside, every composite layer within ``layer`` reports to ``tally``; afterwards nothing has changed."""
    layers = layer._flatten_layers(recursive=True, include_self=True)
    nodes = [(each, len(each._inbound_nodes)) for each in layers]
    composites = [each for each, _ in nodes if _is_composite(each)]
    try:
        for each in composites:
            each.compute_output_spec = partial(tally.call, each)
        yield
    finally:
        for each in composites:
            del each.compute_output_spec
        for each, count in nodes:
            del each._inbound_nodes[count:]


def _is_composite(layer: Any) -> bool:
    """Whether to look into a layer: a model, or made of layers, or not of Keras' own; unless it is counted whole."""
    if hasattr(layer, OWN_COUNT) or _layer_rule(layer) is not None:
        return False
    foreign = not type(layer).__module__.startswith("keras.")
    return foreign or any(True for _ in layer._flatten_layers(recursive=False, include_self=False))


def _node_multiply_adds(node: Any) -> int:
    operation = node.operation
    args, kwargs = node.arguments.args, node.arguments.kwargs
    if hasattr(operation, OWN_COUNT):
        return int(getattr(operation, OWN_COUNT)(tuple(args[0].shape)))
    if isinstance(operation, keras.layers.Layer):
        rule = _layer_rule(operation)
        return rule(operation, node) if rule is not None else 0
    operands = (*args, *kwargs.values())
    counted = _OPERATIONS.get(type(operation).__name__)
    return counted(operation, operands, node.outputs[0].shape) if counted is not None else 0


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


# ---- layers of Keras -------------------------------------------------------------------------------------------------


def _conv(layer: Any, node: Any) -> int:
    """Each output value is a sum over the kernel and the input channels of its group."""
    return int(_positions(node) * math.prod(layer.kernel.shape))


def _conv_transpose(layer: Any, node: Any) -> int:
    """Each input value is spread over the kernel and the output channels."""
    return int(math.prod(node.input_tensors[0].shape[:-1]) * math.prod(layer.kernel.shape))


def _separable(layer: Any, node: Any) -> int:
    return int(_positions(node) * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)))


def _dense(layer: Any, node: Any) -> int:
    return int(_positions(node) * math.prod(layer.kernel.shape))


def _einsum_dense(layer: Any, node: Any) -> int:
    return _einsum(layer.equation, [tuple(node.input_tensors[0].shape), tuple(layer.kernel.shape)])


def _recurrent(layer: Any, node: Any) -> int:
    """Every time step multiplies the input and the state with all their gates."""
    cells = getattr(layer.cell, "cells", (layer.cell,))
    if any(len(getattr(cell, "recurrent_kernel", cell.kernel).shape) != 2 for cell in cells):
        raise ValueError(
            f"{layer.name}: expected recurrent cells with matrices, give the layer {OWN_COUNT}(input_shape)"
        )
    steps = math.prod(node.input_tensors[0].shape[:2])
    return int(steps * sum(math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape) for cell in cells))


def _time_distributed(layer: Any, node: Any) -> int:
    batch, steps, *rest = node.input_tensors[0].shape
    return int(steps) * _count(layer.layer, keras.KerasTensor((batch, *rest), node.input_tensors[0].dtype))


def _attention(layer: Any, node: Any) -> int:
    """Projections of query, key and value, their products, and the projection of the heads to the output."""
    query, value, *key = (tuple(tensor.shape) for tensor in node.input_tensors)
    batch, queries, keys = query[0], math.prod(query[1:-1]), math.prod(value[1:-1])
    key_width, value_width = layer.num_heads * layer.key_dim, layer.num_heads * layer.value_dim
    projected = queries * query[-1] * key_width + keys * (key[0] if key else value)[-1] * key_width
    projected += keys * value[-1] * value_width + queries * value_width * node.outputs[0].shape[-1]
    return int(batch * (projected + queries * keys * (key_width + value_width)))


def _positions(node: Any) -> int:
    """Places of the output at which a kernel is applied: all but channels. The batch is one clip, or its frames."""
    return math.prod(node.outputs[0].shape[:-1])


_Rule = Callable[[Any, Any], int]
_LAYERS: tuple[tuple[tuple[type, ...], _Rule], ...] = (
    ((keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose), _conv_transpose),
    ((keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D), _conv),
    ((keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D), _conv),
    ((keras.layers.SeparableConv1D, keras.layers.SeparableConv2D), _separable),
    ((keras.layers.Dense,), _dense),
    ((keras.layers.EinsumDense,), _einsum_dense),
    ((keras.layers.RNN,), _recurrent),
    ((keras.layers.TimeDistributed,), _time_distributed),
    ((keras.layers.MultiHeadAttention,), _attention),
)


def _layer_rule(layer: Any) -> _Rule | None:
    return next((rule for types, rule in _LAYERS if isinstance(layer, types)), None)


# ---- functions of keras.ops, by the name of their class --------------------------------------------------------------


def _op_conv(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    return int(math.prod(output[:-1]) * math.prod(operands[1].shape))


def _op_separable(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    return int(math.prod(output[:-1]) * (math.prod(operands[1].shape) + math.prod(operands[2].shape)))


def _op_matmul(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    """A product of one image of a batch: the batch is one clip, so that every axis counts."""
    return math.prod(output) * int(operands[0].shape[-1])


def _op_tensordot(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    """|a|·|b| pairs each summed value with each output once: (outputs · summed)² = |a| · |b| · outputs."""
    sizes = math.prod(operands[0].shape) * math.prod(operands[1].shape) * math.prod(output)
    return math.isqrt(sizes)


def _op_einsum(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    flat = [value for operand in operands for value in (operand if isinstance(operand, (list, tuple)) else [operand])]
    return _einsum(operation.subscripts, [tuple(value.shape) for value in flat])


def _op_attention(operation: Any, operands: Sequence[Any], output: Shape) -> int:
    """query (B, T, heads, width), key and value (B, S, heads, width)."""
    batch, queries, heads, width = operands[0].shape
    return int(batch * heads * queries * operands[1].shape[1] * (width + operands[2].shape[-1]))


_OPERATIONS: dict[str, Callable[[Any, Sequence[Any], Shape], int]] = {
    "Conv": _op_conv,
    "DepthwiseConv": _op_conv,
    "SeparableConv": _op_separable,
    "Matmul": _op_matmul,
    "Dot": _op_matmul,
    "Tensordot": _op_tensordot,
    "Einsum": _op_einsum,
    "DotProductAttention": _op_attention,
}


def _einsum(equation: str, shapes: Sequence[Shape]) -> int:
    """Product of the sizes of all letters of an equation of two operands; "..." stands for the leading axes."""
    sizes: dict[str, int] = {}
    for letters, shape in zip(equation.replace(" ", "").split("->")[0].split(","), shapes, strict=True):
        named = letters.replace("...", "")
        if "..." in letters:
            sizes["..."] = math.prod(shape[: len(shape) - len(named)])
        sizes |= dict(zip(named, shape[len(shape) - len(named) :], strict=True))
    return math.prod(sizes.values())
