"""A person re-identification network in OpenVINO's format as a torch module: to train it further, and to write it back.

Only what such networks are made of is known: convolutions without bias (that is an Add), instance normalisation (MVN),
gates (ReduceMean, Sigmoid), poolings and one last product. The graph stays OpenVINO's; torch only runs its end and
learns its numbers, so what is written back is as fast as what was read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops
from torch.nn import functional

from models.errors import TrainingError

Values = list[Any]  # of one operation's inputs: float tensors, integer tensors


class TrainableGraph(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """The trained end of a network: what its ``front`` says, float (B, C, h, w) → (B, D).

    The front, up to the last average pooling, keeps its numbers: ``front_model`` is for OpenVINO to run. It is three
    quarters of the work and sees edges and colours, which are the same for everybody.
    """

    def __init__(self, file: Path, size_hw: tuple[int, int]) -> None:
        """``size_hw``: of the input it is made for. Raises TrainingError for a network of another kind."""
        super().__init__()
        self.size_hw = size_hw
        self._model = resized(openvino.Core().read_model(file), size_hw)
        nodes = self._model.get_ordered_ops()
        poolings = [node for node in nodes if node.get_type_name() == "AvgPool"]
        if not poolings:
            raise TrainingError(f"{file.name} has no average pooling, behind which it would be trained")
        self._cut = poolings[-1]
        self.front_model = openvino.Model([self._cut.output(0)], self._model.get_parameters())
        front = {node.get_friendly_name() for node in self.front_model.get_ordered_ops()}
        self._order = [n for n in nodes if n.get_friendly_name() not in front and n.get_type_name() != "Constant"]
        unknown = {node.get_type_name() for node in self._order} - {*RUNNERS, "Result"}
        if unknown:
            raise TrainingError(f"{file.name} has operations that cannot be trained here: {', '.join(sorted(unknown))}")
        self._integers: dict[str, torch.Tensor] = {}
        for node in self._order:
            for value in node.input_values():
                if value.get_node().get_type_name() == "Constant":
                    self._take(value.get_node())

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Run the operations one by one."""
        results: dict[str, Any] = {self._cut.get_friendly_name(): seen}
        last: Any = seen
        for node in self._order:
            inputs = [self._value(results, value.get_node()) for value in node.input_values()]
            if node.get_type_name() == "Result":
                last = inputs[0]
            else:
                results[node.get_friendly_name()] = RUNNERS[node.get_type_name()](inputs, node.get_attributes())
        return torch.as_tensor(last)

    def written_back(self) -> Any:
        """The whole ``openvino.Model`` with the numbers learnt so far."""
        model = self._model.clone()
        learnt = dict(self.named_parameters())
        for node in model.get_ordered_ops():
            key = _key(node)
            if node.get_type_name() == "Constant" and key in learnt:
                values = learnt[key].detach().numpy()
                node.output(0).replace(ops.constant(values, dtype=np.float32).output(0))
        model.validate_nodes_and_infer_types()
        return model

    def _take(self, node: Any) -> None:
        """A constant: a parameter when it is float."""
        data = np.array(node.data)
        if data.dtype.kind != "f":
            self._integers[_key(node)] = torch.tensor(data.astype(np.int64))
        elif _key(node) not in dict(self.named_parameters()):
            self.register_parameter(_key(node), torch.nn.Parameter(torch.tensor(data.astype(np.float32))))

    def _value(self, results: dict[str, Any], node: Any) -> Any:
        if node.get_type_name() != "Constant":
            return results[node.get_friendly_name()]
        key = _key(node)
        return self._integers[key] if key in self._integers else self.get_parameter(key)


def _key(node: Any) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in f"n{node.get_friendly_name()}")


def resized(model: Any, size_hw: tuple[int, int]) -> Any:
    """The network for RGB input of another size and any batch.

    The step that reverses the channels is left out, as is that of the mean, which the instance normalisation of the
    picture makes idle. The last pooling, a weight for each place, is stretched to the new grid.
    """
    parameter = model.get_parameters()[0]
    first = next(node for node in model.get_ordered_ops() if node.get_type_name() == "MVN")
    first.input(0).replace_source_output(parameter.output(0))
    grid = (size_hw[0] // 16, size_hw[1] // 16)
    for node in model.get_ordered_ops():
        kernel = node.input_value(1).get_node() if node.get_type_name() == "GroupConvolution" else None
        while kernel is not None and kernel.get_type_name() == "Reshape":
            kernel = kernel.input_value(0).get_node()
        if kernel is not None and tuple(node.input_value(1).get_shape()[-2:]) == (16, 8):
            values = np.array(kernel.data, np.float32).reshape(node.input_value(1).get_shape())
            node.input(1).replace_source_output(ops.constant(stretched(values, grid)).output(0))
    model.reshape({parameter.output(0): openvino.PartialShape([-1, 3, *size_hw])})
    return model


def stretched(kernel: NDArray[np.float32], grid_hw: tuple[int, int]) -> NDArray[np.float32]:
    """(C, 1, 1, h, w) weights of places → those of another grid, with the same sum."""
    new = functional.interpolate(torch.tensor(kernel[:, 0]), size=grid_hw, mode="area")  # (C, 1, h', w')
    share = kernel.shape[-2] * kernel.shape[-1] / (grid_hw[0] * grid_hw[1])
    return np.asarray(new[:, None].numpy() * share, np.float32)


def _convolution(inputs: Values, attributes: dict[str, Any]) -> torch.Tensor:
    """Weights (O, I, h, w), or for groups (G, O / G, I / G, h, w)."""
    weights, groups = inputs[1], 1
    if weights.ndim == 5:
        groups = weights.shape[0]
        weights = weights.flatten(0, 1)
    stride, padding = tuple(attributes["strides"]), tuple(attributes["pads_begin"])
    return functional.conv2d(inputs[0], weights, stride=stride, padding=padding, groups=groups)


def _mvn(inputs: Values, attributes: dict[str, Any]) -> torch.Tensor:
    axes = tuple(int(axis) for axis in inputs[1])
    centred = inputs[0] - inputs[0].mean(axes, keepdim=True)
    return torch.as_tensor(centred / torch.sqrt(centred.square().mean(axes, keepdim=True) + attributes["eps"]))


def _reshape(inputs: Values, _: dict[str, Any]) -> torch.Tensor:
    """0 keeps the input's length of that axis."""
    shape = [int(length) or inputs[0].shape[axis] for axis, length in enumerate(inputs[1])]
    return torch.as_tensor(inputs[0].reshape(shape))


def _pool(inputs: Values, attributes: dict[str, Any], pool: Callable[..., torch.Tensor]) -> torch.Tensor:
    kernel, strides = tuple(attributes["kernel"]), tuple(attributes["strides"])
    return pool(inputs[0], kernel, strides, tuple(attributes["pads_begin"]))


def _gather(inputs: Values, _: dict[str, Any]) -> torch.Tensor:
    axis = int(inputs[2])
    places = inputs[1].reshape(-1) % inputs[0].shape[axis]  # they may count from the end
    return torch.as_tensor(inputs[0].index_select(axis, places))


def _prelu(inputs: Values, _: dict[str, Any]) -> torch.Tensor:
    return functional.prelu(inputs[0], inputs[1].reshape(-1))


RUNNERS: dict[str, Callable[[Values, dict[str, Any]], Any]] = {
    "Add": lambda x, _: x[0] + x[1],
    "Multiply": lambda x, _: x[0] * x[1],
    "MatMul": lambda x, a: x[0] @ (x[1].T if a["transpose_b"] else x[1]),
    "Relu": lambda x, _: functional.relu(x[0]),
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "PRelu": _prelu,
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "MVN": _mvn,
    "ReduceMean": lambda x, a: x[0].mean(tuple(int(axis) for axis in x[1].reshape(-1)), keepdim=a["keep_dims"]),
    "Reshape": _reshape,
    "ShapeOf": lambda x, _: torch.tensor(x[0].shape),
    "Gather": _gather,
    "Concat": lambda x, a: torch.cat([value.reshape(-1) for value in x], a["axis"]),
    "MaxPool": lambda x, a: _pool(x, a, functional.max_pool2d),
    "AvgPool": lambda x, a: _pool(x, a, functional.avg_pool2d),
}
